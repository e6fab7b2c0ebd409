//! The target policy: which addresses a probe may dial. Pure; asked by the dialler for every address, so that redirects
//! and names that change their answer are covered like literal targets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Which rule of the policy refused an address. Shown instead of the address, which a tenant may not learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyRule {
    /// 169.254.0.0/16 or fe80::/10: neighbours of the node, cloud metadata among them.
    LinkLocal,
    /// A cloud's metadata or host service outside the link-local range.
    CloudMetadata,
    /// 0.0.0.0/8 or ::, which Linux takes for loopback.
    Unspecified,
    /// A group of hosts.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Loopback, in a pod only: the runner's own ports and its sidecars answer there.
    Loopback,
    /// One of the pod's own addresses.
    OwnAddress,
    /// Denied by a CIDR of the pool.
    DeniedCidr,
    /// The pool lists allowed CIDRs, and this is in none of them.
    NotAllowedCidr,
}

/// What may be dialled. Built-in denials first, then denied CIDRs, then, if any are given, allowed CIDRs: a denial always
/// wins, and an allowed CIDR never opens what is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Running in a pod: loopback and `own_addresses` are denied too.
    pub in_pod: bool,
    /// The pod's own addresses; looked at only with `in_pod`.
    pub own_addresses: Vec<IpAddr>,
    /// If not empty, nothing outside these is dialled.
    pub allow: Vec<IpNet>,
    /// Never dialled.
    pub deny: Vec<IpNet>,
}

const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
const ALIBABA_METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
const AWS_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254);

