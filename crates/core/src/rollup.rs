//! Rollup buckets: additive sums from which uptime and charts are read.

/// The levels that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Five minutes, kept 8 days.
    FiveMinutes,
    /// An hour, kept 13 months.
    Hour,
    /// A UTC day, kept 5 years.
    Day,
}

impl Level {
    /// Length in seconds.
    pub fn seconds(self) -> i32 {
        match self {
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Start of the bucket that holds `slot`.
    pub fn start(self, slot: i32) -> i32 {
        slot - slot.rem_euclid(self.seconds())
    }
}

/// The sums of one series over one bucket. All fields are whole numbers, so that sums are exact in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Start as a Unix second; meaningless while the bucket is empty.
    pub start: i32,
    /// Results with status OK, Error, Failed (unknown ones are not counted).
    pub n_ok: i32,
    /// See `n_ok`.
    pub n_error: i32,
    /// See `n_ok`.
    pub n_failed: i32,
    /// Milliseconds of schedule that OK results stand for.
    pub up_ms: i64,
    /// Milliseconds that Error and Failed results stand for.
    pub down_ms: i64,
    /// Milliseconds within maintenance.
    pub maint_ms: i64,
    /// Results that have a value.
    pub n_value: i32,
    /// Sum, smallest and largest value in microseconds (smallest and largest 0 if there is none).
    pub value_sum_us: i64,
    /// See `value_sum_us`.
    pub value_min_us: i64,
    /// See `value_sum_us`.
    pub value_max_us: i64,
    /// Sums of the phases in microseconds.
    pub dns_us: i64,
    /// See `dns_us`.
    pub connect_us: i64,
    /// See `dns_us`.
    pub tls_us: i64,
    /// See `dns_us`.
    pub first_byte_us: i64,
    /// See `dns_us`.
    pub transfer_us: i64,
}
