//! `/etc/resolv.conf` and `/etc/hosts`, parsed by pure functions.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// What `/etc/resolv.conf` says, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// Servers in order; at most three, like the system's own resolver.
    pub servers: Vec<SocketAddr>,
    /// Domains that are tried after (or, for names without a dot, before) the name itself.
    pub search: Vec<String>,
}

/// The parser takes whatever it understands and skips the rest. Without a server it is the local one.
pub fn parse_resolv_conf(text: &str) -> ResolvConf {
    let mut servers = Vec::new();
    let mut search = Vec::new();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                // A scope (`fe80::1%eth0`) cannot be dialled by number here.
                if let Some(addr) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) {
                    servers.push(SocketAddr::new(addr, 53));
                }
            }
            Some("search" | "domain") => {
                search = words.map(|word| word.trim_matches('.').to_owned()).filter(|word| !word.is_empty()).collect();
            }
            _ => {}
        }
    }
    servers.truncate(3);
    if servers.is_empty() {
        servers.push(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 53));
    }
    ResolvConf { servers, search }
}

/// Names in lower case and their addresses in the file's order.
pub type Hosts = HashMap<Box<str>, Vec<IpAddr>>;

/// Reads the lines `address name…`; what it cannot read it skips.
pub fn parse_hosts(text: &str) -> Hosts {
    let mut hosts = Hosts::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(addr) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
            continue;
        };
        for name in words {
            let name = name.trim_end_matches('.').to_ascii_lowercase().into_boxed_str();
            let addrs = hosts.entry(name).or_default();
            if !addrs.contains(&addr) {
                addrs.push(addr);
            }
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_as_pods_have_it() {
        let conf = parse_resolv_conf(
            "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
        );
        assert_eq!(conf.servers, ["10.96.0.10:53".parse().unwrap()]);
        assert_eq!(conf.search, ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
    }

    #[test]
    fn resolv_conf_with_oddities() {
        let text = "; comment\nnameserver ::1 # v6\nnameserver nonsense\nnameserver\ndomain example.org.\nfoo bar\n";
        let conf = parse_resolv_conf(text);
        assert_eq!(conf.servers, ["[::1]:53".parse().unwrap()]);
        assert_eq!(conf.search, ["example.org"]);
        assert_eq!(parse_resolv_conf("").servers, ["127.0.0.1:53".parse().unwrap()]);
        let many = "nameserver 1.1.1.1\n".repeat(9);
        assert_eq!(parse_resolv_conf(&many).servers.len(), 3);
    }

    #[test]
    fn hosts_lines() {
        let hosts = parse_hosts("127.0.0.1 localhost Local.Host # c\n::1 localhost localhost\nbad line\n\n#x\n");
        assert_eq!(hosts["localhost"], ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(hosts["local.host"], ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(hosts.len(), 2);
    }
}
