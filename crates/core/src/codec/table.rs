//! Which outputs a type's bytes hold, in which order and form.

use crate::monitor::ProbeType;
use crate::outcome::OutputId;

/// How an output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Thousandths (microseconds of a time, thousandths of a percent) as a varint.
    Thousandths,
    /// Microseconds beyond what the response time leaves after the other phases, signed: mostly one byte.
    Remainder,
    /// A whole number, signed.
    Count,
    /// An IP address in binary, or any other text.
    Address,
    /// One byte for the known versions, or a text.
    HttpVersion,
    /// A number or a text.
    Either,
}

/// A form that takes no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usual {
    /// The time that is stored beside the outputs as the result's value.
    Value,
    /// This number.
    Number(u16),
    /// An IPv4 address: four bytes, but none that says so.
    Ipv4,
    /// HTTP 1.1.
    Http11,
    /// As many as there are `resultN`.
    Results,
}

/// The layout of a type in version 1: never to be changed.
pub(super) struct Table {
    pub(super) fields: &'static [(OutputId, Form)],
    pub(super) usual: &'static [(OutputId, Usual)],
}

impl Table {
    pub(super) fn of(probe: ProbeType) -> &'static Table {
        match probe {
            ProbeType::Http => &Table {
                fields: &[
                    (OutputId::RESP_TIME, Form::Thousandths),
                    (OutputId::STATUS, Form::Count),
                    (OutputId::BODY_LEN, Form::Count),
                    (OutputId::DNS_TIME, Form::Thousandths),
                    (OutputId::CONNECT_TIME, Form::Thousandths),
                    (OutputId::TLS_TIME, Form::Thousandths),
                    (OutputId::FIRST_BYTE_TIME, Form::Thousandths),
                    (OutputId::TRANSFER_TIME, Form::Remainder),
                    (OutputId::CERT_EXPIRY_DAYS, Form::Count),
                    (OutputId::REGEX_MATCH, Form::Either),
                    (OutputId::IP_ADDRESS, Form::Address),
                    (OutputId::HTTP_VERSION, Form::HttpVersion),
                    (OutputId::REDIRECTS, Form::Count),
                ],
                usual: &[
                    (OutputId::RESP_TIME, Usual::Value),
                    (OutputId::STATUS, Usual::Number(200)),
                    (OutputId::IP_ADDRESS, Usual::Ipv4),
                    (OutputId::HTTP_VERSION, Usual::Http11),
                    (OutputId::REDIRECTS, Usual::Number(0)),
                ],
            },
            ProbeType::Tcp => &Table {
                fields: &[
                    (OutputId::RESP_TIME, Form::Thousandths),
                    (OutputId::DNS_TIME, Form::Thousandths),
                    (OutputId::CONNECT_TIME, Form::Thousandths),
                    (OutputId::IP_ADDRESS, Form::Address),
                ],
                usual: &[(OutputId::RESP_TIME, Usual::Value), (OutputId::IP_ADDRESS, Usual::Ipv4)],
            },
            ProbeType::Ping => &Table {
                fields: &[
                    (OutputId::MIN_RTT, Form::Thousandths),
                    (OutputId::AVG_RTT, Form::Thousandths),
                    (OutputId::MAX_RTT, Form::Thousandths),
                    (OutputId::PACKETS_RECV, Form::Count),
                    (OutputId::PACKET_LOSS, Form::Thousandths),
                    (OutputId::DNS_TIME, Form::Thousandths),
                    (OutputId::IP_ADDRESS, Form::Address),
                ],
                usual: &[
                    (OutputId::AVG_RTT, Usual::Value),
                    (OutputId::PACKET_LOSS, Usual::Number(0)),
                    (OutputId::IP_ADDRESS, Usual::Ipv4),
                ],
            },
            ProbeType::Dns => &Table {
                fields: &[(OutputId::RESP_TIME, Form::Thousandths), (OutputId::RESULT_COUNT, Form::Count)],
                usual: &[(OutputId::RESP_TIME, Usual::Value), (OutputId::RESULT_COUNT, Usual::Results)],
            },
        }
    }

    /// How many flags the type has, at least 2.
    pub(super) fn flag_count(&self) -> usize {
        self.fields.len() + self.usual.len()
    }

    /// Bytes of flags after the first byte, which holds two of them.
    pub(super) fn flag_bytes(&self) -> usize {
        self.flag_count().saturating_sub(2).div_ceil(8)
    }

    /// The output's usual form and the number of its flag.
    pub(super) fn usual_of(&self, id: OutputId) -> Option<(usize, Usual)> {
        let at = self.usual.iter().position(|(of, _)| *of == id)?;
        Some((self.fields.len() + at, self.usual[at].1))
    }
}
