//! Equal queries within a moment share one execution.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

/// How long an answer is shared, counted from the start of its execution.
pub const SHARED_FOR: Duration = Duration::from_millis(250);
/// Answers kept at most; each is bounded by the route that made it.
const KEPT: usize = 64;

/// Executions in flight and answers just given, by query.
pub struct Flights<T> {
    flights: Mutex<HashMap<String, Flight<T>>>,
}

struct Flight<T> {
    began: Instant,
    answer: Arc<OnceCell<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { flights: Mutex::default() }
    }
}

impl<T: Clone> Flights<T> {
    /// The answer to `key`: a running or recent execution's, else the one of `execute`. Failures are not shared: the next
    /// waiting caller executes again.
    pub async fn run<E, F>(&self, key: String, execute: impl FnOnce() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let cell = self.join(key, Instant::now());
        cell.get_or_try_init(execute).await.cloned()
    }

    /// Forgets everything: what was read before a write is not shared after it.
    pub fn clear(&self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn join(&self, key: String, now: Instant) -> Arc<OnceCell<T>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |flight: &Flight<T>| now.saturating_duration_since(flight.began) < SHARED_FOR;
        if let Some(flight) = flights.get(&key).filter(|flight| recent(flight)) {
            return flight.answer.clone();
        }
        if flights.len() >= KEPT {
            flights.retain(|_, flight| recent(flight));
        }
        let answer = Arc::new(OnceCell::new());
        if flights.len() < KEPT {
            flights.insert(key, Flight { began: now, answer: answer.clone() });
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn equal_queries_share_one_execution_and_a_clear_ends_that() {
        let flights = Flights::<usize>::default();
        let runs = AtomicUsize::new(0);
        let execute = || async { Ok::<_, ()>(runs.fetch_add(1, Ordering::SeqCst)) };
        let answers = futures::future::join_all((0..20).map(|_| flights.run("a".into(), execute))).await;
        assert!(answers.iter().all(|a| *a == Ok(0)));
        assert_eq!(flights.run("b".into(), execute).await, Ok(1));
        flights.clear();
        assert_eq!(flights.run("a".into(), execute).await, Ok(2));
    }

    #[tokio::test]
    async fn failures_are_not_shared() {
        let flights = Flights::<usize>::default();
        assert_eq!(flights.run("a".into(), || async { Err::<usize, _>("away") }).await, Err("away"));
        assert_eq!(flights.run("a".into(), || async { Ok::<_, &str>(7) }).await, Ok(7));
    }

    #[test]
    fn an_answer_is_shared_for_a_moment_only() {
        let flights = Flights::<usize>::default();
        let now = Instant::now();
        let first = flights.join("a".into(), now);
        assert!(Arc::ptr_eq(&first, &flights.join("a".into(), now + SHARED_FOR / 2)));
        assert!(!Arc::ptr_eq(&first, &flights.join("a".into(), now + SHARED_FOR)));
    }
}
