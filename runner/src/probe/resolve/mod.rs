//! Names of targets to addresses: hosts file, then DNS, with a cache of at most 30 s. Not used by dns monitors, which ask
//! their server themselves.

mod files;
mod plan;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use futures::stream::{FuturesUnordered, StreamExt};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType};
use nanomon_core::Reason;
use tokio::time::Instant;

use super::dial::{Aim, Dialler};
use super::dns_wire::{self, Server};
pub use files::{Hosts, ResolvConf, parse_hosts, parse_resolv_conf};
pub use plan::ClusterNames;
pub(crate) use plan::{Host, Names, Place};

/// Longest time an answer is kept, whatever its TTL.
const TTL_MAX: Duration = Duration::from_secs(30);
/// Longest time a "no such name" is kept.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(5);
/// How long the other family is waited for once one has answered (RFC 8305).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// How long one server is waited for before the next is asked, in the first and in the second round.
const SERVER_PATIENCE: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(4)];
/// Age after which a lookup is not joined: all who waited may have left long ago, and its answer would be as old.
const PENDING_MAX: Duration = Duration::from_secs(12);
/// How often the system's files are looked at for changes.
const FILES_EVERY: Duration = Duration::from_secs(10);
/// Names in the cache after which it is swept.
const SWEEP_AT: usize = 4096;

/// Addresses in the order in which they are dialled: families alternate, IPv6 first.
pub(crate) type Addrs = Arc<[IpAddr]>;
type Answer = Result<Addrs, Reason>;
/// A lookup's answer and how long it may be kept.
type Lookup = Shared<BoxFuture<'static, (Answer, Duration)>>;

/// Where the resolver takes servers and hosts from.
#[derive(Clone, Debug)]
pub enum ResolverSource {
    /// `/etc/resolv.conf` and `/etc/hosts`, followed when they change.
    System,
    /// Fixed, for tests and special set-ups.
    Fixed {
        /// Servers and search domains.
        conf: ResolvConf,
        /// The hosts file's content.
        hosts: Hosts,
    },
}

/// Resolves names of targets. Shared by all probes of a runner.
#[derive(Debug)]
pub(crate) struct Resolver {
    dialler: Arc<Dialler>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    conf: ResolvConf,
    hosts: Hosts,
    files: Option<Files>,
    cache: HashMap<Box<str>, Entry>,
    sweep_at: usize,
}

#[derive(Debug)]
enum Entry {
    /// Being asked since then; whoever waits drives it.
    Pending(Lookup, Instant),
    /// Known until then.
    Known(Answer, Instant),
}

impl Resolver {
    pub(crate) fn new(dialler: Arc<Dialler>, source: ResolverSource) -> Self {
        let (conf, hosts, files) = match source {
            ResolverSource::Fixed { conf, hosts } => (conf, hosts, None),
            ResolverSource::System => {
                let mut files = Files::default();
                let conf = files.conf.read().map_or_else(|| parse_resolv_conf(""), |text| parse_resolv_conf(&text));
                let hosts = files.hosts.read().map_or_else(Hosts::new, |text| parse_hosts(&text));
                (conf, hosts, Some(files))
            }
        };
        Self { dialler, state: Mutex::new(State { conf, hosts, files, cache: HashMap::new(), sweep_at: SWEEP_AT }) }
    }

    /// The search domains that apply to names written now.
    pub(crate) fn search_domains(&self) -> Vec<String> {
        self.lock().conf.search.clone()
    }

    /// The system's servers, which are exempt from the policy as resolvers.
    pub(crate) fn system_servers(&self) -> Vec<SocketAddr> {
        let mut state = self.lock();
        state.follow_files();
        state.conf.servers.clone()
    }

    /// The addresses of a name. Ends by itself after some seconds of silence; the caller's deadline is usually earlier.
    pub(crate) async fn resolve(&self, names: &Names) -> Answer {
        if let Some(addrs) = self.local(&names.written) {
            return Ok(addrs);
        }
        let mut failure = Reason::DnsNxdomain;
        for candidate in &names.candidates {
            match self.lookup(candidate).await {
                Err(Reason::DnsNxdomain) => {}
                Err(Reason::DnsNoRecords) => failure = Reason::DnsNoRecords,
                known => return known,
            }
        }
        Err(failure)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names that need no DNS: the hosts file's, and `localhost` in any case (RFC 6761).
    fn local(&self, written: &str) -> Option<Addrs> {
        let mut state = self.lock();
        state.follow_files();
        if let Some(addrs) = state.hosts.get(written) {
            return Some(alternate(addrs.iter().copied()));
        }
        let localhost = written == "localhost" || written.ends_with(".localhost");
        localhost.then(|| alternate([IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)]))
    }

