//! Measures the system from outside: a real PostgreSQL, the release executable, a light target whose own log is the judge.

mod scenario;

use clap::Parser;

/// One measurement; each prints one line of JSON with its figures.
#[derive(Parser)]
#[command(name = "nanomon-bench")]
enum Command {
    /// CPU per 1,000 stored probes, deviation, misses and losses of N monitors at an interval
    Cost(scenario::CostArgs),
}

fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Command::parse() {
        Command::Cost(args) => scenario::cost(&args),
    }
}
