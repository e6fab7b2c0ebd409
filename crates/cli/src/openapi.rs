//! `nanomon openapi`.

use std::io::Write as _;
use std::process::ExitCode;

/// Prints the OpenAPI document as JSON.
pub fn run() -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(nanomon_dashboard_api::openapi_json().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
