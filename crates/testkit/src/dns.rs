//! A real DNS server, UDP and TCP on one port, whose zone a test writes and changes while it runs.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use crate::guard::Running;

/// How a question is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These records of the type that is asked for, and this TTL in seconds.
    Records(Vec<RData>, u32),
    /// The name exists without a record of this type; may be kept for this many seconds.
    NoRecords(u32),
    /// The name does not exist; may be kept for this many seconds.
    NxDomain(u32),
    /// The server failed.
    ServFail,
    /// The server refuses.
    Refused,
    /// No answer at all.
    Silent,
    /// Over UDP an empty, truncated answer, over TCP these records.
    Truncated(Vec<RData>),
    /// Bytes that are no DNS message, though they begin with the question's id.
    Garbage,
    /// An answer to another question, then the right one.
    ForgedFirst(Vec<RData>),
    /// Like `Records`, after this time.
    Late(Vec<RData>, Duration),
    /// Silent on the first question, `Records` on the next ones, as when a datagram is lost.
    LostOnce(Vec<RData>),
    /// "Format error" to a question with EDNS, these records to one without: a server from before 1999.
    NoEdns(Vec<RData>),
}

/// The server. Names that the zone does not have do not exist. Dropped, it ends.
#[derive(Debug)]
pub struct DnsServer {
    addr: SocketAddr,
    zone: Arc<Zone>,
    _running: Running,
}

#[derive(Debug, Default)]
struct Zone {
    state: Mutex<ZoneState>,
}

#[derive(Debug, Default)]
struct ZoneState {
    replies: HashMap<(String, RecordType), Reply>,
    asked: HashMap<(String, RecordType), usize>,
}

impl Zone {
    fn lock(&self) -> MutexGuard<'_, ZoneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(name: &str, record_type: RecordType) -> (String, RecordType) {
    (name.trim_end_matches('.').to_ascii_lowercase(), record_type)
}

impl DnsServer {
    /// Starts on a free port of 127.0.0.1, with an empty zone.
    pub async fn start() -> Result<Self> {
        // UDP and TCP need the same number; another process may hold one of the two.
        for _ in 0..32 {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.context("binding the DNS server")?;
            let addr = udp.local_addr()?;
            let Ok(tcp) = TcpListener::bind(addr).await else {
                continue;
            };
            let zone = Arc::new(Zone::default());
            let running = Running::spawn(serve(udp, tcp, zone.clone()));
            return Ok(Self { addr, zone, _running: running });
        }
        bail!("no port is free for both UDP and TCP")
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets the reply to a question, from now on.
    pub fn set(&self, name: &str, record_type: RecordType, reply: Reply) {
        self.zone.lock().replies.insert(key(name, record_type), reply);
    }

    /// Sets A and AAAA records by their addresses; a family without any has no records.
    pub fn set_addrs(&self, name: &str, addrs: &[&str], ttl: u32) -> Result<()> {
        let addrs = addrs.iter().map(|addr| addr.parse()).collect::<Result<Vec<std::net::IpAddr>, _>>()?;
        let (v4, v6): (Vec<_>, Vec<_>) =
            addrs.into_iter().map(RData::from).partition(|r| r.record_type() == RecordType::A);
        for (record_type, records) in [(RecordType::A, v4), (RecordType::AAAA, v6)] {
            let reply = if records.is_empty() { Reply::NoRecords(ttl) } else { Reply::Records(records, ttl) };
            self.set(name, record_type, reply);
        }
        Ok(())
    }

    /// How often this question was asked.
    pub fn asked(&self, name: &str, record_type: RecordType) -> usize {
        self.zone.lock().asked.get(&key(name, record_type)).copied().unwrap_or(0)
    }
}

async fn serve(udp: UdpSocket, tcp: TcpListener, zone: Arc<Zone>) {
    let udp = Arc::new(udp);
    let mut conversations = JoinSet::new();
    let mut buffer = [0u8; 4096];
    loop {
        while conversations.try_join_next().is_some() {}
        tokio::select! {
            received = udp.recv_from(&mut buffer) => {
                let Ok((length, from)) = received else { continue };
                let (question, zone, udp) = (buffer[..length].to_vec(), zone.clone(), udp.clone());
                conversations.spawn(async move {
                    for answer in answers(&question, &zone, false).await {
                        let _ = udp.send_to(&answer, from).await;
                    }
                });
            }
            accepted = tcp.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let zone = zone.clone();
                conversations.spawn(async move {
                    let _ = converse(stream, &zone).await;
                });
            }
        }
    }
}

async fn converse(mut stream: TcpStream, zone: &Zone) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0u8; usize::from(length)];
        stream.read_exact(&mut question).await?;
        for answer in answers(&question, zone, true).await {
            stream.write_u16(answer.len() as u16).await?;
            stream.write_all(&answer).await?;
        }
    }
}

/// The messages that answer a question, in order.
async fn answers(question: &[u8], zone: &Zone, over_tcp: bool) -> Vec<Vec<u8>> {
    let Ok(question) = Message::from_vec(question) else {
        return Vec::new();
    };
    let Some(query) = question.queries.first() else {
        return Vec::new();
    };
    let name = query.name().to_ascii();
    let (reply, times) = {
        let mut state = zone.lock();
        let key = key(&name, query.query_type());
        let times = state.asked.entry(key.clone()).or_default();
        *times += 1;
        let times = *times;
        (state.replies.get(&key).cloned().unwrap_or(Reply::NxDomain(0)), times)
    };
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    let add = |answer: &mut Message, records: Vec<RData>, ttl: u32| {
        answer.add_answers(records.into_iter().map(|data| Record::from_rdata(query.name().clone(), ttl, data)));
    };
    let mut messages = Vec::new();
    match reply {
        Reply::Records(records, ttl) => add(&mut answer, records, ttl),
        Reply::NoRecords(ttl) => {
            answer.add_authority(soa(ttl));
        }
        Reply::NxDomain(ttl) => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            answer.add_authority(soa(ttl));
        }
        Reply::ServFail => answer.metadata.response_code = ResponseCode::ServFail,
        Reply::Refused => answer.metadata.response_code = ResponseCode::Refused,
        Reply::Silent => return Vec::new(),
        Reply::Truncated(records) if over_tcp => add(&mut answer, records, 60),
        Reply::Truncated(_) => answer.metadata.truncation = true,
        Reply::Garbage => {
            let mut bytes = question.metadata.id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&[0xff; 40]);
            return vec![bytes];
        }
        Reply::ForgedFirst(records) => {
            let mut forged = answer.clone();
            forged.metadata.id = forged.metadata.id.wrapping_add(1);
            add(&mut forged, vec![RData::A(Ipv4Addr::new(6, 6, 6, 6).into())], 60);
            messages.push(forged);
            add(&mut answer, records, 60);
        }
        Reply::Late(records, pause) => {
            tokio::time::sleep(pause).await;
            add(&mut answer, records, 60);
        }
        Reply::LostOnce(_) if times == 1 => return Vec::new(),
        Reply::NoEdns(_) if question.edns.is_some() => answer.metadata.response_code = ResponseCode::FormErr,
        Reply::LostOnce(records) | Reply::NoEdns(records) => add(&mut answer, records, 60),
    }
    messages.push(answer);
    messages.iter().filter_map(|message| message.to_vec().ok()).collect()
}

/// The zone's start of authority, which says how long "there is none" may be kept.
fn soa(ttl: u32) -> Record {
    let data = SOA::new(Name::root(), Name::root(), 1, 3600, 600, 86_400, ttl);
    Record::from_rdata(Name::root(), ttl, RData::SOA(data))
}
