//! The binary form of a result's outputs: the column `results.outputs`.
//!
//! ```text
//! byte 0         bits 0-3 version, bits 4-5 probe type (its number less one), bits 6-7 flags 0 and 1
//! bytes 1…       the remaining flags of the type, eight to a byte
//! then           the bytes of each output that is there, in the order of the type's table
//! dns only       the number of `resultN`, and their texts
//! ```
//!
//! The flags of a type are one bit "is there" per output of its table, then one bit per *usual* form: an output in its
//! usual form (status 200, HTTP 1.1, …) takes no bytes of its own. No outputs at all are no bytes at all.
//!
//! Exact are: milliseconds to the microsecond and percentages to a thousandth (both cut below at 0, above at 2^50 of
//! these units), counts as whole numbers up to ±2^53, texts up to 256 bytes. What is finer or longer is rounded or cut
//! by [`encode`], and what no run of the type can have (another type's output, text where a number belongs, NaN) is left
//! out. Encoding again what was decoded gives the same bytes.
//!
//! A change of a table or form is a new version; the decoder keeps all versions that may be stored.

mod table;
mod wire;

use crate::monitor::{ProbeType, limits};
use crate::outcome::{OutputId, OutputValue, Outputs};
use table::{Form, Table, Usual};
use wire::{Reader, Writer, cut};

/// The version that is written.
const VERSION: u8 = 1;

/// The largest stored number of microseconds, about 35 years; an f64 of milliseconds holds all up to it exactly enough.
const MICROS_MAX: f64 = (1_u64 << 50) as f64;

/// The largest stored count.
const COUNT_MAX: f64 = (1_u64 << 53) as f64;

/// Why stored bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Written by a newer version.
    #[error("outputs of version {0} cannot be read by this version")]
    Version(u8),
    /// Cut or damaged.
    #[error("outputs are damaged")]
    Damaged,
}

/// Milliseconds as whole microseconds, rounded, from 0 to 2^50; `None` for NaN and infinities. The one rounding that the
/// codec, the rollups and the phases share.
pub fn micros(ms: f64) -> Option<i64> {
    ms.is_finite().then(|| (ms * 1000.0).round().clamp(0.0, MICROS_MAX) as i64)
}

fn millis(us: i64) -> f64 {
    us as f64 / 1000.0
}

fn count(number: f64) -> Option<i64> {
    number.is_finite().then(|| number.round().clamp(-COUNT_MAX, COUNT_MAX) as i64)
}

/// Encodes the outputs of a run whose `value` is stored beside them.
pub fn encode(probe: ProbeType, outputs: &Outputs, value: Option<f32>) -> Vec<u8> {
    let table = Table::of(probe);
    let results = results_of(probe, outputs);
    let mut flags = 0_u32;
    let mut body = Writer::default();
    let context = Context { value, results: results.len(), rest: rest_of(outputs) };
    for (at, (id, form)) in table.fields.iter().copied().enumerate() {
        let usual = table.usual_of(id);
        match put_field(&mut body, outputs, id, form, usual.map(|(_, usual)| usual), &context) {
            Put::Absent => {}
            Put::Plain => flags |= 1 << at,
            Put::Usual => flags |= 1 << at | usual.map_or(0, |(flag, _)| 1 << flag),
        }
    }
    if flags == 0 && results.is_empty() {
        return Vec::new();
    }
    let mut bytes = Writer::with_capacity(1 + table.flag_bytes() + body.len());
    bytes.byte(VERSION | (probe.code() as u8 - 1) << 4 | (flags << 6) as u8);
    for byte in 0..table.flag_bytes() {
        bytes.byte((flags >> (2 + 8 * byte)) as u8);
    }
    bytes.extend(&body);
    if probe == ProbeType::Dns {
        bytes.byte(results.len() as u8);
        for text in results {
            bytes.text(cut(text, limits::DNS_ANSWER_BYTES));
        }
    }
    bytes.into_bytes()
}

/// Decodes what [`encode`] wrote; `value` is what is stored beside it. The type is read from the bytes: a series may
/// hold results from before its monitor's type was changed.
///
/// Takes any bytes: it never panics, and allocates no more than a small multiple of their length.
pub fn decode(bytes: &[u8], value: Option<f32>) -> Result<Outputs, CodecError> {
    let mut outputs = Outputs::default();
    let Some((&head, rest)) = bytes.split_first() else { return Ok(outputs) };
    let probe = type_of(head)?;
    let table = Table::of(probe);
    let mut reader = Reader::new(rest);
    let mut flags = u32::from(head >> 6);
    for byte in 0..table.flag_bytes() {
        flags |= u32::from(reader.byte()?) << (2 + 8 * byte);
    }
    if flags >> table.flag_count() != 0 {
        return Err(CodecError::Damaged);
    }
    let mut counted = false;
    for (at, (id, form)) in table.fields.iter().copied().enumerate() {
        let usual = table.usual_of(id).filter(|(flag, _)| flags >> flag & 1 == 1).map(|(_, usual)| usual);
        if flags >> at & 1 == 0 {
            if usual.is_some() {
                return Err(CodecError::Damaged);
            }
            continue;
        }
        match usual {
            // Known only once the results are read.
            Some(Usual::Results) => counted = true,
            usual => {
                let output = take_field(&mut reader, form, usual, value, &outputs)?;
                outputs.set(id, output);
            }
        }
    }
    if probe == ProbeType::Dns {
        let count = usize::from(reader.byte()?);
        for n in 1..=count {
            let id = OutputId::result(n).ok_or(CodecError::Damaged)?;
            outputs.set(id, OutputValue::Text(reader.text()?));
        }
        if counted {
            outputs.set_number(OutputId::RESULT_COUNT, count as f64);
        }
    }
    if reader.is_empty() { Ok(outputs) } else { Err(CodecError::Damaged) }
}

