//! The fixed families per monitor.

use nanomon_core::Status;
use nanomon_service::exposition::Exposition;

use super::text::{self, Kind};
use crate::meter::{Last, SeriesMeter};

/// A family and how a series' lines are made from its newest stored result.
pub(super) struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    line: fn(&Last, &mut Lines<'_>),
}

/// Where a series' lines go.
pub(super) struct Lines<'a> {
    name: &'static str,
    suffix: &'static str,
    meter: &'a SeriesMeter,
    out: &'a mut String,
}

impl Lines<'_> {
    fn put(&mut self, extra: Option<(&str, &str)>, value: f64) {
        let out = &mut *self.out;
        out.push_str(self.name);
        out.push_str(self.suffix);
        out.push('{');
        let name = self.meter.name();
        text::label("monitor_namespace", &name.namespace, out);
        out.push(',');
        text::label("monitor", &name.name, out);
        out.push(',');
        text::label("pool", &name.pool, out);
        out.push(',');
        text::label("type", name.probe.as_str(), out);
        if let Some((label, value)) = extra {
            out.push(',');
            text::label(label, value, out);
        }
        out.push_str("} ");
        text::number(value, out);
        out.push('\n');
    }
}

/// All of them. Their names are reserved: a monitor's own gauge never gets one.
pub(super) const ALL: [Family; 5] = [
    Family {
        name: "nanomon_up",
        kind: Kind::Gauge,
        help: "1 if the newest result is OK, 0 if it is Error or Failed; absent if nothing can be said.",
        line: |last, lines| {
            if let Some(verdict) = last.verdict.filter(|verdict| !verdict.is_unknown()) {
                lines.put(None, f64::from(u8::from(verdict.status() == Status::Ok)));
            }
        },
    },
    Family {
        name: "nanomon_monitor_status",
        kind: Kind::Gauge,
        help: "Status of the newest result: 0 OK, 1 Error, 2 Failed; absent if nothing can be said.",
        line: |last, lines| {
            if let Some(verdict) = last.verdict.filter(|verdict| !verdict.is_unknown()) {
                lines.put(None, f64::from(verdict.status().code()));
            }
        },
    },
    Family {
        name: "nanomon_probe_duration_seconds",
        kind: Kind::Gauge,
        help: "Duration of the newest run and of its phases.",
        line: |last, lines| {
            let phases = last.phases;
            let total = last.value.map(|ms| f64::from(ms) / 1e3);
            if let Some(total) = total {
                lines.put(Some(("phase", "total")), (total * 1e6).round() / 1e6);
            }
            let phases = [
                ("dns", phases.dns),
                ("connect", phases.connect),
                ("tls", phases.tls),
                ("first_byte", phases.first_byte),
                ("transfer", phases.transfer),
            ];
            for (phase, us) in phases.into_iter().filter(|(_, us)| *us > 0) {
                lines.put(Some(("phase", phase)), f64::from(us) / 1e6);
            }
        },
    },
    Family {
        name: "nanomon_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        help: "Slot of the newest OK result since this runner has the monitor.",
        line: |last, lines| {
            if last.last_success > 0 {
                lines.put(None, f64::from(last.last_success));
            }
        },
    },
    Family {
        name: "nanomon_probe_failures",
        kind: Kind::Counter,
        help: "Stored results that are Error or Failed, by reason.",
        line: |last, lines| {
            for (reason, count) in &last.failures {
                lines.put(Some(("reason", reason.as_str())), *count as f64);
            }
            if last.other_failures > 0 {
                lines.put(Some(("reason", "other")), last.other_failures as f64);
            }
        },
    },
];

impl Family {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn head(&self, form: Exposition, out: &mut String) {
        text::head(form, self.kind, self.name, self.help, out);
    }

    pub(super) fn line(&self, meter: &SeriesMeter, out: &mut String) {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        meter.with_last(|last| (self.line)(last, &mut Lines { name: self.name, suffix, meter, out }));
    }
}
