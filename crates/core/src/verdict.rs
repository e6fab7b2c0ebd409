//! How a run was judged: the three statuses, and the flags that a stored result carries beside its status.

use serde::{Deserialize, Serialize};

/// The three outcomes of a run, with the reference's numbers. Ordered by severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i16)]
pub enum Status {
    /// The target answered and the rule, if any, holds.
    Ok = 0,
    /// The target answered but the rule does not hold.
    Error = 1,
    /// The run failed entirely: name, network, protocol.
    Failed = 2,
}

impl Status {
    /// The number used in the API, the database and the metrics (0, 1, 2).
    pub fn code(self) -> i16 {
        self as i16
    }

    /// The status with this number, if there is one.
    pub fn from_code(code: i16) -> Option<Self> {
        match code {
            0 => Some(Self::Ok),
            1 => Some(Self::Error),
            2 => Some(Self::Failed),
            _ => None,
        }
    }

    /// The word shown to people and used in `status.state`: `OK`, `Error`, `Failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Error => "Error",
            Self::Failed => "Failed",
        }
    }
}

/// A stored judgement: a [`Status`] in bits 0–1 and flags above it, exactly as in the column `results.verdict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict(i16);

impl Verdict {
    const STATUS_MASK: i16 = 0b11;
    /// Nothing can be said about the target (our own stall or lost network): neither up nor down, never folded.
    pub const UNKNOWN: i16 = 1 << 2;
    /// The slot lies in a maintenance window: neither up nor down in uptime.
    pub const MAINTENANCE: i16 = 1 << 3;
    /// Stored but not folded: a slot not newer than the last folded one.
    pub const LATE: i16 = 1 << 4;
    /// An initial run outside the schedule: folded, but weighs nothing in uptime.
    pub const EXTRA: i16 = 1 << 5;
    const ALL: i16 = Self::STATUS_MASK | Self::UNKNOWN | Self::MAINTENANCE | Self::LATE | Self::EXTRA;

    /// A plain judgement without flags.
    pub fn new(status: Status) -> Self {
        Self(status.code())
    }

    /// Reads the column; `None` for a value that no version of this program wrote.
    pub fn from_bits(bits: i16) -> Option<Self> {
        (bits & !Self::ALL == 0 && bits & Self::STATUS_MASK != 3).then_some(Self(bits))
    }

    /// The column's value.
    pub fn bits(self) -> i16 {
        self.0
    }

    /// The same judgement with these flags set.
    #[must_use]
    pub fn with(self, flags: i16) -> Self {
        Self(self.0 | (flags & !Self::STATUS_MASK & Self::ALL))
    }

    /// The status without flags.
    pub fn status(self) -> Status {
        match self.0 & Self::STATUS_MASK {
            0 => Status::Ok,
            1 => Status::Error,
            _ => Status::Failed,
        }
    }

    /// See [`Self::UNKNOWN`].
    pub fn is_unknown(self) -> bool {
        self.0 & Self::UNKNOWN != 0
    }

    /// See [`Self::MAINTENANCE`].
    pub fn is_maintenance(self) -> bool {
        self.0 & Self::MAINTENANCE != 0
    }

    /// See [`Self::LATE`].
    pub fn is_late(self) -> bool {
        self.0 & Self::LATE != 0
    }

    /// See [`Self::EXTRA`].
    pub fn is_extra(self) -> bool {
        self.0 & Self::EXTRA != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_round_trip_and_unknown_bits_are_refused() {
        for status in [Status::Ok, Status::Error, Status::Failed] {
            let v = Verdict::new(status).with(Verdict::LATE | Verdict::EXTRA);
            assert_eq!(Verdict::from_bits(v.bits()), Some(v));
            assert_eq!(v.status(), status);
            assert!(v.is_late() && v.is_extra() && !v.is_unknown() && !v.is_maintenance());
        }
        assert_eq!(Verdict::from_bits(3), None);
        assert_eq!(Verdict::from_bits(64), None);
        assert_eq!(Verdict::from_bits(-1), None);
    }
}
