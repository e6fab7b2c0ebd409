//! The tcp probe: can a connection be opened, and how long does it take.

use nanomon_core::monitor::TcpTarget;
use nanomon_core::{OutputId, Outputs, Reason};

use super::resolve::Host;
use super::trace::Trace;
use super::{PrepareError, PrepareHints, Prober};

/// A tcp monitor, ready to run.
#[derive(Debug)]
pub(crate) struct TcpProbe {
    host: Host,
    port: u16,
}

impl TcpProbe {
    pub(crate) fn prepare(prober: &Prober, target: &TcpTarget, hints: &PrepareHints<'_>) -> Result<Self, PrepareError> {
        Ok(Self { host: prober.host(&target.host, hints)?, port: target.port })
    }

    /// Connects and closes at once. The value is resolution and connection together, as in the reference.
    pub(crate) async fn run(&self, prober: &Prober, trace: &mut Trace, outputs: &mut Outputs) -> Result<f64, Reason> {
        let (_stream, _) = prober.connect(&self.host, self.port, trace, outputs).await?;
        outputs.set_number(OutputId::RESP_TIME, trace.total_ms());
        Ok(trace.total_ms())
    }
}
