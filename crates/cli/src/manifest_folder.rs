//! Standalone's folder of Monitor manifests: read, written to the database, and followed live.
//!
//! Owner of all rows with source `manifest`. A file with a fault keeps what it defined before; its faults are said once per
//! change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nanomon_core::slot::stable_uid;
use nanomon_crds::manifest;
use nanomon_sql::monitors::{Change, MonitorFilter, MonitorWrite, Source};
use nanomon_sql::{MonitorId, Store};
use notify::Watcher as _;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Rows of standalone carry this installation.
pub const INSTALLATION: &str = "standalone";
/// Editors write a file in several steps; a change is looked at once it is quiet.
const QUIET: Duration = Duration::from_millis(150);
/// Events may be lost (network file systems, swapped links): look anyway.
const POLL: Duration = Duration::from_secs(10);
/// Rows per transaction.
const BATCH: usize = 500;

/// What the folder holds at one moment.
#[derive(Default, PartialEq)]
struct Contents {
    /// File name below the folder → its text, or why it could not be read.
    files: BTreeMap<PathBuf, Result<String, String>>,
}

/// Follows the folder until `stop`. The first reading happens before this returns control to `first` (sent once).
pub async fn follow(
    store: Store,
    folder: PathBuf,
    first: tokio::sync::oneshot::Sender<()>,
    stop: CancellationToken,
) -> Result<()> {
    let (events, mut changed) = mpsc::channel(1);
    // try_send: one pending wake-up says all there is to say.
    let mut watcher = notify::recommended_watcher(move |_| {
        let _ = events.try_send(());
    })
    .context("watching the monitors folder")?;
    if let Err(error) = watcher.watch(&folder, notify::RecursiveMode::Recursive) {
        tracing::warn!("{} cannot be watched ({error}); it is looked at every {POLL:?}", folder.display());
    }
    let mut seen = Contents::default();
    let mut first = Some(first);
    loop {
        let contents = read_folder(&folder);
        if contents != seen {
            match apply(&store, &contents).await {
                Ok(()) => seen = contents,
                Err(error) => tracing::error!("the monitors of {} were not taken over: {error:#}", folder.display()),
            }
        }
        if let Some(first) = first.take() {
            let _ = first.send(());
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(POLL) => {}
            _ = changed.recv() => {
                while tokio::time::timeout(QUIET, changed.recv()).await.is_ok_and(|event| event.is_some()) {}
            }
        }
    }
}

/// The manifest files of a folder, or the one file that `path` names, in order. Hidden files and folders are left out.
pub fn manifest_files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let named = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
        for entry in std::fs::read_dir(&folder).map_err(named)? {
            let path = entry?.path();
            if path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if matches!(extension, "yaml" | "yml" | "json") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read_folder(folder: &Path) -> Contents {
    let files = match manifest_files(folder) {
        Ok(files) => files,
        // The folder itself is gone or closed: as one unreadable file, so that nothing is taken away for it.
        Err(error) => return Contents { files: [(PathBuf::new(), Err(error.to_string()))].into() },
    };
    let files = files.into_iter().map(|file| {
        let name = file.strip_prefix(folder).unwrap_or(&file).to_owned();
        (name, std::fs::read_to_string(&file).map_err(|error| error.to_string()))
    });
    Contents { files: files.collect() }
}

/// Writes what the files define and takes away what they no longer do.
async fn apply(store: &Store, contents: &Contents) -> Result<()> {
    let existing = store.monitor_list(&MonitorFilter::default()).await.context("reading the monitors")?;
    let taken: BTreeMap<(&str, &str), Source> =
        existing.iter().map(|row| ((row.namespace.as_str(), row.name.as_str()), row.source)).collect();
    let mut writes: BTreeMap<(String, String), MonitorWrite> = BTreeMap::new();
    let mut faulty: BTreeSet<String> = BTreeSet::new();
    for (file, text) in &contents.files {
        let name = file.to_string_lossy().into_owned();
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                let what = if name.is_empty() { "the monitors folder" } else { &name };
                tracing::error!("{what}: cannot be read: {error}");
                faulty.insert(name);
                continue;
            }
        };
        let read = manifest::read(text);
        for error in &read.errors {
            tracing::error!("{name}:{error}");
        }
        if !read.errors.is_empty() {
            faulty.insert(name.clone());
        }
        for document in read.documents {
            let key = (document.namespace().to_owned(), document.name().to_owned());
            if let Some(Source::Api | Source::Kubernetes) = taken.get(&(key.0.as_str(), key.1.as_str())) {
                tracing::error!(
                    "{name}:{}: Monitor {}/{} was created in the dashboard; delete it there first",
                    document.location,
                    key.0,
                    key.1
                );
                continue;
            }
            if let Some(other) = writes.get(&key) {
                let other = other.meta["managedBy"]["file"].as_str().unwrap_or_default();
                tracing::error!("{name}:{}: Monitor {}/{} stands already in {other}", document.location, key.0, key.1);
                continue;
            }
            let write = MonitorWrite {
                id: None,
                uid: Uuid::from_bytes(stable_uid(&key.0, &key.1)),
                namespace: key.0.clone(),
                name: key.1.clone(),
                source: Source::Manifest,
                spec: serde_json::to_value(&document.monitor.spec)?,
                generation: 1,
                meta: json!({
                    "labels": document.monitor.metadata.labels,
                    "managedBy": { "file": name },
                }),
                def: document.def,
            };
            writes.insert(key, write);
        }
    }
    let unreadable_folder = faulty.contains("");
    let gone: Vec<MonitorId> = existing
        .iter()
        .filter(|row| row.source == Source::Manifest && !unreadable_folder)
        .filter(|row| !writes.contains_key(&(row.namespace.clone(), row.name.clone())))
        .filter(|row| !row.meta["managedBy"]["file"].as_str().is_some_and(|file| faulty.contains(file)))
        .map(|row| row.id)
        .collect();
    // One object and its successor in another file are one row, so nothing is deleted before everything is written.
    let writes: Vec<MonitorWrite> = writes.into_values().collect();
    let mut changed = 0;
    for batch in writes.chunks(BATCH) {
        let written = store.monitor_write_batch(INSTALLATION, None, batch).await.context("writing the monitors")?;
        changed += written.iter().filter(|w| w.change != Change::Unchanged).count();
    }
    for batch in gone.chunks(BATCH) {
        store.monitor_tombstone_batch(INSTALLATION, None, batch).await.context("taking monitors away")?;
    }
    tracing::info!(
        "{} monitors in {} files: {changed} new or changed, {} gone, {} files with faults",
        writes.len(),
        contents.files.len(),
        gone.len(),
        faulty.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_and_other_kinds_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "c.json", "d.txt", ".hidden.yaml"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/e.yaml"), "").unwrap();
        let names: Vec<String> = manifest_files(dir.path())
            .unwrap()
            .iter()
            .map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a.yml", "b.yaml", "c.json", "sub/e.yaml"]);
    }
}
