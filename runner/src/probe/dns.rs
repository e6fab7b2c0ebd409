//! The dns probe: asks a server for records and shows them. Nothing is cached, and neither hosts file nor search domains
//! play a part: the name is asked as it is written.

use std::net::SocketAddr;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, RecordType as Wire};
use nanomon_core::monitor::{DnsTarget, Network, RecordType, limits};
use nanomon_core::{OutputId, Outputs, Reason};

use super::dial::Aim;
use super::dns_wire::{self, Server};
use super::resolve::Host;
use super::trace::{Phase, Trace};
use super::{PrepareError, PrepareHints, Prober};

/// A dns monitor, ready to run.
#[derive(Debug)]
pub(crate) struct DnsProbe {
    name: Name,
    types: &'static [Wire],
    server: Option<(Host, u16)>,
}

impl DnsProbe {
    pub(crate) fn prepare(prober: &Prober, target: &DnsTarget, hints: &PrepareHints<'_>) -> Result<Self, PrepareError> {
        let name = absolute_name(&target.name).ok_or_else(|| PrepareError::DnsName(target.name.clone()))?;
        let server = match &target.server {
            Some(server) => Some((prober.host(&server.host, hints)?, server.port)),
            None => None,
        };
        Ok(Self { name, types: wire_types(target.record_type, target.network), server })
    }

    /// Asks, and lists the records. The value is the time of the whole lookup.
    pub(crate) async fn run(&self, prober: &Prober, trace: &mut Trace, outputs: &mut Outputs) -> Result<f64, Reason> {
        trace.enter(Phase::Dns);
        let servers = self.servers(prober).await?;
        let mut ended = Err(Reason::DnsError);
        for server in servers {
            ended = self.ask(prober, server).await;
            // The system's next server is for when one cannot answer at all, as the system's own resolver has it.
            if ended.is_ok() || self.server.is_some() {
                break;
            }
            if matches!(ended, Err(Reason::DnsNxdomain | Reason::DnsNoRecords)) {
                break;
            }
        }
        trace.end(Phase::Dns);
        let records = ended?;
        outputs.set_number(OutputId::RESP_TIME, trace.total_ms());
        outputs.set_number(OutputId::RESULT_COUNT, records.len() as f64);
        for (n, record) in records.into_iter().take(limits::DNS_ANSWERS).enumerate() {
            if let Some(id) = OutputId::result(n + 1) {
                outputs.set_text(id, cut(record));
            }
        }
        Ok(trace.total_ms())
    }

    async fn servers(&self, prober: &Prober) -> Result<Vec<Server>, Reason> {
        let system = prober.shared.resolver.system_servers();
        let aimed = |addr: SocketAddr| {
            let aim = if system.contains(&addr) { Aim::SystemResolver } else { Aim::User };
            Server { addr, aim }
        };
        let Some((host, port)) = &self.server else {
            return Ok(system.iter().copied().map(aimed).collect());
        };
        let addr = match host {
            Host::Addr(addr) => *addr,
            // One server is asked, not all addresses of its name: the first that may be dialled.
            Host::Name(names) => {
                let addrs = prober.shared.resolver.resolve(names).await?;
                let permitted = addrs.iter().find(|addr| prober.shared.dialler.permit(**addr).is_ok());
                *permitted.ok_or(Reason::BlockedByPolicy)?
            }
        };
        Ok(vec![aimed(SocketAddr::new(addr, *port))])
    }

    async fn ask(&self, prober: &Prober, server: Server) -> Result<Vec<String>, Reason> {
        let dialler = &prober.shared.dialler;
        let asked = self.types.iter().map(|wire| dns_wire::ask(dialler, server, &self.name, *wire));
        let mut records = Vec::new();
        let mut failure = Reason::DnsNoRecords;
        for (answer, wire) in futures::future::join_all(asked).await.into_iter().zip(self.types) {
            let answer = answer.and_then(|answer| dns_wire::code_reason(&answer).map_or(Ok(answer), Err));
            match answer {
                Ok(answer) => records.extend(of_type(&answer, *wire)),
                Err(reason) => failure = reason,
            }
        }
        // As in the reference, one family's addresses are enough.
        if records.is_empty() { Err(failure) } else { Ok(records) }
    }
}

/// The records of one type in an answer as texts; those of an MX in order of preference.
fn of_type(answer: &Message, wire: Wire) -> impl Iterator<Item = String> {
    let data = answer.answers.iter().map(|record| &record.data);
    let mut data: Vec<&RData> = data.filter(|data| data.record_type() == wire).collect();
    data.sort_by_key(|data| if let RData::MX(mx) = data { mx.preference } else { 0 });
    data.into_iter().filter_map(text)
}

/// The name as it is asked: absolute, in punycode where needed.
fn absolute_name(text: &str) -> Option<Name> {
    let mut name = if text.is_ascii() { Name::from_ascii(text) } else { Name::from_utf8(text) }.ok()?;
    name.set_fqdn(true);
    (!name.is_root() || text == ".").then_some(name)
}

/// The questions of a lookup: an `A` monitor asks for the families of its network, the others for their own type.
fn wire_types(record_type: RecordType, network: Network) -> &'static [Wire] {
    match (record_type, network) {
        (RecordType::A, Network::Ip) => &[Wire::A, Wire::AAAA],
        (RecordType::A, Network::Ip4) => &[Wire::A],
        (RecordType::A, Network::Ip6) | (RecordType::Aaaa, _) => &[Wire::AAAA],
        (RecordType::Cname, _) => &[Wire::CNAME],
        (RecordType::Txt, _) => &[Wire::TXT],
        (RecordType::Mx, _) => &[Wire::MX],
        (RecordType::Ns, _) => &[Wire::NS],
    }
}

/// A record as the reference's lookups return it: names end in a dot, an MX is `host. preference`, in order of
/// preference, and the strings of a TXT are joined without a space.
fn text(data: &RData) -> Option<String> {
    match data {
        RData::A(a) => Some(a.0.to_string()),
        RData::AAAA(aaaa) => Some(aaaa.0.to_string()),
        RData::CNAME(name) => Some(name.0.to_ascii()),
        RData::NS(name) => Some(name.0.to_ascii()),
        RData::MX(mx) => Some(format!("{} {}", mx.exchange.to_ascii(), mx.preference)),
        RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect()),
        _ => None,
    }
}

/// At most [`limits::DNS_ANSWER_BYTES`], cut at a character, with control characters replaced.
fn cut(mut text: String) -> String {
    if text.len() > limits::DNS_ANSWER_BYTES {
        text.truncate(text.floor_char_boundary(limits::DNS_ANSWER_BYTES));
    }
    if text.contains(char::is_control) { text.replace(char::is_control, "\u{fffd}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_cut_at_characters() {
        assert_eq!(cut("a".repeat(300)).len(), 255);
        let umlauts = cut("ü".repeat(200));
        assert_eq!(umlauts, "ü".repeat(127));
        assert_eq!(cut("a\0b\nc".into()), "a\u{fffd}b\u{fffd}c");
    }

    #[test]
    fn names_are_absolute() {
        assert_eq!(absolute_name("A.example").unwrap().to_ascii(), "A.example.");
        assert_eq!(absolute_name("_dmarc.a.example.").unwrap().to_ascii(), "_dmarc.a.example.");
        assert_eq!(absolute_name("bücher.example").unwrap().to_ascii(), "xn--bcher-kva.example.");
        for bad in ["a..b", &"x".repeat(64), &"a.".repeat(200)] {
            assert_eq!(absolute_name(bad), None, "{bad:?}");
        }
    }
}
