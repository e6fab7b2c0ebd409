//! `nanomon check`: run each monitor of a file or folder once, or only validate them (`--offline`, for pull-request pipelines).
//!
//! Exit status: 0 all is well, 1 a monitor is not OK, 2 a manifest (or the command line) has a fault. A file with a fault does
//! not keep the others from running.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt as _;
use nanomon_core::outcome::Outcome;
use nanomon_core::rule::{BodyRegex, Rule};
use nanomon_core::{OutputValue, Reason, Status};
use nanomon_crds::manifest::{self, Document, Location, ManifestError};
use nanomon_runner::judge::Judge;
use nanomon_runner::probe::{PrepareHints, ProbeConfig, Prober};
use serde_json::json;

use crate::manifest_folder::manifest_files;

/// Runs at the same time; a folder of slow targets need not take the sum of their timeouts.
const AT_ONCE: usize = 32;

#[derive(clap::Args)]
pub struct Args {
    /// Manifest file, or folder of .yaml, .yml and .json files
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR", required = true)]
    paths: Vec<PathBuf>,
    /// Validate only: schema, rules and regular expressions; no probing, no cluster
    #[arg(long)]
    offline: bool,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
}

struct Fault {
    file: PathBuf,
    error: ManifestError,
}

struct Run {
    file: PathBuf,
    document: Document,
    status: Status,
    reason: Reason,
    took: Duration,
    outcome: Outcome,
}

/// Reads, runs and reports.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut documents = Vec::new();
    let mut faults = Vec::new();
    for path in &args.paths {
        for file in manifest_files(path).with_context(|| format!("reading {}", path.display()))? {
            // A file that was named must be there; one of a folder does not keep the others from running.
            let text = match std::fs::read_to_string(&file) {
                Ok(text) => text,
                Err(error) if file == *path => {
                    return Err(error).with_context(|| format!("reading {}", file.display()));
                }
                Err(error) => {
                    faults.push(Fault::of_file(file, format!("cannot be read: {error}")));
                    continue;
                }
            };
            let read = manifest::read(&text);
            faults.extend(read.errors.into_iter().map(|error| Fault { file: file.clone(), error }));
            documents.extend(read.documents.into_iter().map(|document| (file.clone(), document)));
        }
    }
    let valid = documents.len();
    let mut runs = Vec::new();
    if !args.offline {
        for run in run_all(documents)? {
            match run {
                Ok(run) => runs.push(run),
                Err(fault) => faults.push(fault),
            }
        }
    }
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Json => json_report(&mut out, valid, &faults, &runs)?,
        Output::Table => table(&mut out, args.offline, valid, &faults, &runs)?,
    }
    let worst = if faults.is_empty() { u8::from(runs.iter().any(|run| run.status != Status::Ok)) } else { 2 };
    Ok(ExitCode::from(worst))
}

impl Fault {
    /// A fault of a whole file.
    fn of_file(file: PathBuf, message: String) -> Self {
        let location = Location { line: 1, column: 1 };
        Self { file, error: ManifestError { location, path: String::new(), message } }
    }
}

fn run_all(documents: Vec<(PathBuf, Document)>) -> Result<Vec<Result<Run, Fault>>> {
    let prober = Prober::new(ProbeConfig::default()).context("setting up probes")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let runs =
        futures::stream::iter(documents).map(|(file, document)| run_one(&prober, file, document)).buffered(AT_ONCE);
    Ok(runtime.block_on(runs.collect()))
}

/// Runs a monitor once; one that this version cannot run is a fault of its document.
async fn run_one(prober: &Prober, file: PathBuf, document: Document) -> Result<Run, Fault> {
    let location = document.location;
    run_document(prober, file.clone(), document).await.map_err(|error| {
        let error = ManifestError { location, path: "spec".to_owned(), message: format!("{error:#}") };
        Fault { file, error }
    })
}

