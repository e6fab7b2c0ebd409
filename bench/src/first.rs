//! From an empty data folder to the first stored result of standalone, as a newcomer waits for it.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use nanomon_testkit::light::{Behaviour, Target};
use serde_json::json;

use crate::scenario::{count_rows, start_standalone};

/// See the subcommand.
#[derive(clap::Args)]
pub struct FirstArgs {
    /// The executable
    #[arg(long, default_value = "target/release/nanomon")]
    nanomon: PathBuf,
}

/// Measures and prints.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub fn first(args: &FirstArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let target = Target::start(1, Behaviour::default())?;
    let folder = tempfile::tempdir()?;
    let manifest = format!(
        "apiVersion: nanomon.io/v1alpha1\nkind: Monitor\nmetadata: {{name: first}}\nspec:\n  interval: 1s\n  http: {{url: \"http://127.0.0.1:{}/m/1\"}}\n",
        target.ports[0]
    );
    std::fs::write(folder.path().join("first.yaml"), manifest)?;
    let started = Instant::now();
    let (system, up_after) = start_standalone(&args.nanomon, Some(folder.path()))?;
    while runtime.block_on(count_rows(&system.dsn())).unwrap_or(0) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    println!("{}", json!({ "up_after_s": up_after, "first_result_after_s": started.elapsed().as_secs_f64() }));
    Ok(())
}
