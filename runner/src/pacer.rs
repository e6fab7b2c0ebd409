//! A bound on starts per second: a bucket that fills with time. Pure.

use std::time::Instant;

/// The bucket.
#[derive(Debug)]
pub struct Pacer {
    per_second: u64,
    /// Starts that may happen now, in millionths.
    tokens: u64,
    filled_at: Instant,
}

const ONE: u64 = 1_000_000;
/// Starts that may happen at once, beside a tenth of a second's.
const BURST: u64 = 64;

impl Pacer {
    /// A full bucket; the rate is set later.
    pub fn new(now: Instant) -> Self {
        Self { per_second: 0, tokens: BURST * ONE, filled_at: now }
    }

    /// A bucket for this many starts per second.
    pub fn with_rate(now: Instant, per_second: u32) -> Self {
        Self { per_second: u64::from(per_second), tokens: 0, filled_at: now }
    }

    /// Fills it and changes the rate.
    pub fn set_rate(&mut self, now: Instant, per_second: u64) {
        self.refill(now);
        self.per_second = per_second;
    }

    /// Fills it by the time passed.
    pub fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_micros() as u64;
        self.filled_at = now;
        let limit = BURST * ONE + self.per_second * ONE / 10;
        self.tokens = self.tokens.saturating_add(passed.saturating_mul(self.per_second)).min(limit);
    }

    /// Whether something may start.
    pub fn may_start(&self) -> bool {
        self.tokens >= ONE
    }

    /// Something has started.
    pub fn started(&mut self) {
        self.tokens = self.tokens.saturating_sub(ONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_second_has_more_than_the_rate_and_the_burst() {
        let mut now = Instant::now();
        let mut pacer = Pacer::with_rate(now, 200);
        let mut started = 0;
        for _ in 0..1_000 {
            now += Duration::from_millis(10);
            pacer.refill(now);
            while pacer.may_start() {
                pacer.started();
                started += 1;
            }
        }
        assert_eq!(started, 2_000);
        pacer.refill(now + Duration::from_hours(1));
        let mut burst = 0;
        while pacer.may_start() {
            pacer.started();
            burst += 1;
        }
        assert_eq!(burst, BURST + 20);
    }
}
