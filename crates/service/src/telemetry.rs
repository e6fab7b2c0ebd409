//! Logging set-up. One line per event that a person may care about; runs of probes are never logged.

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Logging arguments, flattened into each subcommand.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// Levels, e.g. `info` or `info,nanomon_runner=debug`
    #[arg(long, env = "LOG_LEVEL", default_value = "info", global = true)]
    pub log_level: String,
    /// Form of the log lines
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("log-level {0:?} is not a list of levels such as info or info,nanomon_runner=debug")]
pub struct LogLevelError(String);

/// Installs the process-wide subscriber (stderr). Call once, first thing.
pub fn init(args: &LogArgs) -> Result<(), LogLevelError> {
    let filter = EnvFilter::try_new(&args.log_level).map_err(|_| LogLevelError(args.log_level.clone()))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second call (tests) keeps the first subscriber.
    let _ = match args.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
