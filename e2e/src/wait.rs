//! Waiting on conditions with a deadline.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks again and again until there is an answer.
///
/// # Errors
/// After `limit`, with what was waited for and the last error.
pub async fn eventually<T, F, Fut>(what: &str, limit: Duration, mut ask: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    loop {
        let last = match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() > deadline {
            match last {
                Some(error) => bail!("not within {limit:?}: {what}: {error:#}"),
                None => bail!("not within {limit:?}: {what}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
