//! How long runs took, per kind of probe and phase: counted when stored.

use nanomon_core::ProbeType;
use nanomon_sql::results::NewResult;

use crate::stats::Cell;

/// Upper bounds in microseconds; the last bucket has none.
pub const BOUNDS_US: [u64; 11] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000];

/// What is timed: the whole run and its phases, as the label shows them.
pub const PHASES: [&str; 6] = ["total", "dns", "connect", "tls", "first_byte", "transfer"];

/// One histogram.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Not cumulative; the last one counts what is above all bounds.
    pub buckets: [Cell; BOUNDS_US.len() + 1],
    /// Sum in microseconds.
    pub sum_us: Cell,
}

impl Histogram {
    fn observe(&self, us: u64) {
        let at = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[at].inc();
        self.sum_us.add(us);
    }
}

/// Those of one runner.
#[derive(Debug, Default)]
pub struct Histograms {
    of: [[Histogram; PHASES.len()]; ProbeType::ALL.len()],
}

impl Histograms {
    /// Those of one kind of probe, in the order of [`PHASES`].
    pub fn of(&self, probe: ProbeType) -> &[Histogram; PHASES.len()] {
        &self.of[probe.code() as usize - 1]
    }

    /// Counts a stored run; one without a value was not timed.
    pub fn observe(&self, probe: ProbeType, row: &NewResult) {
        let Some(value) = row.value else { return };
        let histograms = self.of(probe);
        histograms[0].observe((f64::from(value) * 1000.0).round().max(0.0) as u64);
        let phases = row.phases;
        let phases = [phases.dns, phases.connect, phases.tls, phases.first_byte, phases.transfer];
        for (histogram, us) in histograms[1..].iter().zip(phases) {
            if us > 0 {
                histogram.observe(u64::from(us));
            }
        }
    }
}
