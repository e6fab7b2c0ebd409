//! What a runner knows of itself.

use std::sync::atomic::Ordering;

use nanomon_core::ProbeType;
use nanomon_service::exposition::Exposition;

use super::MetricsHandle;
use super::text::{self, Kind};
use crate::histogram::{BOUNDS_US, PHASES};
use crate::stats::Stats;

struct Own {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: fn(&Stats) -> f64,
}

macro_rules! own {
    ($($kind:ident $name:literal, $help:literal, |$stats:ident| $read:expr;)*) => {
        const OWN: &[Own] = &[$(Own {
            name: $name, kind: Kind::$kind, help: $help, read: |$stats: &Stats| $read,
        }),*];
    };
}

own! {
    Gauge "nanomon_runner_monitors", "Monitors scheduled on this runner.", |s| s.probe.scheduled.get() as f64;
    Gauge "nanomon_runner_shards", "Shards that this runner runs.", |s| s.member.shards.get() as f64;
    Gauge "nanomon_runner_scheduled_rate", "Runs per second that the schedules ask for.", |s| s.probe.rate_micro.get() as f64 / 1e6;
    Counter "nanomon_runs_started", "Runs started.", |s| s.probe.started.get() as f64;
    Gauge "nanomon_runs_in_flight", "Runs in flight.", |s| s.probe.in_flight.get() as f64;
    Gauge "nanomon_runs_in_flight_bytes", "Estimated bytes of the runs in flight.", |s| s.probe.in_flight_bytes.get() as f64;
    Gauge "nanomon_runs_waiting", "Runs that are due and have not started.", |s| s.probe.waiting.get() as f64;
    Gauge "nanomon_run_lag_seconds", "Worst lag of a start since the last heartbeat.", |s| s.probe.lag_ms.get() as f64 / 1e3;
    Counter "nanomon_loop_ticks", "Turns of the probe loop.", |s| s.probe.ticks.get() as f64;
    Counter "nanomon_loop_stalls", "Times that the probe loop was held up for more than 2 ms.", |s| s.probe.stalls.get() as f64;
    Counter "nanomon_loop_stalled_seconds", "Time that the probe loop was held up in stalls of more than 20 ms.", |s| s.probe.stalled_ms.get() as f64 / 1e3;
    Counter "nanomon_runs_set_aside", "Runs set aside as unknown because the probe loop was stalled.", |s| s.probe.runs_stalled.get() as f64;
    Counter "nanomon_runs_panicked", "Runs that ended in a fault of the runner.", |s| s.probe.panics.get() as f64;
    Counter "nanomon_results_stored", "Results stored.", |s| s.store.stored.get() as f64;
    Counter "nanomon_results_duplicate", "Results that were stored already.", |s| s.store.duplicate.get() as f64;
    Counter "nanomon_results_late", "Results stored but not folded, for a newer one was there.", |s| s.store.late.get() as f64;
    Counter "nanomon_results_resent", "Results sent once more after a reconnect.", |s| s.store.resent.get() as f64;
    Counter "nanomon_batches_stored", "Batches stored.", |s| s.store.batches.get() as f64;
    Counter "nanomon_batches_retried", "Batches that failed and were sent again.", |s| s.store.retries.get() as f64;
    Counter "nanomon_batch_seconds", "Time that stored batches took.", |s| s.store.batch_us.get() as f64 / 1e6;
    Gauge "nanomon_buffer_results", "Results that wait to be stored.", |s| s.store.buffered.get() as f64;
    Gauge "nanomon_buffer_bytes", "Bytes of the results that wait to be stored.", |s| s.store.buffered_bytes.get() as f64;
    Counter "nanomon_heartbeats", "Heartbeats that PostgreSQL answered.", |s| s.member.heartbeats.get() as f64;
    Counter "nanomon_heartbeat_failures", "Heartbeats that failed.", |s| s.member.heartbeat_failures.get() as f64;
    Counter "nanomon_heartbeats_withheld", "Heartbeats held back because the probe loop did not turn.", |s| s.member.heartbeats_withheld.get() as f64;
    Gauge "nanomon_heartbeat_timestamp_seconds", "PostgreSQL's time of the newest answered heartbeat.", |s| s.member.heartbeat_at.get() as f64;
    Gauge "nanomon_heartbeat_round_trip_seconds", "Round trip of the newest heartbeat.", |s| s.member.round_trip_us.get() as f64 / 1e6;
    Gauge "nanomon_clock_offset_seconds", "PostgreSQL's clock ahead of this machine's.", |s| s.member.clock_offset_ms.load(Ordering::Relaxed) as f64 / 1e3;
    Counter "nanomon_clock_jumps", "Jumps of PostgreSQL's clock.", |s| s.member.clock_jumps.get() as f64;
    Counter "nanomon_monitors_refused", "Definitions that this version cannot run.", |s| s.member.refused.get() as f64;
}

