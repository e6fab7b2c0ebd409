//! The reference's form: a gauge named after each monitor, with a line for the status, the value and each numeric output.

use std::collections::BTreeMap;
use std::sync::Arc;

use nanomon_core::{OutputValue, codec};

use super::{families, own, text};
use crate::meter::SeriesMeter;

/// The monitors whose names make one metric name, kept apart by the label `id`.
pub(super) struct Group {
    name: String,
    members: Vec<Arc<SeriesMeter>>,
}

/// Groups series by the name that they get.
pub(super) fn group(series: &[Arc<SeriesMeter>]) -> Vec<Group> {
    let mut groups: BTreeMap<String, Vec<Arc<SeriesMeter>>> = BTreeMap::new();
    for meter in series {
        groups.entry(name_of(&meter.name().display_name)).or_default().push(meter.clone());
    }
    groups.into_iter().map(|(name, members)| Group { name, members }).collect()
}

/// `nanomon_<name>`, made valid; what would be one of our own families gets the suffix `_monitor`.
fn name_of(display_name: &str) -> String {
    let mut name = format!("nanomon_{}", text::metric_name(display_name));
    while is_reserved(&name) {
        name.push_str("_monitor");
    }
    name
}

/// Whether this is one of our own names, or a sample of a counter or histogram of ours, or reads like one to a scraper.
fn is_reserved(name: &str) -> bool {
    let ours = || families::ALL.iter().map(families::Family::name).chain(own::names());
    let suffixes = ["_total", "_created", "_bucket", "_count", "_sum", "_info"];
    ours().any(|own| {
        name == own
            || suffixes
                .iter()
                .any(|suffix| name.strip_suffix(suffix) == Some(own) || own.strip_suffix(suffix) == Some(name))
    }) || suffixes.iter().any(|suffix| name.ends_with(suffix))
}

impl Group {
    pub(super) fn write(&self, out: &mut String) {
        let mut head = false;
        for meter in &self.members {
            meter.with_last(|last| {
                let name = meter.name();
                if !std::mem::replace(&mut head, true) {
                    let help = format!("{} ({})", name.display_name, name.probe.as_str());
                    let form = nanomon_service::exposition::Exposition::Text;
                    text::head(form, text::Kind::Gauge, &self.name, &help, out);
                }
                let id = name.monitor_id.to_string();
                let mut line = |result: &str, value: f64| {
                    out.push_str(&self.name);
                    out.push('{');
                    text::label("id", &id, out);
                    out.push(',');
                    text::label("result", result, out);
                    out.push(',');
                    text::label("type", name.probe.as_str(), out);
                    out.push_str("} ");
                    text::number(value, out);
                    out.push('\n');
                };
                if let Some(verdict) = last.verdict.filter(|verdict| !verdict.is_unknown()) {
                    line("_status", f64::from(verdict.status().code()));
                }
                if let Some(value) = last.value {
                    line("_value", micros(f64::from(value)));
                }
                let outputs = codec::decode(&last.outputs, last.value).unwrap_or_default();
                for (id, value) in outputs.iter() {
                    if let OutputValue::Number(number) = value {
                        line(&id.name(), *number);
                    }
                }
            });
        }
    }
}

/// A value as it was measured, to the microsecond, not as a binary fraction.
fn micros(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}
