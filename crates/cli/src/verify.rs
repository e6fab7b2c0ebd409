//! `nanomon verify`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use nanomon_sql::Store;

use crate::args::DatabaseArgs;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Exit status 0 if every invariant holds, 1 if one is broken.
pub async fn run(args: Args) -> Result<ExitCode> {
    let store = Store::new(&args.database.required()?.with_pool(1, "nanomon-verify"))?;
    let report = store.verify().await.context("verifying")?;
    for fault in &report.faults {
        println!("{fault}");
    }
    println!("{} results of {} series replayed, {} faults", report.rows, report.series, report.faults.len());
    Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
