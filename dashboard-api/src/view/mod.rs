//! What the API shows: the reference's names where it has one, camelCase for our own fields.

pub mod monitor;
pub mod probe;
pub mod result;
pub mod series;
pub mod system;

use jiff::Timestamp;
use nanomon_sql::Slot;

/// The instant of a slot's key plus an offset in milliseconds.
pub fn instant(slot: Slot, offset_ms: i16) -> Timestamp {
    let ms = i64::from(slot) * 1000 + i64::from(offset_ms);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A stored value in milliseconds, cut to the microseconds that were measured.
pub fn millis(value: f32) -> f64 {
    (f64::from(value) * 1000.0).round() / 1000.0
}
