//! `schema.sql` is what the migrations make. `NANOMON_WRITE_SCHEMA=1` writes it.

use std::path::Path;
use std::process::Command;

use nanomon_testkit::postgres::Postgres;

use crate::support::fixture;

/// The dump without what differs from machine to machine: comments, settings, blank lines.
fn normalise(dump: &str) -> String {
    let noise = ["--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict"];
    let lines = dump.lines().filter(|line| !line.is_empty() && !noise.iter().any(|start| line.starts_with(start)));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[tokio::test]
async fn schema_sql_is_what_the_migrations_make() {
    let postgres = Postgres::shared().await;
    let program = postgres.binaries().join("pg_dump");
    let Ok(version) = Command::new(&program).arg("--version").output() else {
        println!("SKIPPED: schema.sql is not compared, because pg_dump is not on this machine");
        return;
    };
    let version = String::from_utf8_lossy(&version.stdout);
    let major: String = version.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let f = fixture().await;
    let output = Command::new(&program)
        .args(["--schema-only", "--no-owner", "--no-privileges", "--dbname", &f.dsn])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let head =
        format!("-- The schema after all migrations, by pg_dump {major}. Made by `make generate`, never by hand.\n");
    let found = head.clone() + &normalise(&String::from_utf8_lossy(&output.stdout));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.sql");
    if std::env::var_os("NANOMON_WRITE_SCHEMA").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap();
    if !committed.starts_with(&head) {
        println!("SKIPPED: schema.sql is not compared, because this machine's pg_dump is version {major}");
        return;
    }
    assert!(committed == found, "schema.sql is stale: run `make generate`");
}
