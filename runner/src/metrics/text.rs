//! The grammar of the two text forms.

use std::fmt::Write;

use nanomon_service::exposition::Exposition;

/// Kinds of families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

/// Writes a family's head. Counters are named without `_total` here; the classic form has it in the head, OpenMetrics not.
pub(super) fn head(form: Exposition, kind: Kind, name: &str, help: &str, out: &mut String) {
    let suffix = if kind == Kind::Counter && form == Exposition::Text { "_total" } else { "" };
    let word = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
    };
    out.push_str("# HELP ");
    out.push_str(name);
    out.push_str(suffix);
    out.push(' ');
    escape_help(help, out);
    out.push_str("\n# TYPE ");
    out.push_str(name);
    out.push_str(suffix);
    out.push(' ');
    out.push_str(word);
    out.push('\n');
}

/// A help text: backslashes, quotes and line ends escaped; the classic form reads `\"` as it stands, so quotes go.
fn escape_help(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push('\''),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
}

/// A label's value between its quotes.
pub(super) fn escape_label(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// One label.
pub(super) fn label(name: &str, value: &str, out: &mut String) {
    out.push_str(name);
    out.push_str("=\"");
    escape_label(value, out);
    out.push('"');
}

/// A number; infinities as both forms spell them.
pub(super) fn number(value: f64, out: &mut String) {
    // Writing to a String does not fail.
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        write!(out, "{value}")
    };
}

/// A metric name from any text: what is not allowed becomes `_`, lower case.
pub(super) fn metric_name(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c.to_ascii_lowercase() } else { '_' })
        .collect();
    if name.is_empty() { "_".to_owned() } else { name }
}
