//! The `nanomon` executable: one file per subcommand, wiring only.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the command line speaks to its user")]

mod api;
mod args;
mod check;
mod cluster;
mod crds;
mod import;
mod manifest_folder;
mod migrate;
mod openapi;
mod operator;
mod own_addresses;
mod postgres;
mod runner;
mod standalone;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nanomon_service::telemetry::{self, LogArgs};

/// Monitoring for people who live in Kubernetes.
#[derive(Parser)]
#[command(name = "nanomon", version, about, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything in one process, with its own PostgreSQL and a folder of Monitor manifests
    Standalone(standalone::Args),
    /// Run each monitor of a file or folder once, or validate them without running (--offline)
    Check(check::Args),
    /// Turn the export JSON of the predecessor into Monitor manifests
    Import(import::Args),
    /// Watch Monitors, write them to PostgreSQL, report their status
    Operator(operator::Args),
    /// The REST API and the dashboard in a cluster
    Api(api::Args),
    /// One runner of a pool: probes, judges and stores
    Runner(runner::Args),
    /// Bring the database schema to this version
    Migrate(migrate::Args),
    /// Replay stored results and prove that states and rollups follow from them
    Verify(verify::Args),
    /// Print the CustomResourceDefinitions
    Crds,
    /// Print the OpenAPI document of the REST API
    Openapi,
}

fn main() -> ExitCode {
    // One TLS provider for the whole process; the second call of a test is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    if let Err(error) = telemetry::init(&cli.log) {
        eprintln!("nanomon: {error}");
        return ExitCode::from(2);
    }
    let outcome = match cli.command {
        Command::Standalone(args) => runtime(standalone::run(args)).map(|()| ExitCode::SUCCESS),
        Command::Operator(args) => runtime(operator::run(args)).map(|()| ExitCode::SUCCESS),
        Command::Api(args) => runtime(api::run(args)).map(|()| ExitCode::SUCCESS),
        Command::Runner(args) => runtime(runner::run(args)).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => check::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Migrate(args) => runtime(migrate::run(args)).map(|()| ExitCode::SUCCESS),
        Command::Verify(args) => runtime(verify::run(args)),
        Command::Crds => crds::run(),
        Command::Openapi => openapi::run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("nanomon: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Everything but the probes runs on one multi-threaded runtime of two workers; the runner brings its own probe thread.
fn runtime<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(future)
}
