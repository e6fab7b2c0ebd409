//! This machine's own addresses, as the kernel lists them: a runner in a pod may not probe itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of all interfaces, loopback included; empty where the kernel does not show them.
pub fn own_addresses() -> Vec<IpAddr> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let v4 = local_v4(&read("/proc/net/fib_trie"));
    let v6 = local_v6(&read("/proc/net/if_inet6"));
    let mut found: Vec<IpAddr> = v4.into_iter().map(IpAddr::V4).chain(v6.into_iter().map(IpAddr::V6)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Leaves of the routing trie that are `/32 host LOCAL`: the address stands on the line of the leaf before.
fn local_v4(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut leaf: Option<Ipv4Addr> = None;
    let mut found = Vec::new();
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf);
        }
    }
    found
}

/// Lines that begin with 32 hexadecimal digits.
fn local_v6(if_inet6: &str) -> Vec<Ipv6Addr> {
    let first = |line: &str| u128::from_str_radix(line.split_whitespace().next()?, 16).ok();
    if_inet6.lines().filter_map(first).map(Ipv6Addr::from_bits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIB_TRIE: &str = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.244.1.0
        /24 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 10.244.1.0/24 2 0 2
        |-- 10.244.1.7
           /32 host LOCAL
        |-- 10.244.1.255
           /32 link BROADCAST
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
";

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(local_v4(FIB_TRIE), [Ipv4Addr::new(10, 244, 1, 7), Ipv4Addr::LOCALHOST]);
        let v6 = "00000000000000000000000000000001 01 80 10 80       lo\nfd000000000000000000000000000007 02 40 00 80 eth0\nx\n";
        assert_eq!(local_v6(v6), [Ipv6Addr::LOCALHOST, "fd00::7".parse().unwrap()]);
        assert!(local_v4("").is_empty() && local_v6("").is_empty());
    }

    #[test]
    fn this_machine_has_a_loopback() {
        assert!(own_addresses().contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
