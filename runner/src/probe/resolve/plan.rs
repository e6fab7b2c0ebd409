//! Which absolute names stand for the host that a user wrote, and in which order. Pure.

use std::net::IpAddr;

/// The names of a Kubernetes cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNames {
    /// The cluster's domain, `cluster.local` in most.
    pub domain: String,
}

/// A host as a probe dials it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// An address: nothing to ask.
    Addr(IpAddr),
    /// A name.
    Name(Names),
}

/// A name and how it is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// In lower case and ASCII, without a final dot: what the hosts file is asked for.
    pub written: Box<str>,
    /// Absolute names without a final dot, asked in this order until one exists.
    pub candidates: Box<[Box<str>]>,
}

/// Where a name is looked up from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place<'a> {
    /// Search domains of this machine; not used in a cluster, where they would be the runner's own namespace.
    pub search: &'a [String],
    /// The cluster and the monitor's namespace.
    pub cluster: Option<(&'a ClusterNames, &'a str)>,
}

impl Host {
    /// Reads a host name or an IP literal without brackets. `None` if it is neither.
    pub(crate) fn parse(host: &str, place: Place<'_>) -> Option<Self> {
        if let Ok(addr) = host.parse::<IpAddr>() {
            return Some(Self::Addr(addr));
        }
        let absolute = host.ends_with('.');
        let written = ascii_name(host.strip_suffix('.').unwrap_or(host))?;
        let candidates = if absolute { vec![written.clone()] } else { candidates(&written, place) };
        let candidates = candidates.into_iter().map(String::into_boxed_str).collect();
        Some(Self::Name(Names { written: written.into(), candidates }))
    }
}

fn candidates(name: &str, place: Place<'_>) -> Vec<String> {
    let dots = name.matches('.').count();
    let own = name.to_owned();
    if let Some((cluster, namespace)) = place.cluster {
        let domain = &cluster.domain;
        return match dots {
            0 => vec![format!("{name}.{namespace}.svc.{domain}"), own],
            1 => {
                let service = format!("{name}.svc.{domain}");
                vec![own, service]
            }
            _ if name.rsplit('.').next() == Some("svc") => {
                let service = format!("{name}.{domain}");
                vec![own, service]
            }
            _ => vec![own],
        };
    }
    let searched = place.search.iter().map(|domain| format!("{name}.{domain}"));
    if dots == 0 { searched.chain([own]).collect() } else { [own.clone()].into_iter().chain(searched).collect() }
}

/// Lower-case ASCII (punycode where needed) with labels of 1 to 63 characters, 253 in all.
fn ascii_name(name: &str) -> Option<String> {
    let ascii = if name.is_ascii() { name.to_ascii_lowercase() } else { ascii_by_url(name)? };
    let fits = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    (ascii.len() <= 253 && ascii.split('.').all(fits)).then_some(ascii)
}

fn ascii_by_url(name: &str) -> Option<String> {
    match url::Host::parse(name).ok()? {
        url::Host::Domain(domain) => Some(domain),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(host: &str, place: Place<'_>) -> Vec<String> {
        match Host::parse(host, place).unwrap() {
            Host::Addr(addr) => vec![format!("addr {addr}")],
            Host::Name(names) => names.candidates.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn in_a_cluster() {
        let cluster = ClusterNames { domain: "cluster.local".into() };
        let search = ["evil.example".to_owned()];
        let place = Place { search: &search, cluster: Some((&cluster, "shop")) };
        assert_eq!(names("web", place), ["web.shop.svc.cluster.local", "web"]);
        assert_eq!(names("web.other", place), ["web.other", "web.other.svc.cluster.local"]);
        assert_eq!(names("web.other.svc", place), ["web.other.svc", "web.other.svc.cluster.local"]);
        assert_eq!(names("web.other.svc.cluster.local", place), ["web.other.svc.cluster.local"]);
        assert_eq!(names("www.example.org", place), ["www.example.org"]);
        assert_eq!(names("web.", place), ["web"]);
        assert_eq!(names("::1", place), ["addr ::1"]);
    }

    #[test]
    fn on_a_host() {
        let search = ["corp.example".to_owned()];
        let place = Place { search: &search, cluster: None };
        assert_eq!(names("web", place), ["web.corp.example", "web"]);
        assert_eq!(names("WEB.Other", place), ["web.other", "web.other.corp.example"]);
        assert_eq!(names("bücher.example", Place::default()), ["xn--bcher-kva.example"]);
        assert_eq!(names("_x._tcp.a", Place::default()), ["_x._tcp.a"]);
    }

    #[test]
    fn no_names() {
        let long = "a.".repeat(127) + "a";
        for host in ["", ".", "a..b", "a b", "a/b", "[::1]", "a:80", &"x".repeat(64), &long.repeat(2)] {
            assert_eq!(Host::parse(host, Place::default()), None, "{host:?}");
        }
    }
}
