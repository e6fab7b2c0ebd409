//! Measures the system from outside: a real PostgreSQL, the release executable, a light target whose own log is the judge.

mod first;
mod floor;
mod scenario;

use clap::Parser;

/// One measurement; each prints one line of JSON with its figures.
#[derive(Parser)]
#[command(name = "nanomon-bench")]
enum Command {
    /// CPU per 1,000 stored probes, deviation, misses and losses of N monitors at an interval
    Cost(scenario::CostArgs),
    /// The least that the same requests cost here and now
    Floor(floor::FloorArgs),
    /// From an empty data folder to the first stored result
    First(first::FirstArgs),
}

fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Command::parse() {
        Command::Cost(args) => scenario::cost(&args),
        Command::Floor(args) => floor::floor(&args),
        Command::First(args) => first::first(&args),
    }
}