async fn run_document(prober: &Prober, file: PathBuf, document: Document) -> Result<Run> {
    let def = &document.def;
    let rule = def.rule.as_deref().map(|source| Rule::compile(source, def.probe_type())).transpose()?;
    let regex = match &def.target {
        nanomon_core::Target::Http(http) => {
            http.body_regex.as_deref().map(BodyRegex::compile).transpose().map_err(anyhow::Error::msg)?
        }
        nanomon_core::Target::Tcp(_) | nanomon_core::Target::Ping(_) | nanomon_core::Target::Dns(_) => None,
    };
    let judge = Judge { rule: rule.map(Arc::new), regex: regex.map(Arc::new) };
    let hints = PrepareHints {
        namespace: Some(document.namespace()),
        rule_reads_body: judge.rule.as_ref().is_some_and(|rule| rule.reads_body()),
    };
    let probe = prober.prepare(def, hints).with_context(|| format!("Monitor {}", document.name()))?;
    let started = std::time::Instant::now();
    let mut outcome = probe.run(prober).await;
    let took = started.elapsed();
    let judgement = judge.judge(&mut outcome);
    Ok(Run { file, status: judgement.status, reason: judgement.reason, took, outcome, document })
}

fn json_report(out: &mut impl std::io::Write, valid: usize, faults: &[Fault], runs: &[Run]) -> Result<()> {
    let faults: Vec<_> = faults
        .iter()
        .map(|Fault { file, error }| {
            json!({
                "file": file, "line": error.location.line, "column": error.location.column,
                "field": error.path, "message": error.message,
            })
        })
        .collect();
    let results: Vec<_> = runs
        .iter()
        .map(|run| {
            json!({
                "file": run.file, "namespace": run.document.namespace(), "name": run.document.name(),
                "type": run.document.def.probe_type(), "target": run.document.def.target.display(),
                "status": run.status.as_str(), "reason": run.reason.as_str(), "message": run.reason.sentence(),
                "value": run.outcome.value, "durationMs": run.took.as_secs_f64() * 1_000.0,
                "outputs": run.outcome.outputs.to_json(),
            })
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &json!({ "valid": valid, "faults": faults, "results": results }))?;
    writeln!(out)?;
    Ok(())
}

fn table(out: &mut impl std::io::Write, offline: bool, valid: usize, faults: &[Fault], runs: &[Run]) -> Result<()> {
    let rows: Vec<[String; 6]> = runs.iter().map(row).collect();
    let head = ["MONITOR", "TYPE", "STATUS", "VALUE", "REASON", "OUTPUTS"];
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).chain([head[column].len()]).max();
    let widths: Vec<usize> = (0..5).map(|column| width(column).unwrap_or(0)).collect();
    let mut line = |cells: [&str; 6]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text.push_str(cells[5]);
        writeln!(out, "{}", text.trim_end())
    };
    if !rows.is_empty() {
        line(head)?;
    }
    for row in &rows {
        line(row.each_ref().map(String::as_str))?;
    }
    for Fault { file, error } in faults {
        writeln!(out, "{}:{error}", file.display())?;
    }
    if offline {
        writeln!(out, "{valid} monitors are valid, {} faults", faults.len())?;
    } else {
        let ok = runs.iter().filter(|run| run.status == Status::Ok).count();
        writeln!(out, "{ok} of {} monitors OK, {} faults", runs.len(), faults.len())?;
    }
    Ok(())
}

fn row(run: &Run) -> [String; 6] {
    let outputs = run.outcome.outputs.iter().map(|(id, value)| match value {
        OutputValue::Number(n) => format!("{}={}", id.name(), trim(*n)),
        OutputValue::Text(text) => format!("{}={text}", id.name()),
    });
    [
        format!("{}/{}", run.document.namespace(), run.document.name()),
        run.document.def.probe_type().as_str().to_owned(),
        run.status.as_str().to_owned(),
        run.outcome.value.map(|value| format!("{} ms", trim(value))).unwrap_or_default(),
        if run.status == Status::Ok { String::new() } else { run.reason.as_str().to_owned() },
        outputs.collect::<Vec<_>>().join(" "),
    ]
}

/// At most three places.
fn trim(number: f64) -> String {
    let text = format!("{number:.3}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(trim(200.0), "200");
        assert_eq!(trim(1.5), "1.5");
        assert_eq!(trim(0.12345), "0.123");
        assert_eq!(trim(1000.0), "1000");
    }
}
