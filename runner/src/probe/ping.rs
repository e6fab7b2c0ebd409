//! The ping probe: a train of ICMP echo requests.

use std::net::IpAddr;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use nanomon_core::monitor::PingTarget;
use nanomon_core::{OutputId, Outputs, Reason};
use tokio::time::Instant;

use super::icmp::{Echo, EchoError};
use super::resolve::Host;
use super::trace::{Phase, Trace, ms};
use super::{PrepareError, PrepareHints, Prober};

/// A ping monitor, ready to run.
#[derive(Debug)]
pub(crate) struct PingProbe {
    host: Host,
    count: u8,
    interval: Duration,
    timeout: Duration,
}

impl PingProbe {
    pub(crate) fn prepare(
        prober: &Prober,
        target: &PingTarget,
        hints: &PrepareHints<'_>,
    ) -> Result<Self, PrepareError> {
        let PingTarget { host, count, interval, timeout } = target;
        Ok(Self { host: prober.host(host, hints)?, count: (*count).max(1), interval: *interval, timeout: *timeout })
    }

    /// The time after which a run has certainly ended: each request has its own timeout, and so has the name's resolution.
    pub(crate) fn longest(&self) -> Duration {
        self.interval * u32::from(self.count - 1) + self.timeout * 2 + Duration::from_millis(50)
    }

    /// Sends the train and waits for each reply. The value is the average round trip; a lost request is no failure as long
    /// as one reply comes.
    pub(crate) async fn run(&self, prober: &Prober, trace: &mut Trace, outputs: &mut Outputs) -> Result<f64, Reason> {
        let resolved = tokio::time::timeout(self.timeout, prober.addrs(&self.host, trace)).await;
        let addrs = resolved.unwrap_or(Err(Reason::DnsTimeout))?;
        let addr = permitted(prober, &addrs)?;
        trace.enter(Phase::FirstByte);
        let echo = prober.shared.echo.to(addr)?;
        outputs.set_text(OutputId::IP_ADDRESS, addr.to_string());
        let first = Instant::now();
        let train: FuturesUnordered<_> = (0..self.count).map(|n| self.request(&echo, addr, first, n)).collect();
        let replies: Vec<Result<Duration, EchoError>> = train.collect().await;

        let rtts: Vec<f64> = replies.iter().filter_map(|reply| reply.as_ref().ok()).map(|rtt| ms(*rtt)).collect();
        outputs.set_number(OutputId::PACKETS_RECV, rtts.len() as f64);
        let loss = 1.0 - rtts.len() as f64 / f64::from(self.count);
        outputs.set_number(OutputId::PACKET_LOSS, loss * 100.0);
        if rtts.is_empty() {
            let failure = replies.iter().find_map(|reply| match reply {
                Err(EchoError::Send(reason)) => Some(*reason),
                _ => None,
            });
            return Err(failure.unwrap_or(Reason::PingNoReply));
        }
        let average = rtts.iter().sum::<f64>() / rtts.len() as f64;
        outputs.set_number(OutputId::MIN_RTT, rtts.iter().copied().fold(f64::INFINITY, f64::min));
        outputs.set_number(OutputId::AVG_RTT, average);
        outputs.set_number(OutputId::MAX_RTT, rtts.iter().copied().fold(0.0, f64::max));
        Ok(average)
    }

    async fn request(&self, echo: &Echo, addr: IpAddr, first: Instant, n: u8) -> Result<Duration, EchoError> {
        if n > 0 {
            tokio::time::sleep_until(first + self.interval * u32::from(n)).await;
        }
        echo.request(addr, self.timeout).await
    }
}

/// The first address that may be dialled; IPv4 before IPv6, as ICMP has no way to race them.
fn permitted(prober: &Prober, addrs: &[IpAddr]) -> Result<IpAddr, Reason> {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = addrs.iter().partition(|addr| addr.is_ipv4());
    let mut sorted = v4.into_iter().chain(v6);
    sorted.find(|addr| prober.shared.dialler.permit(*addr).is_ok()).ok_or(Reason::BlockedByPolicy)
}