const SKIPPED: &str = "nanomon_slots_skipped";
const DROPPED: &str = "nanomon_results_dropped";
const NAMED_OFF: &str = "nanomon_named_metrics_off";
const DURATIONS: &str = "nanomon_run_duration_seconds";

/// All names, without suffixes.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OWN.iter().map(|own| own.name).chain([SKIPPED, DROPPED, NAMED_OFF, DURATIONS])
}

fn line(name: &str, suffix: &str, labels: &[(&str, &str)], value: f64, out: &mut String) {
    out.push_str(name);
    out.push_str(suffix);
    for (at, (label, value)) in labels.iter().enumerate() {
        out.push(if at == 0 { '{' } else { ',' });
        text::label(label, value, out);
    }
    out.push_str(if labels.is_empty() { " " } else { "} " });
    text::number(value, out);
    out.push('\n');
}

/// Writes them all. `named_off`: the reference's form was wanted but has switched itself off.
pub(super) fn write(handle: &MetricsHandle, pool: &str, named_off: bool, form: Exposition, out: &mut String) {
    let stats = &handle.stats;
    for Own { name, kind, help, read } in OWN {
        text::head(form, *kind, name, help, out);
        let suffix = if *kind == Kind::Counter { "_total" } else { "" };
        line(name, suffix, &[], read(stats), out);
    }
    text::head(form, Kind::Counter, SKIPPED, "Slots that were not run, by reason.", out);
    line(SKIPPED, "_total", &[("reason", "late")], stats.probe.skipped_late.get() as f64, out);
    line(SKIPPED, "_total", &[("reason", "host_limit")], stats.probe.skipped_host_limit.get() as f64, out);
    text::head(form, Kind::Counter, DROPPED, "Results that were not stored, by reason.", out);
    let dropped = [
        ("overflow", &stats.store.dropped_overflow),
        ("gone", &stats.store.dropped_gone),
        ("cleared", &stats.store.dropped_cleared),
        ("out_of_range", &stats.store.dropped_out_of_range),
        ("refused", &stats.store.dropped_refused),
        ("statement", &stats.store.dropped_statement),
    ];
    for (reason, count) in dropped {
        line(DROPPED, "_total", &[("reason", reason)], count.get() as f64, out);
    }
    let help = "1 if the gauges named after monitors are off because there are more than 2000 monitors.";
    text::head(form, Kind::Gauge, NAMED_OFF, help, out);
    line(NAMED_OFF, "", &[], f64::from(u8::from(named_off)), out);
    durations(handle, pool, form, out);
}

fn durations(handle: &MetricsHandle, pool: &str, form: Exposition, out: &mut String) {
    text::head(form, Kind::Histogram, DURATIONS, "Durations of stored runs and their phases.", out);
    for probe in ProbeType::ALL {
        for (histogram, phase) in handle.histograms.of(probe).iter().zip(PHASES) {
            let counts: Vec<u64> = histogram.buckets.iter().map(crate::stats::Cell::get).collect();
            if counts.iter().all(|count| *count == 0) {
                continue;
            }
            let labels = [("pool", pool), ("type", probe.as_str()), ("phase", phase)];
            let mut total = 0;
            for (at, count) in counts.iter().enumerate() {
                total += count;
                let bound = BOUNDS_US.get(at).map_or("+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
                let [pool, kind, phase] = labels;
                line(DURATIONS, "_bucket", &[pool, kind, phase, ("le", &bound)], total as f64, out);
            }
            line(DURATIONS, "_sum", &labels, histogram.sum_us.get() as f64 / 1e6, out);
            line(DURATIONS, "_count", &labels, total as f64, out);
        }
    }
}
