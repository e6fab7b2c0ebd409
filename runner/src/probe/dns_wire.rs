//! One DNS question to one server: UDP, and TCP when the answer was cut. No cache, no fallback to another server.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use nanomon_core::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dial::{Aim, Dialler};

/// Payload that we accept over UDP; what resolvers have agreed on to stay clear of fragmentation.
const UDP_PAYLOAD: u16 = 1232;

/// How long an answer over UDP is waited for before the question is sent again: datagrams get lost.
const RESEND_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// A server and who aimed at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub addr: SocketAddr,
    pub aim: Aim,
}

/// Asks until an answer comes; a lost datagram is sent again after 1 s and after 2 s more. Does not end while the server is
/// silent: the caller has the deadline.
pub(crate) async fn ask(
    dialler: &Dialler,
    server: Server,
    name: &Name,
    record_type: RecordType,
) -> Result<Message, Reason> {
    let answer = ask_once(dialler, server, name, record_type, true).await?;
    if answer.metadata.response_code == ResponseCode::FormErr {
        // A server from before EDNS.
        return ask_once(dialler, server, name, record_type, false).await;
    }
    Ok(answer)
}

async fn ask_once(
    dialler: &Dialler,
    server: Server,
    name: &Name,
    record_type: RecordType,
    edns: bool,
) -> Result<Message, Reason> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name.clone(), record_type));
    if edns {
        let mut options = Edns::new();
        options.set_max_payload(UDP_PAYLOAD).set_version(0);
        question.set_edns(options);
    }
    let bytes = question.to_vec().map_err(|_| Reason::DnsError)?;
    let answer = over_udp(dialler, server, &question, &bytes).await?;
    if answer.metadata.truncation { over_tcp(dialler, server, &question, &bytes).await } else { Ok(answer) }
}

async fn over_udp(dialler: &Dialler, server: Server, question: &Message, bytes: &[u8]) -> Result<Message, Reason> {
    let socket = dialler.udp_dns(server.addr, server.aim).await?;
    let mut buffer = [0u8; 4096];
    let mut resend = RESEND_AFTER.into_iter();
    socket.send(bytes).await.map_err(|e| udp_reason(&e))?;
    let mut wait = resend.next();
    loop {
        let received = match wait {
            Some(wait) => tokio::time::timeout(wait, socket.recv(&mut buffer)).await,
            None => Ok(socket.recv(&mut buffer).await),
        };
        match received {
            Ok(Ok(length)) => {
                // Anything that is not the answer to this question is somebody else's datagram or a forgery.
                if let Some(answer) = answer_to(question, &buffer[..length])? {
                    return Ok(answer);
                }
            }
            Ok(Err(error)) => return Err(udp_reason(&error)),
            Err(_) => {
                socket.send(bytes).await.map_err(|e| udp_reason(&e))?;
                wait = resend.next();
            }
        }
    }
}

async fn over_tcp(dialler: &Dialler, server: Server, question: &Message, bytes: &[u8]) -> Result<Message, Reason> {
    let mut stream = dialler.tcp_dns(server.addr, server.aim).await?;
    let length = u16::try_from(bytes.len()).map_err(|_| Reason::DnsError)?;
    let mut framed = Vec::with_capacity(bytes.len() + 2);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await.map_err(|_| Reason::DnsError)?;
    let length = stream.read_u16().await.map_err(|_| Reason::DnsError)?;
    let mut answer = vec![0u8; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(|_| Reason::DnsError)?;
    answer_to(question, &answer)?.ok_or(Reason::DnsError)
}

/// `None`: not the answer to this question. An answer with our id that cannot be read is an error.
fn answer_to(question: &Message, bytes: &[u8]) -> Result<Option<Message>, Reason> {
    if bytes.get(..2) != Some(&question.metadata.id.to_be_bytes()[..]) {
        return Ok(None);
    }
    let answer = Message::from_vec(bytes).map_err(|_| Reason::DnsError)?;
    // Servers that refuse or fail may leave the question out.
    let same = answer.queries.is_empty()
        || answer.queries.iter().zip(&question.queries).all(|(theirs, ours)| {
            theirs.name().eq_ignore_root(ours.name()) && theirs.query_type() == ours.query_type()
        });
    Ok(same.then_some(answer))
}

/// The reason in the answer's response code; `None` for an answer without error.
pub(crate) fn code_reason(answer: &Message) -> Option<Reason> {
    match answer.metadata.response_code {
        ResponseCode::NoError => None,
        ResponseCode::NXDomain => Some(Reason::DnsNxdomain),
        ResponseCode::ServFail => Some(Reason::DnsServfail),
        ResponseCode::Refused => Some(Reason::DnsRefused),
        _ => Some(Reason::DnsError),
    }
}

fn udp_reason(error: &std::io::Error) -> Reason {
    use std::io::ErrorKind as K;
    match error.kind() {
        // An ICMP "port unreachable" came back: no DNS server there.
        K::ConnectionRefused => Reason::ConnectRefused,
        K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown => Reason::NoRoute,
        _ => Reason::DnsError,
    }
}