impl TargetPolicy {
    /// Whether this address may be dialled; both the address itself and every IPv4 address that it carries must pass.
    pub fn check(&self, addr: IpAddr) -> Result<(), PolicyRule> {
        let mut form = Some(addr);
        while let Some(addr) = form {
            self.check_form(addr)?;
            form = match addr {
                IpAddr::V6(v6) => carried_v4(v6).map(IpAddr::V4),
                IpAddr::V4(_) => None,
            };
        }
        // A list of allowed networks names the target in either of its forms.
        let carried = match addr {
            IpAddr::V6(v6) => carried_v4(v6).map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        let listed = |addr: IpAddr| self.allow.iter().any(|net| net.contains(&addr));
        if self.allow.is_empty() || listed(addr) || carried.is_some_and(listed) {
            Ok(())
        } else {
            Err(PolicyRule::NotAllowedCidr)
        }
    }

    fn check_form(&self, addr: IpAddr) -> Result<(), PolicyRule> {
        match addr {
            IpAddr::V4(v4) => check_v4(v4)?,
            IpAddr::V6(v6) => check_v6(v6)?,
        }
        if self.in_pod {
            if addr.is_loopback() {
                return Err(PolicyRule::Loopback);
            }
            if self.own_addresses.contains(&addr) {
                return Err(PolicyRule::OwnAddress);
            }
        }
        if self.deny.iter().any(|net| net.contains(&addr)) {
            return Err(PolicyRule::DeniedCidr);
        }
        Ok(())
    }
}

fn check_v4(addr: Ipv4Addr) -> Result<(), PolicyRule> {
    if addr.octets()[0] == 0 {
        return Err(PolicyRule::Unspecified);
    }
    if addr.is_link_local() {
        return Err(PolicyRule::LinkLocal);
    }
    if addr == AZURE_HOST || addr == ALIBABA_METADATA {
        return Err(PolicyRule::CloudMetadata);
    }
    if addr.is_multicast() {
        return Err(PolicyRule::Multicast);
    }
    if addr.is_broadcast() {
        return Err(PolicyRule::Broadcast);
    }
    Ok(())
}

fn check_v6(addr: Ipv6Addr) -> Result<(), PolicyRule> {
    if addr.is_unspecified() {
        return Err(PolicyRule::Unspecified);
    }
    if addr.is_unicast_link_local() {
        return Err(PolicyRule::LinkLocal);
    }
    if addr == AWS_METADATA {
        return Err(PolicyRule::CloudMetadata);
    }
    if addr.is_multicast() {
        return Err(PolicyRule::Multicast);
    }
    Ok(())
}

/// The IPv4 address to which a packet for this IPv6 address may be translated: IPv4-mapped and -compatible, 6to4, and
/// NAT64 in its well-known (RFC 6052) and local (RFC 8215) prefixes.
fn carried_v4(addr: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = addr.segments();
    let tail = || Some(Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7])));
    match s {
        // ::1 and :: are themselves, not IPv4-compatible addresses
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => tail(),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(policy: &TargetPolicy, addr: &str) -> Result<(), PolicyRule> {
        policy.check(addr.parse().unwrap())
    }

    #[test]
    fn built_in_denials() {
        use PolicyRule::*;
        let policy = TargetPolicy::default();
        for (addr, rule) in [
            ("169.254.169.254", LinkLocal),
            ("169.254.0.1", LinkLocal),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("168.63.129.16", CloudMetadata),
            ("100.100.100.200", CloudMetadata),
            ("fd00:ec2::254", CloudMetadata),
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("::", Unspecified),
            ("224.0.0.1", Multicast),
            ("239.255.255.250", Multicast),
            ("ff02::1", Multicast),
            ("255.255.255.255", Broadcast),
        ] {
            assert_eq!(check(&policy, addr), Err(rule), "{addr}");
        }
        for addr in
            ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "1.1.1.1", "2606:4700::1", "fd00::1", "100.100.100.201"]
        {
            assert_eq!(check(&policy, addr), Ok(()), "{addr}");
        }
    }

    #[test]
    fn carried_addresses_are_unwrapped() {
        let policy = TargetPolicy::default();
        for addr in [
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            assert_eq!(check(&policy, addr), Err(PolicyRule::LinkLocal), "{addr}");
        }
        assert_eq!(check(&policy, "2002:7f00:1::"), Ok(()));
        let pod = TargetPolicy { in_pod: true, ..TargetPolicy::default() };
        for addr in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"] {
            assert_eq!(check(&pod, addr), Err(PolicyRule::Loopback), "{addr}");
        }
    }

    #[test]
    fn own_addresses_only_in_a_pod() {
        let own_addresses = vec!["10.1.2.3".parse().unwrap(), "fd00::3".parse().unwrap()];
        let pod = TargetPolicy { in_pod: true, own_addresses, ..TargetPolicy::default() };
        assert_eq!(check(&pod, "10.1.2.3"), Err(PolicyRule::OwnAddress));
        assert_eq!(check(&pod, "::ffff:10.1.2.3"), Err(PolicyRule::OwnAddress));
        assert_eq!(check(&pod, "fd00::3"), Err(PolicyRule::OwnAddress));
        assert_eq!(check(&pod, "10.1.2.4"), Ok(()));
        let host = TargetPolicy { in_pod: false, ..pod };
        assert_eq!(check(&host, "10.1.2.3"), Ok(()));
    }

    #[test]
    fn deny_wins_over_allow() {
        let policy = TargetPolicy {
            allow: vec!["10.0.0.0/8".parse().unwrap(), "169.254.0.0/16".parse().unwrap()],
            deny: vec!["10.9.0.0/16".parse().unwrap()],
            ..TargetPolicy::default()
        };
        assert_eq!(check(&policy, "10.1.1.1"), Ok(()));
        assert_eq!(check(&policy, "::ffff:10.1.1.1"), Ok(()));
        assert_eq!(check(&policy, "10.9.1.1"), Err(PolicyRule::DeniedCidr));
        assert_eq!(check(&policy, "::ffff:10.9.1.1"), Err(PolicyRule::DeniedCidr));
        assert_eq!(check(&policy, "169.254.169.254"), Err(PolicyRule::LinkLocal));
        assert_eq!(check(&policy, "8.8.8.8"), Err(PolicyRule::NotAllowedCidr));
        assert_eq!(check(&policy, "2606:4700::1"), Err(PolicyRule::NotAllowedCidr));
    }

    proptest! {
        #[test]
        fn a_mapped_address_fares_like_itself(bits in any::<u32>(), in_pod in any::<bool>()) {
            let v4 = Ipv4Addr::from(bits);
            let policy = TargetPolicy { in_pod, ..TargetPolicy::default() };
            prop_assert_eq!(policy.check(v4.into()), policy.check(v4.to_ipv6_mapped().into()));
        }
    }
}
