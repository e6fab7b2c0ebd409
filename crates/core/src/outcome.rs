//! What a run found: facts without judgement.

use std::borrow::Cow;

use crate::ProbeType;
use crate::monitor::limits;
use crate::reason::Reason;

/// The facts of one run, as the probe hands them to the judge.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// [`Reason::Ok`] if the target answered; else why the run failed.
    pub reason: Reason,
    /// The reference's value in milliseconds (response time, average round trip); `None` if there was no answer.
    pub value: Option<f64>,
    /// Everything measured, also of a run that failed half way.
    pub outputs: Outputs,
    /// The body as far as it was read: for the rule and `bodyRegex` only, never stored or logged.
    pub body: Option<String>,
    /// The body was longer than [`limits::BODY_BYTES`] and was cut.
    pub body_cut: bool,
}

impl Outcome {
    /// A run that failed before anything was measured.
    pub fn failed(reason: Reason) -> Self {
        Self { reason, value: None, outputs: Outputs::default(), body: None, body_cut: false }
    }
}

/// The kind of values that an output takes, which decides how it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// Milliseconds, fractions allowed; stored to the microsecond.
    Millis,
    /// A whole number, possibly negative.
    Count,
    /// A number with a fraction.
    Number,
    /// Text.
    Text,
    /// Number or text (`regexMatch`).
    Either,
}

/// An output's identity. The numbers are stored: never renumber, only add (below 64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutputId(u8);

macro_rules! outputs {
    ($($(#[$doc:meta])* $konst:ident = $id:literal, $name:literal, $kind:ident;)*) => {
        impl OutputId {
            $($(#[$doc])* pub const $konst: OutputId = OutputId($id);)*

            const NAMED: &'static [(OutputId, &'static str, OutputKind)] =
                &[$((OutputId($id), $name, OutputKind::$kind)),*];
        }
    };
}

outputs! {
    /// Whole response time.
    RESP_TIME = 1, "respTime", Millis;
    /// Name resolution.
    DNS_TIME = 2, "dnsTime", Millis;
    /// TCP connection.
    CONNECT_TIME = 3, "connectTime", Millis;
    /// TLS handshake.
    TLS_TIME = 4, "tlsTime", Millis;
    /// From the request sent to the first byte of the answer.
    FIRST_BYTE_TIME = 5, "firstByteTime", Millis;
    /// From the first byte to the end of the body.
    TRANSFER_TIME = 6, "transferTime", Millis;
    /// HTTP status code.
    STATUS = 7, "status", Count;
    /// Bytes of the body (declared, or read).
    BODY_LEN = 8, "bodyLen", Count;
    /// Whole days until the leaf certificate expires; negative if it has.
    CERT_EXPIRY_DAYS = 9, "certExpiryDays", Count;
    /// What `bodyRegex` found.
    REGEX_MATCH = 10, "regexMatch", Either;
    /// The address that was talked to.
    IP_ADDRESS = 11, "ipAddress", Text;
    /// `1.0`, `1.1` or `2`.
    HTTP_VERSION = 12, "httpVersion", Text;
    /// Redirects followed.
    REDIRECTS = 13, "redirects", Count;
    /// Smallest round trip.
    MIN_RTT = 20, "minRtt", Millis;
    /// Average round trip.
    AVG_RTT = 21, "avgRtt", Millis;
    /// Largest round trip.
    MAX_RTT = 22, "maxRtt", Millis;
    /// Replies received.
    PACKETS_RECV = 23, "packetsRecv", Count;
    /// Percentage of requests without a reply.
    PACKET_LOSS = 24, "packetLoss", Number;
    /// Records in the answer (all of them, also those beyond the kept ones).
    RESULT_COUNT = 30, "resultCount", Count;
    /// The body; for rules only, never part of stored [`Outputs`].
    BODY = 60, "body", Text;
    /// The failure reason's word; for rules and views, made from the result's reason.
    REASON = 61, "reason", Text;
}

impl OutputId {
    const RESULT_BASE: u8 = 64;

    /// `resultN`, N from 1 to [`limits::DNS_ANSWERS`].
    pub fn result(n: usize) -> Option<Self> {
        (1..=limits::DNS_ANSWERS).contains(&n).then(|| Self(Self::RESULT_BASE + n as u8))
    }

    /// The stored number.
    pub fn code(self) -> u8 {
        self.0
    }

    /// Reads the stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        if code > Self::RESULT_BASE {
            return Self::result(usize::from(code - Self::RESULT_BASE));
        }
        Self::NAMED.iter().map(|(id, ..)| *id).find(|id| id.0 == code)
    }

    /// The name in rules, the API and metrics.
    pub fn name(self) -> Cow<'static, str> {
        match Self::NAMED.iter().find(|(id, ..)| *id == self) {
            Some((_, name, _)) => Cow::Borrowed(name),
            None => Cow::Owned(format!("result{}", self.0 - Self::RESULT_BASE)),
        }
    }

    /// The kind of its values.
    pub fn kind(self) -> OutputKind {
        Self::NAMED.iter().find(|(id, ..)| *id == self).map_or(OutputKind::Text, |(_, _, kind)| *kind)
    }

    /// The output with this name, if any type has one.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some((id, ..)) = Self::NAMED.iter().find(|(_, n, _)| *n == name) {
            return Some(*id);
        }
        let n = name.strip_prefix("result")?;
        if n.starts_with('0') || n.starts_with('+') {
            return None;
        }
        Self::result(n.parse().ok()?)
    }

    /// The outputs that a run of this type can have, in display order; `resultN` are left out (see [`Self::result`]).
    pub fn of(probe: ProbeType) -> &'static [OutputId] {
        match probe {
            ProbeType::Http => &[
                Self::RESP_TIME,
                Self::STATUS,
                Self::BODY_LEN,
                Self::DNS_TIME,
                Self::CONNECT_TIME,
                Self::TLS_TIME,
                Self::FIRST_BYTE_TIME,
                Self::TRANSFER_TIME,
                Self::CERT_EXPIRY_DAYS,
                Self::REGEX_MATCH,
                Self::IP_ADDRESS,
                Self::HTTP_VERSION,
                Self::REDIRECTS,
                Self::BODY,
                Self::REASON,
            ],
            ProbeType::Tcp => &[Self::RESP_TIME, Self::DNS_TIME, Self::CONNECT_TIME, Self::IP_ADDRESS, Self::REASON],
            ProbeType::Ping => &[
                Self::MIN_RTT,
                Self::AVG_RTT,
                Self::MAX_RTT,
                Self::PACKETS_RECV,
                Self::PACKET_LOSS,
                Self::DNS_TIME,
                Self::IP_ADDRESS,
                Self::REASON,
            ],
            ProbeType::Dns => &[Self::RESP_TIME, Self::RESULT_COUNT, Self::REASON],
        }
    }

    /// Whether a rule of this type may name it.
    pub fn belongs_to(self, probe: ProbeType) -> bool {
        (probe == ProbeType::Dns && self.0 > Self::RESULT_BASE) || Self::of(probe).contains(&self)
    }
}

