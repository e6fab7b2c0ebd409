//! `/metrics` of a runner, in both text forms: (a) the reference's form, a gauge named after each monitor; (b) fixed families
//! per monitor; (c) what the runner knows of itself.
//!
//! Written from what the recorder has left in the meters; the probe thread takes no part. Ten thousand monitors are some
//! megabytes of text, so it comes in pieces.

use std::sync::Arc;

use nanomon_service::exposition::{Exposition, MetricsSource};

use crate::histogram::Histograms;
use crate::meter::SeriesMeter;
use crate::registry::Registry;
use crate::stats::Stats;

mod families;
mod named;
mod own;
mod text;

/// Monitors above which the reference's form switches itself off.
pub const NAMED_MAX: usize = 2_000;
/// Bytes of a piece, roughly.
const PIECE_BYTES: usize = 64 << 10;

/// Reads a runner's metrics; cheap to clone, works before, during and after its run.
#[derive(Clone, Debug, Default)]
pub struct MetricsHandle {
    pub(crate) registry: Arc<Registry>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) histograms: Arc<Histograms>,
    named: bool,
    pool: Arc<str>,
}

impl MetricsHandle {
    /// For a runner of this pool; `named`: write the reference's form too.
    pub fn new(pool: &str, named: bool) -> Self {
        Self { named, pool: pool.into(), ..Self::default() }
    }

    /// The text in pieces of about 64 KiB, each made when it is asked for; without `# EOF`.
    pub fn pieces(&self, form: Exposition) -> Pieces {
        let series = self.registry.list();
        let named = self.named && series.len() <= NAMED_MAX;
        let named = if named { named::group(&series) } else { Vec::new() };
        Pieces { handle: self.clone(), form, series, named, step: 0, at: 0 }
    }

    /// The whole text without `# EOF`.
    pub fn render_text(&self, form: Exposition) -> String {
        self.pieces(form).collect()
    }
}

impl MetricsSource for MetricsHandle {
    fn render(&self, form: Exposition, out: &mut String) {
        for piece in self.pieces(form) {
            out.push_str(&piece);
        }
    }
}

/// The text in pieces.
pub struct Pieces {
    handle: MetricsHandle,
    form: Exposition,
    series: Vec<Arc<SeriesMeter>>,
    named: Vec<named::Group>,
    /// 0: the runner's own; then a family per step; then the named groups.
    step: usize,
    /// Series of the family, or named group, that comes next.
    at: usize,
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut out = String::with_capacity(PIECE_BYTES + 4096);
        while out.len() < PIECE_BYTES {
            let families = families::ALL.len();
            if self.step == 0 {
                let off = self.handle.named && self.named.is_empty() && !self.series.is_empty();
                own::write(&self.handle, &self.handle.pool, off, self.form, &mut out);
                self.step = 1;
            } else if self.step <= families {
                let family = &families::ALL[self.step - 1];
                if self.at == 0 {
                    family.head(self.form, &mut out);
                }
                while self.at < self.series.len() && out.len() < PIECE_BYTES {
                    family.line(&self.series[self.at], &mut out);
                    self.at += 1;
                }
                if self.at >= self.series.len() {
                    (self.step, self.at) = (self.step + 1, 0);
                }
            } else if self.at < self.named.len() {
                self.named[self.at].write(&mut out);
                self.at += 1;
            } else {
                break;
            }
        }
        (!out.is_empty()).then_some(out)
    }
}

#[cfg(test)]
mod tests;
