//! Process plumbing: telemetry, admin port, ordered shutdown.
