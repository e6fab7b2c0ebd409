//! What the target's log says: the judge of intervals, misses and lost results.

use std::collections::HashMap;

/// Arrivals as the target saw them: Unix microseconds per monitor number.
#[derive(Debug, Default, Clone)]
pub struct HitLog {
    /// In order of arrival.
    pub hits: HashMap<u32, Vec<i64>>,
}

/// A summary of a log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Requests in all.
    pub hits: usize,
    /// Monitors seen.
    pub monitors: usize,
    /// Deviation of the gap between two hits of a monitor from the nearest whole number of intervals, milliseconds.
    pub deviation_p50_ms: f64,
    /// See `deviation_p50_ms`.
    pub deviation_p99_ms: f64,
    /// See `deviation_p50_ms`.
    pub deviation_max_ms: f64,
    /// Slots without a hit between the first and the last hit of each monitor.
    pub missed: usize,
    /// Fewest and most hits of a monitor.
    pub min_max: (usize, usize),
}

impl HitLog {
    /// Judges the log against an interval.
    pub fn summary(&self, interval_us: i64) -> Summary {
        let mut deviations: Vec<f64> = Vec::new();
        let mut missed = 0;
        for times in self.hits.values() {
            for pair in times.windows(2) {
                let gap = pair[1] - pair[0];
                let intervals = ((gap + interval_us / 2) / interval_us).max(1);
                missed += (intervals - 1) as usize;
                deviations.push((gap - intervals * interval_us).abs() as f64 / 1_000.0);
            }
        }
        let counts = || self.hits.values().map(Vec::len);
        Summary {
            hits: counts().sum(),
            monitors: self.hits.len(),
            deviation_p50_ms: percentile(&mut deviations, 0.50),
            deviation_p99_ms: percentile(&mut deviations, 0.99),
            deviation_max_ms: percentile(&mut deviations, 1.0),
            missed,
            min_max: (counts().min().unwrap_or(0), counts().max().unwrap_or(0)),
        }
    }
}

/// The value below which this share of the values lies; 0 for none. Sorts in place.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len().max(1)) - 1;
    values.get(at).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_judged_against_the_interval() {
        let mut log = HitLog::default();
        log.hits.insert(1, vec![0, 1_002_000, 3_000_000]);
        log.hits.insert(2, vec![0]);
        let summary = log.summary(1_000_000);
        assert_eq!((summary.hits, summary.missed, summary.min_max), (4, 1, (1, 3)));
        assert!((summary.deviation_max_ms - 2.0).abs() < 1e-9);
    }
}
