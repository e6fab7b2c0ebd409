//! `nanomon migrate`.

use anyhow::{Context, Result};
use nanomon_sql::Store;

use crate::args::DatabaseArgs;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Migrates and says from where to where.
pub async fn run(args: Args) -> Result<()> {
    let store = Store::new(&args.database.required()?.with_pool(1, "nanomon-migrate"))?;
    let migrated = store.migrate().await.context("migrating the schema")?;
    println!("schema version {} -> {}", migrated.from, migrated.to);
    Ok(())
}