/// A single output's value.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputValue {
    /// Milliseconds, counts and other numbers.
    Number(f64),
    /// Texts.
    Text(Box<str>),
}

/// The stored outputs of one run, in ascending order of [`OutputId`], each at most once; never [`OutputId::BODY`] or
/// [`OutputId::REASON`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs(Vec<(OutputId, OutputValue)>);

impl Outputs {
    /// Sets or replaces one output.
    pub fn set(&mut self, id: OutputId, value: OutputValue) {
        match self.0.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (id, value)),
        }
    }

    /// Sets a number.
    pub fn set_number(&mut self, id: OutputId, value: f64) {
        self.set(id, OutputValue::Number(value));
    }

    /// Sets a text.
    pub fn set_text(&mut self, id: OutputId, value: impl Into<Box<str>>) {
        self.set(id, OutputValue::Text(value.into()));
    }

    /// One output.
    pub fn get(&self, id: OutputId) -> Option<&OutputValue> {
        self.0.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| &self.0[at].1)
    }

    /// One output as a number, if it is one.
    pub fn number(&self, id: OutputId) -> Option<f64> {
        match self.get(id) {
            Some(OutputValue::Number(n)) => Some(*n),
            _ => None,
        }
    }

    /// All of them in ascending order of id.
    pub fn iter(&self) -> impl Iterator<Item = (OutputId, &OutputValue)> {
        self.0.iter().map(|(id, value)| (*id, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The JSON object that the API shows: names to numbers and strings.
    pub fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        self.iter()
            .map(|(id, value)| {
                let value = match value {
                    OutputValue::Number(n) if n.fract() == 0.0 && n.abs() < 9e15 => serde_json::Value::from(*n as i64),
                    OutputValue::Number(n) => serde_json::Value::from(*n),
                    OutputValue::Text(text) => serde_json::Value::from(text.as_ref()),
                };
                (id.name().into_owned(), value)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_names_and_codes_agree() {
        for probe in ProbeType::ALL {
            for &id in OutputId::of(probe) {
                assert_eq!(OutputId::from_name(&id.name()), Some(id));
                assert_eq!(OutputId::from_code(id.code()), Some(id));
                assert!(id.belongs_to(probe));
            }
        }
        assert_eq!(OutputId::from_name("result20"), OutputId::result(20));
        for name in ["result0", "result21", "result01", "result+1", "result", "nope"] {
            assert_eq!(OutputId::from_name(name), None, "{name}");
        }
        assert!(OutputId::result(1).unwrap().belongs_to(ProbeType::Dns));
        assert!(!OutputId::result(1).unwrap().belongs_to(ProbeType::Http));
    }

    #[test]
    fn set_keeps_order_and_replaces() {
        let mut outputs = Outputs::default();
        outputs.set_number(OutputId::STATUS, 200.0);
        outputs.set_number(OutputId::RESP_TIME, 1.5);
        outputs.set_number(OutputId::STATUS, 404.0);
        let ids: Vec<_> = outputs.iter().map(|(id, _)| id).collect();
        assert_eq!(ids, [OutputId::RESP_TIME, OutputId::STATUS]);
        assert_eq!(serde_json::Value::Object(outputs.to_json()), serde_json::json!({"respTime": 1.5, "status": 404}));
    }
}
