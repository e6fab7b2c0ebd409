//! `nanomon import`: the predecessor's export JSON becomes Monitor manifests. What was changed on the way is said on stderr
//! and stands as a comment above its document. All or nothing: with one fault, no manifest is written.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use nanomon_crds::legacy::{self, LegacyMonitor};
use nanomon_crds::{API_VERSION, object_name_for};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct Args {
    /// The export file; `-` reads standard input
    file: PathBuf,
    /// Namespace written into the manifests; none by default, so that `kubectl apply -n` decides
    #[arg(short, long)]
    namespace: Option<String>,
}

/// Reads, converts and prints.
pub fn run(args: &Args) -> Result<ExitCode> {
    if let Some(namespace) = &args.namespace {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=63).contains(&namespace.len()) && namespace.bytes().all(inner);
        if !fits || namespace.starts_with('-') || namespace.ends_with('-') {
            bail!(
                "namespace {namespace:?} must be 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends"
            );
        }
    }
    let text = if args.file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
        text
    } else {
        std::fs::read_to_string(&args.file).with_context(|| format!("reading {}", args.file.display()))?
    };
    match convert(&text, args.namespace.as_deref()) {
        Ok(Converted { yaml, notes }) => {
            std::io::stdout().write_all(yaml.as_bytes())?;
            for note in notes {
                eprintln!("{note}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => {
            for fault in &faults {
                eprintln!("{}: {fault}", args.file.display());
            }
            eprintln!("nothing was converted: {} faults", faults.len());
            Ok(ExitCode::from(2))
        }
    }
}

struct Converted {
    yaml: String,
    notes: Vec<String>,
}

fn convert(text: &str, namespace: Option<&str>) -> Result<Converted, Vec<String>> {
    let monitors: Vec<Value> =
        serde_json::from_str(text).map_err(|error| vec![format!("no list of monitors: {error}")])?;
    let mut taken = HashSet::new();
    let (mut yaml, mut notes, mut faults) = (String::new(), Vec::new(), Vec::new());
    for (at, value) in monitors.into_iter().enumerate() {
        let named = value["name"].as_str().unwrap_or_default().to_owned();
        let place = format!("monitor {} ({named:?})", at + 1);
        let form: LegacyMonitor = match serde_json::from_value(value) {
            Ok(form) => form,
            Err(error) => {
                faults.push(format!("{place}: {error}"));
                continue;
            }
        };
        let converted = match legacy::to_spec(&form, None) {
            Ok(converted) => converted,
            Err(error) => {
                faults.push(format!("{place}: {error}"));
                continue;
            }
        };
        let wanted = object_name_for(&form.name);
        let mut name = wanted.clone();
        for n in 2.. {
            if taken.insert(name.clone()) {
                break;
            }
            name = format!("{wanted}-{n}");
        }
        let mut said = converted.notes;
        if name != form.name {
            said.push(format!("the object is called {name}; the name {:?} is kept as displayName", form.name));
        }
        let mut metadata = json!({ "name": name });
        if let Some(namespace) = namespace {
            metadata["namespace"] = namespace.into();
        }
        let object =
            json!({ "apiVersion": API_VERSION, "kind": "Monitor", "metadata": metadata, "spec": converted.spec });
        yaml.push_str("---\n");
        for note in said {
            let _ = writeln!(yaml, "# {}", note.replace(char::is_control, " "));
            notes.push(format!("{place}: {note}"));
        }
        match serde_saphyr::to_string(&object) {
            Ok(text) => yaml.push_str(&text),
            Err(error) => faults.push(format!("{place}: {error}")),
        }
        if !yaml.ends_with('\n') {
            yaml.push('\n');
        }
    }
    if faults.is_empty() { Ok(Converted { yaml, notes }) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str = r#"[
      {"id": 1, "name": "My API!", "type": "http", "interval": "30s", "target": "https://a.example/", "rule": "status == 200",
       "enabled": true, "group": "web", "properties": {"timeout": "2s", "headers": "{\"accept\": \"text/plain\"}"}},
      {"id": 2, "name": "My API!", "type": "tcp", "interval": "2s", "target": "[::1]:80", "properties": {"timeout": "5s"}}
    ]"#;

    #[test]
    fn an_export_becomes_valid_manifests_and_says_what_changed() {
        let Ok(converted) = convert(EXPORT, Some("shop")) else { panic!("refused") };
        let read = nanomon_crds::manifest::read(&converted.yaml);
        assert_eq!(read.errors, []);
        let names: Vec<&str> = read.documents.iter().map(nanomon_crds::manifest::Document::name).collect();
        assert_eq!(names, ["my-api", "my-api-2"]);
        assert!(read.documents.iter().all(|d| d.namespace() == "shop" && d.def.display_name == "My API!"));
        assert!(converted.notes.iter().any(|n| n.contains("timeout")), "{:?}", converted.notes);
    }

    #[test]
    fn one_fault_refuses_everything_and_names_the_monitor() {
        let faults = convert(
            r#"[{"name":"a","type":"http","interval":"30s","target":"https://a.example/"},{"name":"b"}]"#,
            None,
        );
        let Err(faults) = faults else { panic!("accepted") };
        assert_eq!(faults, [r#"monitor 2 ("b"): missing monitor type"#]);
        assert!(convert("{}", None).is_err());
    }
}