/// The type of the run whose outputs these are; `None` if there are no outputs.
pub fn probe_type(bytes: &[u8]) -> Result<Option<ProbeType>, CodecError> {
    bytes.first().map(|&head| type_of(head)).transpose()
}

fn type_of(head: u8) -> Result<ProbeType, CodecError> {
    match head & 0x0F {
        VERSION => ProbeType::from_code(i16::from(head >> 4 & 3) + 1).ok_or(CodecError::Damaged),
        version => Err(CodecError::Version(version)),
    }
}

/// The texts of `result1` and so on, up to the first that is missing.
fn results_of(probe: ProbeType, outputs: &Outputs) -> Vec<&str> {
    let text = |n| match outputs.get(OutputId::result(n)?)? {
        OutputValue::Text(text) => Some(text.as_ref()),
        OutputValue::Number(_) => None,
    };
    if probe == ProbeType::Dns { (1..=limits::DNS_ANSWERS).map_while(text).collect() } else { Vec::new() }
}

/// What the response time leaves after the phases before the transfer; possibly negative.
fn rest_of(outputs: &Outputs) -> i64 {
    let us = |id| outputs.number(id).and_then(micros).unwrap_or(0);
    us(OutputId::RESP_TIME)
        - us(OutputId::DNS_TIME)
        - us(OutputId::CONNECT_TIME)
        - us(OutputId::TLS_TIME)
        - us(OutputId::FIRST_BYTE_TIME)
}

/// What the forms refer to.
struct Context {
    value: Option<f32>,
    results: usize,
    rest: i64,
}

enum Put {
    Absent,
    Plain,
    Usual,
}

fn put_field(
    to: &mut Writer,
    outputs: &Outputs,
    id: OutputId,
    form: Form,
    usual: Option<Usual>,
    context: &Context,
) -> Put {
    let number = outputs.number(id);
    let text = match outputs.get(id) {
        Some(OutputValue::Text(text)) => Some(text.as_ref()),
        Some(OutputValue::Number(_)) | None => None,
    };
    match form {
        Form::Thousandths => {
            let Some(us) = number.and_then(micros) else { return Put::Absent };
            let same = match usual {
                Some(Usual::Value) => context.value.and_then(|ms| micros(f64::from(ms))) == Some(us),
                Some(Usual::Number(n)) => us == i64::from(n) * 1000,
                Some(Usual::Ipv4 | Usual::Http11 | Usual::Results) | None => false,
            };
            if same {
                return Put::Usual;
            }
            to.unsigned(us as u64);
        }
        Form::Remainder => {
            let Some(us) = number.and_then(micros) else { return Put::Absent };
            to.signed(us - context.rest);
        }
        Form::Count => {
            let Some(n) = number.and_then(count) else { return Put::Absent };
            let same = match usual {
                Some(Usual::Number(usual)) => n == i64::from(usual),
                Some(Usual::Results) => n == context.results as i64,
                Some(Usual::Value | Usual::Ipv4 | Usual::Http11) | None => false,
            };
            if same {
                return Put::Usual;
            }
            to.signed(n);
        }
        Form::Address => {
            let Some(text) = text else { return Put::Absent };
            if usual == Some(Usual::Ipv4) && to.ipv4(text) {
                return Put::Usual;
            }
            to.text(cut(text, wire::TEXT_BYTES));
        }
        Form::HttpVersion => {
            let Some(text) = text else { return Put::Absent };
            if usual == Some(Usual::Http11) && text == "1.1" {
                return Put::Usual;
            }
            to.http_version(text);
        }
        Form::Either => match (number.filter(|number| number.is_finite()), text) {
            (Some(number), _) => to.number(number),
            (None, Some(text)) => to.tagged_text(text),
            (None, None) => return Put::Absent,
        },
    }
    Put::Plain
}

fn take_field(
    from: &mut Reader<'_>,
    form: Form,
    usual: Option<Usual>,
    value: Option<f32>,
    before: &Outputs,
) -> Result<OutputValue, CodecError> {
    let text = |text| Ok(OutputValue::Text(text));
    let number = |number| Ok(OutputValue::Number(number));
    match (form, usual) {
        (Form::Thousandths, Some(Usual::Value)) => {
            let us = value.and_then(|ms| micros(f64::from(ms))).ok_or(CodecError::Damaged)?;
            number(millis(us))
        }
        (_, Some(Usual::Number(n))) => number(n.into()),
        (_, Some(Usual::Ipv4)) => text(from.ipv4()?),
        (_, Some(Usual::Http11)) => text("1.1".into()),
        (Form::Thousandths, _) => {
            let us = from.unsigned()?;
            if us > MICROS_MAX as u64 {
                return Err(CodecError::Damaged);
            }
            number(millis(us as i64))
        }
        (Form::Remainder, _) => {
            let us = rest_of(before).checked_add(from.signed()?).ok_or(CodecError::Damaged)?;
            if !(0..=MICROS_MAX as i64).contains(&us) {
                return Err(CodecError::Damaged);
            }
            number(millis(us))
        }
        (Form::Count, _) => {
            let n = from.signed()?;
            if n.unsigned_abs() > COUNT_MAX as u64 {
                return Err(CodecError::Damaged);
            }
            number(n as f64)
        }
        (Form::Address, _) => text(from.text()?),
        (Form::HttpVersion, _) => text(from.http_version()?),
        (Form::Either, _) => from.either(),
    }
}

#[cfg(test)]
mod tests;
