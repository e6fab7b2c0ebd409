//! `nanomon crds`.

use std::io::Write as _;
use std::process::ExitCode;

/// Prints the CRDs as YAML.
pub fn run() -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(nanomon_crds::crd::crd_yaml().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
