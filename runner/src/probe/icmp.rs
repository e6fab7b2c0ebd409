//! ICMP echo over one socket per address family, shared by all ping monitors: datagram sockets, which need neither root
//! nor capabilities where `net.ipv4.ping_group_range` lets us, and raw ones outside pods.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nanomon_core::Reason;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Asked for, so that a burst of replies is not lost while the thread is busy; the system gives what it permits.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;
/// Bytes of an echo request behind its header: our token, padded to the usual 56.
const PAYLOAD: usize = 56;
const HEADER: usize = 8;
/// Pause after a failed read, so that a broken socket does not spin.
const AFTER_ERROR: Duration = Duration::from_millis(1);

/// Why an echo request brought no round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EchoError {
    /// It could not be sent.
    Send(Reason),
    /// No reply in time.
    Lost,
}

/// The sockets, opened by the first ping of their family on the runtime that runs it.
#[derive(Debug)]
pub(crate) struct EchoSockets {
    raw_permitted: bool,
    v4: Mutex<Option<Echo>>,
    v6: Mutex<Option<Echo>>,
}

impl EchoSockets {
    pub(crate) fn new(raw_permitted: bool) -> Self {
        Self { raw_permitted, v4: Mutex::default(), v6: Mutex::default() }
    }

    /// The socket for this address's family.
    pub(crate) fn to(&self, addr: IpAddr) -> Result<Echo, Reason> {
        let slot = if addr.is_ipv4() { &self.v4 } else { &self.v6 };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(echo) = slot.as_ref().filter(|echo| echo.is_alive()) {
            return Ok(echo.clone());
        }
        let echo = Echo::open(addr.is_ipv6(), self.raw_permitted).map_err(|e| open_reason(&e))?;
        *slot = Some(echo.clone());
        Ok(echo)
    }
}

/// One ICMP socket and those who wait for replies on it.
#[derive(Clone, Debug)]
pub(crate) struct Echo {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    socket: Arc<UdpSocket>,
    form: Form,
    waiting: Arc<Waiting>,
    receiver: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

/// How packets look on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    v6: bool,
    /// Raw: the kernel neither fills in nor filters by the identifier, and IPv4 packets come with their IP header.
    raw: bool,
    /// Our identifier; on datagram sockets the kernel writes its own.
    ident: u16,
}

/// Requests in flight. The key is the token in the payload, unique for the life of the socket.
#[derive(Debug, Default)]
struct Waiting {
    state: Mutex<WaitingState>,
}

#[derive(Debug)]
struct WaitingState {
    /// Begins at random, so that nobody can answer what they have not seen.
    next: u64,
    by_token: HashMap<u64, (IpAddr, oneshot::Sender<Instant>)>,
}

impl Default for WaitingState {
    fn default() -> Self {
        Self { next: RandomState::new().hash_one(0), by_token: HashMap::new() }
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, WaitingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a request however its run ends.
struct Registration<'a> {
    waiting: &'a Waiting,
    token: u64,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.waiting.lock().by_token.remove(&self.token);
    }
}

impl Echo {
    fn open(v6: bool, raw_permitted: bool) -> io::Result<Self> {
        let (domain, protocol) = if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
        let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (socket, false),
            Err(_) if raw_permitted => (Socket::new(domain, Type::RAW, Some(protocol))?, true),
            Err(error) => return Err(error),
        };
        socket.set_nonblocking(true)?;
        // More than the system's bound needs a privilege; without it this sets the bound, which is fine.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let socket = Arc::new(UdpSocket::from_std(socket.into())?);
        let form = Form { v6, raw, ident: std::process::id() as u16 };
        let waiting = Arc::new(Waiting::default());
        let receiver = tokio::spawn(receive(socket.clone(), form, waiting.clone())).abort_handle();
        Ok(Self { inner: Arc::new(Inner { socket, form, waiting, receiver }) })
    }

    /// False once its runtime is gone.
    fn is_alive(&self) -> bool {
        !self.inner.receiver.is_finished()
    }

    /// Sends one request and waits for its reply. The policy must have permitted the address.
    pub(crate) async fn request(&self, addr: IpAddr, timeout: Duration) -> Result<Duration, EchoError> {
        let Inner { socket, form, waiting, receiver: _ } = &*self.inner;
        let (sender, reply) = oneshot::channel();
        let token = {
            let mut state = waiting.lock();
            state.next = state.next.wrapping_add(1);
            let token = state.next;
            state.by_token.insert(token, (addr, sender));
            token
        };
        let _registration = Registration { waiting, token };
        let packet = form.request(token);
        let sent = Instant::now();
        socket.send_to(&packet, SocketAddr::new(addr, 0)).await.map_err(|e| EchoError::Send(send_reason(&e)))?;
        match tokio::time::timeout(timeout, reply).await {
            Ok(Ok(received)) => Ok(received.saturating_duration_since(sent)),
            Ok(Err(_)) => Err(EchoError::Send(Reason::Internal)),
            Err(_) => Err(EchoError::Lost),
        }
    }
}

