//! Go's duration syntax (`300ms`, `1.5h`, `1m30s`), as the reference and the Kubernetes world write it.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text is empty or not of the form.
    #[error("{0:?} is not a duration such as 500ms, 30s, 5m or 1h30m")]
    Malformed(String),
    /// Negative durations mean nothing here.
    #[error("{0:?} is negative")]
    Negative(String),
    /// More than 100 years.
    #[error("{0:?} is too long")]
    TooLong(String),
}

/// Parses Go's syntax: an optional `+`, then numbers (fractions allowed) each with a unit of `ns`, `us`, `µs`, `ms`, `s`,
/// `m`, `h`; or `0`. Precision is a nanosecond; anything finer is cut.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.chars().take(40).collect());
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.starts_with('-') {
        return Err(DurationError::Negative(text.chars().take(40).collect()));
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() || rest.len() > 64 {
        return Err(malformed());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number_len = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, after) = rest.split_at(number_len);
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_len);
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(malformed()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 18 {
            return Err(malformed());
        }
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| malformed())? };
        nanos = nanos.saturating_add(whole.saturating_mul(scale));
        let mut place = scale;
        for digit in fraction.bytes() {
            place /= 10;
            nanos = nanos.saturating_add(u128::from(digit - b'0') * place);
        }
        rest = next;
    }
    const HUNDRED_YEARS: u128 = 100 * 366 * 86_400 * 1_000_000_000;
    if nanos > HUNDRED_YEARS {
        return Err(DurationError::TooLong(text.chars().take(40).collect()));
    }
    Ok(Duration::from_nanos(nanos as u64))
}

/// Writes the shortest Go form that people would write: `90s` is `1m30s`, `1500ms` is `1.5s`, zero is `0s`.
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let with_fraction = |units: u128, scale: u128, name: &str| {
        let fraction = units % scale;
        if fraction == 0 {
            return format!("{}{name}", units / scale);
        }
        let width = scale.ilog10() as usize;
        let digits = format!("{fraction:0width$}");
        format!("{}.{}{name}", units / scale, digits.trim_end_matches('0'))
    };
    if nanos < 1_000 {
        return format!("{nanos}ns");
    }
    if nanos < 1_000_000 {
        return with_fraction(nanos, 1_000, "us");
    }
    if nanos < 1_000_000_000 {
        return with_fraction(nanos, 1_000_000, "ms");
    }
    let hours = nanos / 3_600_000_000_000;
    let minutes = nanos / 60_000_000_000 % 60;
    let rest = nanos % 60_000_000_000;
    [
        (hours > 0).then(|| format!("{hours}h")),
        (minutes > 0).then(|| format!("{minutes}m")),
        (rest > 0).then(|| with_fraction(rest, 1_000_000_000, "s")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Serde as whole milliseconds, the form in which definitions are stored.
pub mod serde_ms {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    /// Writes whole milliseconds.
    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(d.as_millis() as u64)
    }

    /// Reads whole milliseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, ms) in [
            ("0", 0),
            ("500ms", 500),
            ("1s", 1_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1.s", 1_000),
            ("1m30s", 90_000),
            ("1h0.5m", 3_630_000),
            ("+2s", 2_000),
            ("1h1m1s1ms", 3_661_001),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(parse("1µs"), Ok(Duration::from_micros(1)));
        for text in ["", "1", "s", "1x", "1 s", ".s", "1..5s", "1d", "s1", "ms", "1s ", "1e3s", "٣s"] {
            assert!(matches!(parse(text), Err(DurationError::Malformed(_))), "{text:?}");
        }
        assert!(matches!(parse("-1s"), Err(DurationError::Negative(_))));
        assert!(matches!(parse("999999999999h"), Err(DurationError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn format_round_trips(ms in 0u64..200_000_000) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(parse(&format(d)), Ok(d));
        }

        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = parse(&text);
        }
    }
}