    async fn lookup(&self, name: &str) -> Answer {
        let lookup = {
            let mut state = self.lock();
            match state.cache.get(name) {
                Some(Entry::Known(answer, until)) if Instant::now() < *until => return answer.clone(),
                Some(Entry::Pending(lookup, since)) if since.elapsed() < PENDING_MAX => lookup.clone(),
                _ => {
                    state.sweep();
                    let servers = state.conf.servers.clone();
                    let lookup = ask_servers(self.dialler.clone(), servers, name.to_owned()).boxed().shared();
                    state.cache.insert(name.into(), Entry::Pending(lookup.clone(), Instant::now()));
                    lookup
                }
            }
        };
        let (answer, keep) = lookup.clone().await;
        let mut state = self.lock();
        if let Some(entry) = state.cache.get_mut(name)
            && matches!(entry, Entry::Pending(pending, _) if pending.ptr_eq(&lookup))
        {
            if keep.is_zero() {
                state.cache.remove(name);
            } else {
                *entry = Entry::Known(answer.clone(), Instant::now() + keep);
            }
        }
        answer
    }
}

impl State {
    /// Forgets what has expired and what nobody waits for, whenever the cache has doubled.
    fn sweep(&mut self) {
        if self.cache.len() < self.sweep_at {
            return;
        }
        let now = Instant::now();
        self.cache.retain(|_, entry| match entry {
            Entry::Known(_, until) => now < *until,
            Entry::Pending(lookup, _) => lookup.strong_count().is_some_and(|count| count > 1),
        });
        self.sweep_at = (self.cache.len() * 2).max(SWEEP_AT);
    }

    fn follow_files(&mut self) {
        let Some(files) = &mut self.files else { return };
        let now = Instant::now();
        if files.looked_at.is_some_and(|at| now.duration_since(at) < FILES_EVERY) {
            return;
        }
        files.looked_at = Some(now);
        if let Some(text) = files.conf.read_if_changed() {
            self.conf = parse_resolv_conf(&text);
        }
        if let Some(text) = files.hosts.read_if_changed() {
            self.hosts = parse_hosts(&text);
        }
    }
}

#[derive(Debug)]
struct Files {
    conf: Followed,
    hosts: Followed,
    looked_at: Option<Instant>,
}

impl Default for Files {
    fn default() -> Self {
        let followed = |path: &str| Followed { path: path.into(), modified: None };
        Self { conf: followed("/etc/resolv.conf"), hosts: followed("/etc/hosts"), looked_at: None }
    }
}

/// A small file that is read again when its time of change differs.
#[derive(Debug)]
struct Followed {
    path: PathBuf,
    modified: Option<SystemTime>,
}

impl Followed {
    fn read(&mut self) -> Option<String> {
        self.modified = std::fs::metadata(&self.path).and_then(|meta| meta.modified()).ok();
        std::fs::read_to_string(&self.path).ok()
    }

    fn read_if_changed(&mut self) -> Option<String> {
        let modified = std::fs::metadata(&self.path).and_then(|meta| meta.modified()).ok()?;
        if self.modified == Some(modified) { None } else { self.read() }
    }
}

/// Both families in alternation, IPv6 first, each in the given order.
fn alternate(addrs: impl IntoIterator<Item = IpAddr>) -> Addrs {
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = addrs.into_iter().partition(IpAddr::is_ipv6);
    let longest = v6.len().max(v4.len());
    (0..longest).flat_map(|i| [v6.get(i), v4.get(i)]).flatten().copied().collect()
}

