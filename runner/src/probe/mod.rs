//! The four probes: facts about a target, no judgement.
//!
//! ```text
//!  MonitorDef ──prepare (once per generation)──▶ PreparedProbe ──run (each slot)──▶ Outcome
//!                                                     │
//!                        resolve ──▶ dial (policy) ──▶ tls ──▶ http │ tcp │ ping │ dns
//! ```
//!
//! A run is one future on a single-threaded runtime; it spawns nothing, has its own deadline and never panics.

mod dial;
mod dns;
mod dns_wire;
mod http;
mod icmp;
mod ping;
mod policy;
mod resolve;
mod tcp;
mod tls;
mod trace;

use std::net::IpAddr;
use std::sync::Arc;

use nanomon_core::{MonitorDef, Outcome, OutputId, Outputs, Reason, Target};
use rustls::pki_types::CertificateDer;

pub use dial::Dialler;
pub use policy::{PolicyRule, TargetPolicy};
pub use resolve::{ClusterNames, Hosts, ResolvConf, ResolverSource, parse_hosts, parse_resolv_conf};
pub use tls::TlsSetupError;

use resolve::{Addrs, Host, Place, Resolver};
use trace::{Phase, Trace};

/// How probes of this process work.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// Which addresses may be dialled.
    pub policy: TargetPolicy,
    /// Where names of targets are resolved.
    pub resolver: ResolverSource,
    /// Names are those of this cluster.
    pub cluster: Option<ClusterNames>,
    /// Roots that are trusted beside the system's, in DER.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Raw sockets may be used where ICMP datagram sockets are not permitted; never in a pod.
    pub raw_icmp: bool,
}

impl Default for ProbeConfig {
    /// Outside of pods: the system's resolver and roots, raw sockets where permitted.
    fn default() -> Self {
        Self {
            policy: TargetPolicy::default(),
            resolver: ResolverSource::System,
            cluster: None,
            extra_roots: Vec::new(),
            raw_icmp: true,
        }
    }
}

/// What a definition does not say itself but a probe must know.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrepareHints<'a> {
    /// The monitor's namespace, from which `name` and `name.namespace` are resolved in a cluster.
    pub namespace: Option<&'a str>,
    /// The rule reads `body`. A `bodyRegex` needs no hint.
    pub rule_reads_body: bool,
}

/// Why a definition cannot be probed. Definitions are checked when they are saved, so this is rare.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Neither a name nor an address.
    #[error("host: {0:?} is neither a host name nor an IP address")]
    Host(String),
    /// The URL cannot be requested.
    #[error("http.url: {0}")]
    Url(&'static str),
    /// The method cannot be used.
    #[error("http.method: {0:?} cannot be used here")]
    Method(String),
    /// A header cannot be sent.
    #[error("http.headers: {0:?} has a name or value that cannot be sent")]
    Header(String),
    /// The name cannot be asked for.
    #[error("dns.name: {0:?} is no DNS name")]
    DnsName(String),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

/// What all probes of a process share: resolver and cache, TLS configurations, ICMP sockets, policy. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prober {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dialler: Arc<Dialler>,
    resolver: Resolver,
    cluster: Option<ClusterNames>,
    tls: tls::TlsConfigs,
    headers: http::SharedHeaders,
    echo: icmp::EchoSockets,
}

/// A monitor's probe with everything that can be done once: addresses parsed, headers built, TLS configuration chosen.
#[derive(Debug)]
pub struct PreparedProbe {
    kind: Kind,
    timeout: std::time::Duration,
}

#[derive(Debug)]
enum Kind {
    Http(Box<http::HttpProbe>),
    Tcp(tcp::TcpProbe),
    Ping(ping::PingProbe),
    Dns(dns::DnsProbe),
}

