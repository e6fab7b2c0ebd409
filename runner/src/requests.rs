//! Run now and drafts: rows asked for by others, run here under this runner's policy, never stored as results.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nanomon_core::{MonitorDef, Status};
use nanomon_sql::probe_requests::ProbeRequestRow;
use nanomon_sql::{PoolId, RunnerId, Store, StoreError};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::compiler::Compiler;
use crate::scheduler::Command;
use crate::worker::Finished;

/// Requests that run at once.
const AT_ONCE: usize = 16;

/// Who this runner is, to join again.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Pod UID or process identity.
    pub identity: String,
    /// Shown to people.
    pub name: String,
    /// Shown to people.
    pub version: String,
}

/// Takes requests and runs them.
#[derive(Clone)]
pub struct Requests {
    store: Store,
    pool_id: PoolId,
    runner_id: RunnerId,
    identity: Identity,
    compiler: Arc<Mutex<Compiler>>,
    commands: mpsc::UnboundedSender<Command>,
    slots: Arc<Semaphore>,
}

impl Requests {
    /// For this runner.
    pub fn new(
        store: Store,
        pool_id: PoolId,
        runner_id: RunnerId,
        identity: Identity,
        compiler: Arc<Mutex<Compiler>>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self { store, pool_id, runner_id, identity, compiler, commands, slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Who this runner is.
    pub fn identity(&self) -> &str {
        &self.identity.identity
    }

    /// Joins again under the same identity.
    pub async fn register(&self) -> Result<RunnerId, StoreError> {
        let Identity { identity, name, version } = &self.identity;
        self.store.runner_register(identity, name, self.pool_id, version).await
    }

    /// Takes what waits, as far as there is room, and runs it beside everything else.
    pub async fn claim(&self) -> Result<(), StoreError> {
        let room = self.slots.available_permits();
        if room == 0 {
            return Ok(());
        }
        let rows = self.store.probe_request_claim(self.pool_id, self.runner_id, room as i64).await?;
        for row in rows {
            let this = self.clone();
            tokio::spawn(async move {
                // The semaphore is never closed.
                let _permit = this.slots.clone().acquire_owned().await;
                let id = row.id;
                let result = this.answer(row).await;
                if let Err(error) = this.store.probe_request_complete(id, &result).await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the outcome of a requested run could not be stored"
                    );
                }
            });
        }
        Ok(())
    }

    /// Runs a request; the answer is `{status, value, reason, message, outputs, durationMs}`, or `{error}`.
    async fn answer(&self, row: ProbeRequestRow) -> Value {
        match self.run(row).await {
            Ok((finished, duration_ms)) => render(finished, duration_ms),
            Err(sentence) => json!({ "error": sentence }),
        }
    }

    async fn run(&self, row: ProbeRequestRow) -> Result<(Finished, f64), String> {
        let (def, namespace) = self.definition(row).await?;
        let compiler = self.compiler.clone();
        let work = tokio::task::spawn_blocking(move || {
            compiler.lock().unwrap_or_else(PoisonError::into_inner).compile(&def, &namespace)
        });
        let work = work.await.map_err(|_| "the definition could not be compiled".to_owned())?;
        let work = Arc::new(work.map_err(|error| error.to_string())?);
        let (sender, receiver) = oneshot::channel();
        let began = Instant::now();
        self.commands.send(Command::Once(work, sender)).map_err(|_| "the runner is stopping".to_owned())?;
        let finished = receiver.await.map_err(|_| "the runner is stopping".to_owned())?;
        Ok((finished, began.elapsed().as_secs_f64() * 1000.0))
    }

    async fn definition(&self, row: ProbeRequestRow) -> Result<(MonitorDef, String), String> {
        let ProbeRequestRow { monitor_id, def, namespace, .. } = row;
        if let Some(def) = def {
            let def = serde_json::from_value(def).map_err(|_| "the draft's definition cannot be read".to_owned())?;
            return Ok((def, namespace));
        }
        let gone = || "the monitor does not exist any more".to_owned();
        let monitor = self.store.monitor_get(monitor_id.ok_or_else(gone)?).await.map_err(|error| error.to_string())?;
        let monitor = monitor.ok_or_else(gone)?;
        Ok((monitor.def.ok_or_else(gone)?, monitor.namespace))
    }
}

fn render(finished: Finished, duration_ms: f64) -> Value {
    let Finished { verdict, reason, value, outputs } = finished;
    let status = if verdict.is_unknown() { Status::Failed } else { verdict.status() };
    json!({
        "status": status.code(),
        "value": value,
        "reason": reason.as_str(),
        "message": if verdict.status() == Status::Ok { "" } else { reason.sentence() },
        "outputs": outputs.to_json(),
        "durationMs": duration_ms,
    })
}
