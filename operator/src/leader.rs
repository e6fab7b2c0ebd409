//! The Kubernetes lease: who writes to the Kubernetes API and owns the definitions of this installation.
//!
//! As client-go does it: a holder renews by compare-and-swap on the resource version, others take the lease when they have
//! seen no renewal for its whole duration by their own clock, so that clocks of different nodes are never compared.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::OperatorConfig;
use crate::config::LeaseTiming;
use crate::error::Result;

/// Name of the lease.
pub const LEASE: &str = "nanomon-operator";

/// Whether this replica leads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// Until when the term surely lasts; `None`: not ours. A new term has a new number.
    term: watch::Receiver<Option<Term>>,
}

/// A term of leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Counts the terms of this process.
    pub number: u64,
    /// Nobody else can hold the lease before this.
    until: Instant,
}

impl Leadership {
    /// The present term. Its end is looked at on the clock: a process that was frozen does not go on writing.
    pub fn term(&self) -> Option<Term> {
        self.term.borrow().filter(|term| Instant::now() < term.until)
    }

    /// Waits until this replica leads, and answers the term.
    pub async fn wait(&mut self) -> Option<Term> {
        loop {
            if let Some(term) = self.term() {
                return Some(term);
            }
            self.term.changed().await.ok()?;
        }
    }

    /// Whether this term still lasts.
    pub fn holds(&self, term: Term) -> bool {
        self.term().is_some_and(|present| present.number == term.number)
    }
}

/// Starts competing; the task ends with `stop`, giving the lease back.
pub fn compete(client: Client, config: &OperatorConfig, stop: CancellationToken) -> (Leadership, Competitor) {
    let (sender, term) = watch::channel(None);
    let competitor = Competitor {
        leases: Api::namespaced(client, &config.release_namespace),
        identity: config.identity.clone(),
        timing: config.lease,
        sender,
        observed: None,
        stop,
    };
    (Leadership { term }, competitor)
}

/// The competing task's state.
pub struct Competitor {
    leases: Api<Lease>,
    identity: String,
    timing: LeaseTiming,
    sender: watch::Sender<Option<Term>>,
    /// The lease as last seen (holder and renewal), and since when it stands like this.
    observed: Option<(LeaseSpec, Instant)>,
    stop: CancellationToken,
}

impl Competitor {
    /// Competes until stopped.
    pub async fn run(mut self) -> Result<()> {
        let mut number = 0;
        while !self.stop.is_cancelled() {
            let asked = Instant::now();
            let holds = match tokio::time::timeout(self.timing.renew_within, self.take()).await {
                Ok(Ok(holds)) => Some(holds),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the lease could not be read or renewed");
                    None
                }
                Err(_) => None,
            };
            let present = *self.sender.borrow();
            let next = match (holds, present) {
                // Counted from before the request: others count from when they see the renewal, which is later.
                (Some(true), present) => {
                    let lasts = present.filter(|term| asked < term.until);
                    if lasts.is_none() {
                        number += 1;
                        tracing::info!(lease = LEASE, identity = %self.identity, "this replica leads");
                    }
                    Some(Term { number, until: asked + self.timing.renew_within })
                }
                (Some(false), _) => None,
                (None, present) => present.filter(|term| Instant::now() < term.until),
            };
            if present.is_some() && next.is_none() {
                tracing::warn!(lease = LEASE, "this replica does not lead any more");
            }
            if next != present {
                self.sender.send_replace(next);
            }
            tokio::select! {
                () = tokio::time::sleep(self.timing.retry) => {}
                () = self.stop.cancelled() => {}
            }
        }
        let led = self.sender.send_replace(None).is_some();
        if led {
            // The next leader need not wait. If this fails it waits the lease's duration.
            let released = tokio::time::timeout(Duration::from_secs(3), self.release()).await;
            tracing::debug!(released = matches!(released, Ok(Ok(()))), "the lease was given back");
        }
        Ok(())
    }

    /// Takes or renews the lease; true if it is ours.
    async fn take(&mut self) -> Result<bool> {
        let Some(lease) = self.leases.get_opt(LEASE).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() },
                spec: Some(self.spec(None)),
            };
            return match self.leases.create(&PostParams::default(), &lease).await {
                Ok(_) => Ok(true),
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
                Err(error) => Err(error.into()),
            };
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let ours = spec.holder_identity.as_deref() == Some(self.identity.as_str());
        if !ours && !self.has_run_out(&spec) {
            return Ok(false);
        }
        // The resource version makes this a compare-and-swap: of two that try, one is told of a conflict.
        let next = Lease { spec: Some(self.spec(Some(&spec))), ..lease };
        match self.leases.replace(LEASE, &PostParams::default(), &next).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether somebody else's lease stood still for its whole duration, by our clock.
    fn has_run_out(&mut self, spec: &LeaseSpec) -> bool {
        if spec.holder_identity.as_deref().unwrap_or_default().is_empty() {
            return true;
        }
        let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = duration.map_or(self.timing.duration, Duration::from_secs);
        match &self.observed {
            Some((seen, since)) if seen == spec => since.elapsed() >= duration,
            _ => {
                self.observed = Some((spec.clone(), Instant::now()));
                false
            }
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let ours = before.is_some_and(|spec| spec.holder_identity.as_deref() == Some(self.identity.as_str()));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(self.timing.duration.as_secs().max(1) as i32),
            acquire_time: if ours { before.and_then(|spec| spec.acquire_time.clone()) } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        }
    }

    async fn release(&self) -> Result<()> {
        let lease = self.leases.get(LEASE).await?;
        let spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_deref() == Some(self.identity.as_str()) {
            let spec = LeaseSpec { holder_identity: None, renew_time: None, acquire_time: None, ..spec };
            let lease = Lease { spec: Some(spec), ..lease };
            self.leases.replace(LEASE, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}