impl Prober {
    /// Reads the system's roots and resolver files. Opens no socket; those come with the first run, on its runtime.
    pub fn new(config: ProbeConfig) -> Result<Self, TlsSetupError> {
        let ProbeConfig { policy, resolver, cluster, extra_roots, raw_icmp } = config;
        let raw_icmp = raw_icmp && !policy.in_pod;
        let dialler = Arc::new(Dialler::new(policy));
        let shared = Shared {
            resolver: Resolver::new(dialler.clone(), resolver),
            dialler,
            cluster,
            tls: tls::TlsConfigs::new(&extra_roots)?,
            headers: http::SharedHeaders::default(),
            echo: icmp::EchoSockets::new(raw_icmp),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The dialler, for everything else that a user can aim.
    pub fn dialler(&self) -> &Dialler {
        &self.shared.dialler
    }

    /// Does once per generation what need not be done per run.
    pub fn prepare(&self, def: &MonitorDef, hints: PrepareHints<'_>) -> Result<PreparedProbe, PrepareError> {
        let kind = match &def.target {
            Target::Http(target) => Kind::Http(Box::new(http::HttpProbe::prepare(self, target, &hints)?)),
            Target::Tcp(target) => Kind::Tcp(tcp::TcpProbe::prepare(self, target, &hints)?),
            Target::Ping(target) => Kind::Ping(ping::PingProbe::prepare(self, target, &hints)?),
            Target::Dns(target) => Kind::Dns(dns::DnsProbe::prepare(self, target, &hints)?),
        };
        Ok(PreparedProbe { kind, timeout: def.target.timeout() })
    }

    fn host(&self, host: &str, hints: &PrepareHints<'_>) -> Result<Host, PrepareError> {
        let search = self.shared.resolver.search_domains();
        let cluster = self.shared.cluster.as_ref().zip(hints.namespace);
        Host::parse(host, Place { search: &search, cluster }).ok_or_else(|| PrepareError::Host(host.to_owned()))
    }

    /// Resolves a host, ending the run's dns phase.
    async fn addrs(&self, host: &Host, trace: &mut Trace) -> Result<HostAddrs, Reason> {
        match host {
            Host::Addr(addr) => {
                trace.skip(Phase::Dns);
                Ok(HostAddrs::One([*addr]))
            }
            Host::Name(names) => {
                trace.enter(Phase::Dns);
                let addrs = self.shared.resolver.resolve(names).await?;
                trace.end(Phase::Dns);
                Ok(HostAddrs::Many(addrs))
            }
        }
    }

    /// Resolves and connects, ending both phases and noting the address talked to.
    async fn connect(
        &self,
        host: &Host,
        port: u16,
        trace: &mut Trace,
        outputs: &mut Outputs,
    ) -> Result<(tokio::net::TcpStream, IpAddr), Reason> {
        let addrs = self.addrs(host, trace).await?;
        trace.enter(Phase::Connect);
        let (stream, addr) = self.shared.dialler.tcp(&addrs, port).await?;
        trace.end(Phase::Connect);
        outputs.set_text(OutputId::IP_ADDRESS, addr.to_string());
        Ok((stream, addr))
    }
}

/// Addresses of a host, without an allocation for a literal.
#[derive(Debug)]
enum HostAddrs {
    One([IpAddr; 1]),
    Many(Addrs),
}

impl std::ops::Deref for HostAddrs {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        match self {
            Self::One(addr) => addr,
            Self::Many(addrs) => addrs,
        }
    }
}

impl PreparedProbe {
    /// Runs once. Takes no longer than the monitor's timeout (a ping: than its whole train needs) and reports whatever was
    /// found until then.
    pub async fn run(&self, prober: &Prober) -> Outcome {
        let mut outcome = Outcome::failed(Reason::Ok);
        let mut trace = Trace::start();
        let work = async {
            match &self.kind {
                Kind::Http(probe) => probe.run(prober, &mut trace, &mut outcome).await,
                Kind::Tcp(probe) => probe.run(prober, &mut trace, &mut outcome.outputs).await,
                Kind::Ping(probe) => probe.run(prober, &mut trace, &mut outcome.outputs).await,
                Kind::Dns(probe) => probe.run(prober, &mut trace, &mut outcome.outputs).await,
            }
        };
        // The work is polled before the clock, so that an answer which is already in the socket when the deadline has passed
        // (this thread was held up) still counts.
        let deadline = match &self.kind {
            Kind::Ping(probe) => probe.longest(),
            Kind::Http(_) | Kind::Tcp(_) | Kind::Dns(_) => self.timeout,
        };
        let ended = tokio::time::timeout(deadline, work).await;
        match ended {
            Ok(Ok(value)) => outcome.value = Some(value),
            Ok(Err(reason)) => outcome.reason = reason,
            Err(_) => outcome.reason = trace.timeout_reason(),
        }
        if !matches!(self.kind, Kind::Dns(_)) {
            trace.write(&mut outcome.outputs);
        }
        outcome
    }
}
