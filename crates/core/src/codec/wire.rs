//! The bytes under the codec: varints, texts, addresses. The reader takes any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::CodecError;
use crate::monitor::limits;
use crate::outcome::OutputValue;

/// Longest text that is written.
pub(super) const TEXT_BYTES: usize = limits::REGEX_MATCH_BYTES;

/// What stands before a text: an address in binary, or the text's length plus `TAG_LENGTH`.
const TAG_IPV4: u64 = 0;
const TAG_IPV6: u64 = 1;
const TAG_LENGTH: u64 = 2;

/// What stands before a number or text.
const EITHER_WHOLE: u8 = 0;
const EITHER_FLOAT: u8 = 1;
const EITHER_TEXT: u8 = 2;

/// HTTP versions that take one byte: their place in this list.
const HTTP_VERSIONS: [&str; 4] = ["1.0", "1.1", "2", "3"];
const HTTP_OTHER: u8 = 255;

/// The longest start of a text that has at most `bytes` bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The address that this text is the one canonical form of.
fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().filter(|address| address.to_string() == text)
}

/// Bytes being written.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Without spare room: results wait by the ten thousand while PostgreSQL is away.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.0.shrink_to_fit();
        self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn extend(&mut self, other: &Writer) {
        self.0.extend_from_slice(&other.0);
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// LEB128.
    pub(super) fn unsigned(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.byte(n as u8 | 0x80);
            n >>= 7;
        }
        self.byte(n as u8);
    }

    /// Zigzag, so that small negative numbers are short too.
    pub(super) fn signed(&mut self, n: i64) {
        self.unsigned((n << 1 ^ n >> 63) as u64);
    }

    /// Four bytes, if this is an IPv4 address.
    pub(super) fn ipv4(&mut self, text: &str) -> bool {
        let Some(IpAddr::V4(address)) = address(text) else { return false };
        self.0.extend_from_slice(&address.octets());
        true
    }

    /// A text that is short enough; an address takes its binary form.
    pub(super) fn text(&mut self, text: &str) {
        match address(text) {
            Some(IpAddr::V4(address)) => {
                self.unsigned(TAG_IPV4);
                self.0.extend_from_slice(&address.octets());
            }
            Some(IpAddr::V6(address)) => {
                self.unsigned(TAG_IPV6);
                self.0.extend_from_slice(&address.octets());
            }
            None => {
                self.unsigned(TAG_LENGTH + text.len() as u64);
                self.0.extend_from_slice(text.as_bytes());
            }
        }
    }

    pub(super) fn http_version(&mut self, text: &str) {
        if let Some(at) = HTTP_VERSIONS.iter().position(|version| *version == text) {
            self.byte(at as u8);
        } else {
            self.byte(HTTP_OTHER);
            self.text(cut(text, TEXT_BYTES));
        }
    }

    pub(super) fn number(&mut self, number: f64) {
        let negative_zero = number == 0.0 && number.is_sign_negative();
        if number.fract() == 0.0 && number.abs() <= super::COUNT_MAX && !negative_zero {
            self.byte(EITHER_WHOLE);
            self.signed(number as i64);
        } else {
            self.byte(EITHER_FLOAT);
            self.0.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(super) fn tagged_text(&mut self, text: &str) {
        self.byte(EITHER_TEXT);
        self.text(cut(text, TEXT_BYTES));
    }
}

/// Bytes being read.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, CodecError> {
        let (&byte, rest) = self.0.split_first().ok_or(CodecError::Damaged)?;
        self.0 = rest;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(CodecError::Damaged)?;
        self.0 = rest;
        Ok(*bytes)
    }

    /// Refuses what does not fit 64 bits.
    pub(super) fn unsigned(&mut self) -> Result<u64, CodecError> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                return Err(CodecError::Damaged);
            }
            n |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(CodecError::Damaged)
    }

    pub(super) fn signed(&mut self) -> Result<i64, CodecError> {
        let n = self.unsigned()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    pub(super) fn ipv4(&mut self) -> Result<Box<str>, CodecError> {
        Ok(Ipv4Addr::from(self.array()?).to_string().into())
    }

    pub(super) fn text(&mut self) -> Result<Box<str>, CodecError> {
        match self.unsigned()? {
            TAG_IPV4 => self.ipv4(),
            TAG_IPV6 => Ok(Ipv6Addr::from(self.array::<16>()?).to_string().into()),
            tag => {
                let len = usize::try_from(tag - TAG_LENGTH).map_err(|_| CodecError::Damaged)?;
                if len > TEXT_BYTES || len > self.0.len() {
                    return Err(CodecError::Damaged);
                }
                let (bytes, rest) = self.0.split_at(len);
                self.0 = rest;
                std::str::from_utf8(bytes).map(Box::from).map_err(|_| CodecError::Damaged)
            }
        }
    }

    pub(super) fn http_version(&mut self) -> Result<Box<str>, CodecError> {
        match self.byte()? {
            HTTP_OTHER => self.text(),
            at => HTTP_VERSIONS.get(usize::from(at)).map(|version| Box::from(*version)).ok_or(CodecError::Damaged),
        }
    }

    pub(super) fn either(&mut self) -> Result<OutputValue, CodecError> {
        match self.byte()? {
            EITHER_WHOLE => Ok(OutputValue::Number(self.signed()? as f64)),
            EITHER_FLOAT => {
                let number = f64::from_le_bytes(self.array()?);
                if number.is_finite() { Ok(OutputValue::Number(number)) } else { Err(CodecError::Damaged) }
            }
            EITHER_TEXT => Ok(OutputValue::Text(self.text()?)),
            _ => Err(CodecError::Damaged),
        }
    }
}
