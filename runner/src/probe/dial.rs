//! The one dialler: the only place that connects sockets to addresses a user can aim at. It asks the target policy about
//! each address it is about to dial; a lint forbids connecting anywhere else.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use nanomon_core::Reason;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::policy::TargetPolicy;

/// Head start of each address over the next one (RFC 8305 "Happy Eyeballs").
const STAGGER: Duration = Duration::from_millis(250);

/// Connects sockets, policy first.
#[derive(Clone, Debug, Default)]
pub struct Dialler {
    policy: TargetPolicy,
}

/// Who aims a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// The user: the policy applies.
    User,
    /// The system's resolver configuration: exempt, as a resolver only.
    SystemResolver,
}

impl Dialler {
    /// A dialler under this policy.
    pub fn new(policy: TargetPolicy) -> Self {
        Self { policy }
    }

    /// Whether the policy lets this address be dialled; for senders that have no connection (ICMP).
    pub(crate) fn permit(&self, addr: IpAddr) -> Result<(), Reason> {
        self.policy.check(addr).map_err(|_| Reason::BlockedByPolicy)
    }

    /// Opens a TCP connection to the first of these addresses that accepts, each having a head start over the next. Addresses
    /// that the policy blocks are left out; if that leaves none, the run is blocked.
    pub async fn tcp(&self, addrs: &[IpAddr], port: u16) -> Result<(TcpStream, IpAddr), Reason> {
        if let [addr] = addrs {
            self.permit(*addr)?;
            return Ok((connect_tcp(SocketAddr::new(*addr, port)).await?, *addr));
        }
        let mut waiting = addrs.iter().filter(|addr| self.permit(**addr).is_ok());
        let mut attempts = FuturesUnordered::new();
        let mut failure = if addrs.is_empty() { Reason::DnsNoRecords } else { Reason::BlockedByPolicy };
        loop {
            let more = waiting.next();
            if let Some(addr) = more {
                let attempt = async move { (connect_tcp(SocketAddr::new(*addr, port)).await, *addr) };
                attempts.push(attempt);
            }
            let ended = if more.is_some() {
                tokio::time::timeout(STAGGER, attempts.next()).await
            } else {
                Ok(attempts.next().await)
            };
            match ended {
                Ok(Some((Ok(stream), addr))) => return Ok((stream, addr)),
                Ok(Some((Err(reason), _))) => failure = reason,
                Ok(None) => return Err(failure),
                Err(_) => {}
            }
        }
    }

    /// A TCP connection for DNS.
    pub(crate) async fn tcp_dns(&self, server: SocketAddr, aim: Aim) -> Result<TcpStream, Reason> {
        if aim == Aim::User {
            self.permit(server.ip())?;
        }
        connect_tcp(server).await
    }

    /// A UDP socket that takes datagrams of this server only, from a port of the kernel's choice.
    pub(crate) async fn udp_dns(&self, server: SocketAddr, aim: Aim) -> Result<UdpSocket, Reason> {
        if aim == Aim::User {
            self.permit(server.ip())?;
        }
        connect_udp(server).await.map_err(|e| connect_reason(&e, server))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one dialler; every caller above has asked the policy")]
async fn connect_tcp(addr: SocketAddr) -> Result<TcpStream, Reason> {
    let connect = async {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_nodelay(true)?;
        socket.connect(addr).await
    };
    connect.await.map_err(|e| connect_reason(&e, addr))
}

#[expect(clippy::disallowed_methods, reason = "this is the one dialler; every caller above has asked the policy")]
async fn connect_udp(addr: SocketAddr) -> io::Result<UdpSocket> {
    let local: SocketAddr = if addr.is_ipv4() { ([0u8; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(addr).await?;
    Ok(socket)
}

/// What a failed connect says about the target, or about ourselves.
fn connect_reason(error: &io::Error, addr: SocketAddr) -> Reason {
    use io::ErrorKind as K;
    match error.kind() {
        K::ConnectionRefused => Reason::ConnectRefused,
        K::TimedOut => Reason::ConnectTimeout,
        K::ConnectionReset | K::ConnectionAborted => Reason::ConnectReset,
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown => Reason::NoRoute,
        // With IPv6 it means that this machine has no IPv6 address; with IPv4, that our ports have run out.
        K::AddrNotAvailable if addr.is_ipv6() => Reason::NoRoute,
        K::AddrNotAvailable | K::OutOfMemory => Reason::Internal,
        _ => match error.raw_os_error() {
            Some(ENFILE | EMFILE | ENOBUFS) => Reason::Internal,
            _ => Reason::ConnectError,
        },
    }
}

// Linux numbers; std has no stable kinds for them.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOBUFS: i32 = 105;

/// What a failed read or write on an established connection says.
pub(crate) fn stream_reason(error: &io::Error) -> Reason {
    use io::ErrorKind as K;
    // In TLS 1.3 the server may refuse us (a missing client certificate, say) after our side of the handshake is done.
    if error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some() {
        return Reason::TlsHandshake;
    }
    match error.kind() {
        K::ConnectionReset | K::ConnectionAborted => Reason::ConnectReset,
        K::TimedOut => Reason::Timeout,
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown => Reason::NoRoute,
        K::InvalidData | K::InvalidInput => Reason::HttpProtocol,
        _ => Reason::HttpClosed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_shortages_are_not_the_targets_fault() {
        let v4: SocketAddr = "192.0.2.1:80".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
        const EADDRNOTAVAIL: i32 = 99;
        for (code, addr, reason) in [
            (EMFILE, v4, Reason::Internal),
            (ENFILE, v4, Reason::Internal),
            (ENOBUFS, v6, Reason::Internal),
            (EADDRNOTAVAIL, v4, Reason::Internal),
            (EADDRNOTAVAIL, v6, Reason::NoRoute),
            (111, v4, Reason::ConnectRefused),
            (110, v4, Reason::ConnectTimeout),
            (104, v4, Reason::ConnectReset),
            (113, v4, Reason::NoRoute),
            (101, v6, Reason::NoRoute),
            (1, v4, Reason::ConnectError),
        ] {
            assert_eq!(connect_reason(&io::Error::from_raw_os_error(code), addr), reason, "{code}");
        }
    }
}
