//! Stopping in order: a signal cancels one token; what was started last is asked first.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGINT or SIGTERM. A second signal ends the process at once with status 130.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut stopping = false;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stopping {
                tracing::warn!("second signal: ending at once");
                std::process::exit(130);
            }
            stopping = true;
            tracing::info!("stopping");
            cancelled.cancel();
        }
    });
    Ok(token)
}

/// Parts that were started, each with its own stop token; they are stopped in reverse order of their start.
#[derive(Default)]
pub struct Parts {
    parts: Vec<(&'static str, CancellationToken, JoinHandle<()>)>,
}

impl Parts {
    /// Starts a part. It must end soon after its token is cancelled; an error it ends with is logged here, once.
    pub fn start<F, E>(&mut self, name: &'static str, token: CancellationToken, part: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let handle = tokio::spawn(async move {
            if let Err(error) = part.await {
                tracing::error!("{name}: {error:#}");
            }
        });
        self.parts.push((name, token, handle));
    }

    /// Waits until any part has ended by itself (a fault) and names it.
    pub async fn any_ended(&mut self) -> &'static str {
        std::future::poll_fn(|context| {
            for (name, _, handle) in &mut self.parts {
                if std::pin::Pin::new(handle).poll(context).is_ready() {
                    return std::task::Poll::Ready(*name);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Stops all parts in reverse order, each within `deadline`; those that do not end are aborted and named in the log.
    pub async fn stop(self, deadline: Duration) {
        for (name, token, mut handle) in self.parts.into_iter().rev() {
            token.cancel();
            if handle.is_finished() {
                continue;
            }
            if tokio::time::timeout(deadline, &mut handle).await.is_err() {
                tracing::warn!("{name} did not stop within {deadline:?}");
                handle.abort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn parts_stop_in_reverse_order() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut parts = Parts::default();
        for name in ["first", "second"] {
            let (token, order) = (CancellationToken::new(), order.clone());
            parts.start(name, token.clone(), async move {
                token.cancelled().await;
                order.lock().unwrap().push(name);
                Ok::<(), std::io::Error>(())
            });
        }
        parts.stop(Duration::from_secs(5)).await;
        assert_eq!(*order.lock().unwrap(), ["second", "first"]);
    }
}