/// Hands each reply to whoever waits for it. Never returns while the socket works.
async fn receive(socket: Arc<UdpSocket>, form: Form, waiting: Arc<Waiting>) {
    let mut buffer = [0u8; 512];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            // An ICMP error about an earlier request is reported here once; the request itself times out.
            tokio::time::sleep(AFTER_ERROR).await;
            continue;
        };
        let received = Instant::now();
        let Some(token) = form.reply_token(&buffer[..length]) else {
            continue;
        };
        let mut state = waiting.lock();
        // Only the address that was asked may answer.
        if state.by_token.get(&token).is_some_and(|(addr, _)| *addr == from.ip())
            && let Some((_, sender)) = state.by_token.remove(&token)
        {
            let _ = sender.send(received);
        }
    }
}

impl Form {
    /// An echo request with this token.
    fn request(self, token: u64) -> [u8; HEADER + PAYLOAD] {
        let mut packet = [0u8; HEADER + PAYLOAD];
        packet[0] = if self.v6 { 128 } else { 8 };
        packet[4..6].copy_from_slice(&self.ident.to_be_bytes());
        packet[6..8].copy_from_slice(&(token as u16).to_be_bytes());
        packet[HEADER..HEADER + 8].copy_from_slice(&token.to_be_bytes());
        // For ICMPv6 and on datagram sockets the kernel computes it (again).
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// The token of an echo reply to us; `None` for any other packet.
    fn reply_token(self, packet: &[u8]) -> Option<u64> {
        let packet = if self.raw && !self.v6 {
            let header = usize::from(*packet.first()? & 0x0f) * 4;
            packet.get(header..)?
        } else {
            packet
        };
        let reply = if self.v6 { 129 } else { 0 };
        if packet.len() < HEADER + 8 || packet[0] != reply {
            return None;
        }
        if self.raw && packet[4..6] != self.ident.to_be_bytes() {
            return None;
        }
        packet[HEADER..HEADER + 8].try_into().ok().map(u64::from_be_bytes)
    }
}

/// The internet checksum of a packet whose checksum field is zero.
fn checksum(packet: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in packet.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn open_reason(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Reason::IcmpNotPermitted,
        _ => Reason::IcmpError,
    }
}

fn send_reason(error: &io::Error) -> Reason {
    use io::ErrorKind as K;
    match error.kind() {
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown | K::AddrNotAvailable => Reason::NoRoute,
        // The socket was permitted; it is this packet that is not (a broadcast address, a local firewall).
        _ => Reason::IcmpError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(v6: bool, raw: bool) -> Form {
        Form { v6, raw, ident: 0x1234 }
    }

    /// The reply to a request as the kernel hands it over.
    fn reply(form: Form, token: u64) -> Vec<u8> {
        let mut packet = form.request(token).to_vec();
        packet[0] = if form.v6 { 129 } else { 0 };
        if form.raw && !form.v6 {
            let mut header = vec![0u8; 24];
            header[0] = 0x46;
            header.extend(packet);
            packet = header;
        }
        packet
    }

    #[test]
    fn replies_carry_their_token() {
        for (v6, raw) in [(false, false), (false, true), (true, false), (true, true)] {
            let form = form(v6, raw);
            assert_eq!(form.reply_token(&reply(form, 77)), Some(77));
            // On loopback a raw socket hears our own requests too.
            assert_eq!(form.reply_token(&form.request(77)), None);
            let other = Form { ident: 0x4321, ..form };
            assert_eq!(form.reply_token(&reply(other, 77)).is_some(), !raw, "only raw sockets hear others' replies");
        }
    }

    #[test]
    fn checksums_cancel_out() {
        let packet = form(false, true).request(0x0102_0304_0506_0708);
        assert_eq!(checksum(&packet), 0);
    }

    proptest! {
        #[test]
        fn no_packet_panics(packet in proptest::collection::vec(any::<u8>(), 0..80), v6 in any::<bool>(), raw in any::<bool>()) {
            let _ = form(v6, raw).reply_token(&packet);
        }
    }
}
