//! The stopwatch of a run: gapless phases, so that their sum is the response time.

use std::time::Duration;

use nanomon_core::{OutputId, Outputs, Reason};
use tokio::time::Instant;

/// A part of a run. Everything between two marks belongs to exactly one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Name resolution.
    Dns,
    /// TCP connection.
    Connect,
    /// TLS handshake.
    Tls,
    /// From the connection to the head of the answer.
    FirstByte,
    /// The body.
    Transfer,
}

const PHASES: [(Phase, OutputId); 5] = [
    (Phase::Dns, OutputId::DNS_TIME),
    (Phase::Connect, OutputId::CONNECT_TIME),
    (Phase::Tls, OutputId::TLS_TIME),
    (Phase::FirstByte, OutputId::FIRST_BYTE_TIME),
    (Phase::Transfer, OutputId::TRANSFER_TIME),
];

/// Time spent per phase, over all hops of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    started: Instant,
    last: Instant,
    running: Phase,
    spent: [Option<Duration>; PHASES.len()],
}

impl Trace {
    /// Starts the watch.
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { started: now, last: now, running: Phase::Dns, spent: [None; PHASES.len()] }
    }

    /// From here on a deadline falls into this phase.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.running = phase;
    }

    /// Ends a phase: the time since the last mark is its own.
    pub(crate) fn end(&mut self, phase: Phase) {
        let now = Instant::now();
        *self.spent[phase as usize].get_or_insert_default() += now.duration_since(self.last);
        self.last = now;
    }

    /// A phase that took no time because there was nothing to do.
    pub(crate) fn skip(&mut self, phase: Phase) {
        self.spent[phase as usize].get_or_insert_default();
    }

    /// Milliseconds from the start to the last mark, which is the sum of all phases.
    pub(crate) fn total_ms(&self) -> f64 {
        ms(self.last.duration_since(self.started))
    }

    /// Writes the phases that ended at least once.
    pub(crate) fn write(&self, outputs: &mut Outputs) {
        for (phase, id) in PHASES {
            if let Some(spent) = self.spent[phase as usize] {
                outputs.set_number(id, ms(spent));
            }
        }
    }

    /// What a deadline in the current phase means.
    pub(crate) fn timeout_reason(&self) -> Reason {
        match self.running {
            Phase::Dns => Reason::DnsTimeout,
            Phase::Connect => Reason::ConnectTimeout,
            Phase::Tls | Phase::FirstByte | Phase::Transfer => Reason::Timeout,
        }
    }
}

/// Milliseconds as the outputs carry them.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