/// Asks one server after the other, twice round.
async fn ask_servers(dialler: Arc<Dialler>, servers: Vec<SocketAddr>, name: String) -> (Answer, Duration) {
    let Ok(name) = Name::from_ascii(format!("{name}.")) else {
        return (Err(Reason::DnsError), Duration::ZERO);
    };
    let mut failure = Reason::DnsError;
    for patience in SERVER_PATIENCE {
        for addr in &servers {
            let server = Server { addr: *addr, aim: Aim::SystemResolver };
            match tokio::time::timeout(patience, ask_both(&dialler, server, &name)).await {
                Ok((answer @ (Ok(_) | Err(Reason::DnsNxdomain | Reason::DnsNoRecords)), keep)) => {
                    return (answer, keep);
                }
                Ok((Err(reason), _)) => failure = lookup_reason(reason),
                Err(_) => failure = Reason::DnsTimeout,
            }
        }
        if failure != Reason::DnsTimeout {
            break;
        }
    }
    (Err(failure), Duration::ZERO)
}

/// A resolver that cannot be reached is the name's failure, not the target's refusal.
fn lookup_reason(reason: Reason) -> Reason {
    match reason {
        Reason::DnsServfail | Reason::DnsRefused | Reason::DnsTimeout | Reason::Internal => reason,
        _ => Reason::DnsError,
    }
}

/// Asks one server for both families at once.
async fn ask_both(dialler: &Dialler, server: Server, name: &Name) -> (Answer, Duration) {
    let ask = |record_type| dns_wire::ask(dialler, server, name, record_type);
    let mut asked: FuturesUnordered<_> = [RecordType::AAAA, RecordType::A].map(ask).into_iter().collect();
    let mut found = Found::default();
    loop {
        let next = if found.addrs.is_empty() {
            Ok(asked.next().await)
        } else {
            tokio::time::timeout(RESOLUTION_DELAY, asked.next()).await
        };
        match next {
            Ok(Some(answer)) => found.add(answer),
            Ok(None) | Err(_) => return found.into_answer(),
        }
    }
}

/// What the two questions of a lookup found together.
#[derive(Debug, Default)]
struct Found {
    addrs: Vec<IpAddr>,
    failure: Option<Reason>,
    ttl: Option<Duration>,
}

impl Found {
    fn add(&mut self, answer: Result<Message, Reason>) {
        let (reason, ttl) = match answer {
            Err(reason) => (reason, None),
            Ok(message) => {
                let before = self.addrs.len();
                let mut ttl = u32::MAX;
                for record in &message.answers {
                    ttl = ttl.min(record.ttl);
                    match &record.data {
                        RData::A(a) => self.addrs.push(a.0.into()),
                        RData::AAAA(aaaa) => self.addrs.push(aaaa.0.into()),
                        _ => {}
                    }
                }
                match dns_wire::code_reason(&message) {
                    None if self.addrs.len() > before => (Reason::Ok, Some(ttl)),
                    None => (Reason::DnsNoRecords, negative_ttl(&message)),
                    Some(reason) => (reason, negative_ttl(&message)),
                }
            }
        };
        // "No such name" is about the name as a whole; a server's failure tells less, an absent record least.
        let weight = |reason: Reason| match reason {
            Reason::DnsNxdomain => 3,
            Reason::DnsNoRecords => 1,
            Reason::Ok => 0,
            _ => 2,
        };
        if self.failure.is_none_or(|known| weight(reason) > weight(known)) {
            self.failure = Some(reason);
        }
        let ttl = ttl.map_or(Duration::ZERO, |seconds| Duration::from_secs(seconds.into()));
        self.ttl = Some(self.ttl.map_or(ttl, |known| known.min(ttl)));
    }

    fn into_answer(self) -> (Answer, Duration) {
        let ttl = self.ttl.unwrap_or_default();
        if self.addrs.is_empty() {
            return (Err(self.failure.unwrap_or(Reason::DnsError)), ttl.min(NEGATIVE_TTL_MAX));
        }
        (Ok(alternate(self.addrs)), ttl.min(TTL_MAX))
    }
}

/// How long the zone lets "there is none" be kept (RFC 2308); without its SOA, not at all.
fn negative_ttl(message: &Message) -> Option<u32> {
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate() {
        let addrs = ["1.1.1.1", "2.2.2.2", "::1", "3.3.3.3", "::2"].map(|a| a.parse().unwrap());
        let expected = ["::1", "1.1.1.1", "::2", "2.2.2.2", "3.3.3.3"].map(|a| a.parse::<IpAddr>().unwrap());
        assert_eq!(alternate(addrs).as_ref(), expected);
    }
}
