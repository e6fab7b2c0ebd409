use nanomon_core::status::Phases;
use nanomon_core::{OutputId, Outputs, ProbeType, Reason, Status, Verdict, codec};
use nanomon_sql::results::NewResult;

use super::*;
use crate::meter::SeriesName;

fn handle_with(names: &[&str]) -> MetricsHandle {
    let handle = MetricsHandle::new("default", true);
    for (at, name) in names.iter().enumerate() {
        let id = at as i32 + 1;
        let meter = SeriesMeter::new(
            SeriesName {
                monitor_id: id,
                namespace: "shop".to_owned(),
                name: format!("m-{id}"),
                display_name: (*name).to_owned(),
                pool: "default".to_owned(),
                probe: ProbeType::Http,
            },
            None,
        );
        let mut outputs = Outputs::default();
        outputs.set_number(OutputId::RESP_TIME, 178.25);
        outputs.set_number(OutputId::STATUS, 404.0);
        outputs.set_text(OutputId::IP_ADDRESS, "127.0.0.1");
        let row = NewResult {
            series_id: id,
            slot: 1_000,
            verdict: Verdict::new(Status::Error),
            reason: Reason::RuleFalse,
            value: Some(178.25),
            start_ms: 0,
            runner_id: 1,
            phases: Phases { connect: 1_500, ..Phases::default() },
            outputs: codec::encode(ProbeType::Http, &outputs, Some(178.25)),
        };
        meter.stored(&row);
        handle.histograms.observe(ProbeType::Http, &row);
        handle.registry.put(id, Arc::new(meter));
    }
    handle
}

/// A strict reader of the classic form: every sample belongs to the family announced just before it, every family is
/// announced once, no sample occurs twice.
fn read_strictly(text: &str, form: Exposition) -> Vec<(String, f64)> {
    let mut families = std::collections::BTreeSet::new();
    let mut samples = std::collections::BTreeSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let mut out = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, word) = rest.split_once(' ').unwrap();
            (family, kind) = (name.to_owned(), word.to_owned());
            assert!(families.insert(name.to_owned()), "{name} is announced twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            assert!(!line.contains('"'));
            continue;
        }
        let end = line.find(['{', ' ']).unwrap();
        let name = &line[..end];
        assert!(name.chars().next().unwrap().is_ascii_alphabetic(), "{line}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'), "{line}");
        let base = match (kind.as_str(), form) {
            ("histogram", _) => ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name),
            ("counter", Exposition::OpenMetrics) => name.strip_suffix("_total").unwrap(),
            _ => name,
        };
        assert_eq!(base, family, "{line}");
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(samples.insert(series.to_owned()), "{series} occurs twice");
        // Labels: quotes close, and what is inside is escaped.
        if let Some(labels) = series.strip_prefix(name).and_then(|rest| rest.strip_prefix('{')) {
            let labels = labels.strip_suffix('}').unwrap();
            let mut open = false;
            let mut chars = labels.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' if open => assert!(matches!(chars.next(), Some('\\' | '"' | 'n')), "{line}"),
                    '"' => open = !open,
                    _ => {}
                }
            }
            assert!(!open, "{line}");
        }
        out.push((series.to_owned(), value.parse().unwrap()));
    }
    out
}

#[test]
fn the_reference_form_is_written_as_the_reference_writes_it() {
    let text = handle_with(&["Example Monitor"]).render_text(Exposition::Text);
    for line in [
        "# HELP nanomon_example_monitor Example Monitor (http)",
        "# TYPE nanomon_example_monitor gauge",
        "nanomon_example_monitor{id=\"1\",result=\"_status\",type=\"http\"} 1",
        "nanomon_example_monitor{id=\"1\",result=\"_value\",type=\"http\"} 178.25",
        "nanomon_example_monitor{id=\"1\",result=\"respTime\",type=\"http\"} 178.25",
        "nanomon_example_monitor{id=\"1\",result=\"status\",type=\"http\"} 404",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("result=\"ipAddress\""), "texts are no gauges");
}

#[test]
fn hostile_names_make_valid_families() {
    let names = [
        "",
        "1",
        "up",
        "Up",
        "monitor status",
        "probe_failures",
        "probe_failures_total",
        "runs_started",
        "results_stored_total",
        "run_duration_seconds",
        "run_duration_seconds_bucket",
        "x_count",
        "a b",
        "a-b",
        "A.B",
        "ünï\"codé\\\n",
        "}{ 1\n# TYPE evil counter",
        "\u{0}\u{7}",
        "same",
        "same",
        "SAME",
        "named_metrics_off",
        "loop_ticks_total_monitor",
    ];
    let handle = handle_with(&names);
    for form in [Exposition::Text, Exposition::OpenMetrics] {
        let text = handle.render_text(form);
        let samples = read_strictly(&text, form);
        let statuses = samples.iter().filter(|(series, _)| series.contains("result=\"_status\"")).count();
        assert_eq!(statuses, names.len(), "every monitor has its line");
        assert!(text.contains("nanomon_up_monitor{id=\"3\""));
        assert!(
            text.contains("nanomon_up{monitor_namespace=\"shop\",monitor=\"m-3\",pool=\"default\",type=\"http\"} 0")
        );
        assert!(!text.contains("\n# TYPE evil"));
    }
}

#[test]
fn fixed_families_and_own_ones_are_there() {
    let text = handle_with(&["a"]).render_text(Exposition::Text);
    let samples = read_strictly(&text, Exposition::Text);
    let labels = "monitor_namespace=\"shop\",monitor=\"m-1\",pool=\"default\",type=\"http\"";
    let value = |series: &str| samples.iter().find(|(name, _)| name == series).map(|(_, value)| *value);
    assert_eq!(value(&format!("nanomon_up{{{labels}}}")), Some(0.0));
    assert_eq!(value(&format!("nanomon_monitor_status{{{labels}}}")), Some(1.0));
    assert_eq!(value(&format!("nanomon_probe_duration_seconds{{{labels},phase=\"total\"}}")), Some(0.17825));
    assert_eq!(value(&format!("nanomon_probe_duration_seconds{{{labels},phase=\"connect\"}}")), Some(0.0015));
    assert_eq!(value(&format!("nanomon_probe_failures_total{{{labels},reason=\"rule_false\"}}")), Some(1.0));
    assert_eq!(
        value("nanomon_run_duration_seconds_bucket{pool=\"default\",type=\"http\",phase=\"total\",le=\"0.1\"}"),
        Some(0.0)
    );
    assert_eq!(
        value("nanomon_run_duration_seconds_bucket{pool=\"default\",type=\"http\",phase=\"total\",le=\"0.25\"}"),
        Some(1.0)
    );
    assert_eq!(value("nanomon_run_duration_seconds_count{pool=\"default\",type=\"http\",phase=\"total\"}"), Some(1.0));
    for name in ["nanomon_slots_skipped_total{reason=\"late\"}", "nanomon_results_dropped_total{reason=\"overflow\"}"] {
        assert_eq!(value(name), Some(0.0), "{name}");
    }
}

#[test]
fn above_two_thousand_monitors_the_reference_form_is_off_and_says_so() {
    let names: Vec<String> = (0..=NAMED_MAX).map(|n| format!("monitor {n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let handle = handle_with(&names);
    let text = handle.render_text(Exposition::Text);
    assert!(text.contains("\nnanomon_named_metrics_off 1\n"));
    assert!(!text.contains("result=\"_status\""));
    handle.registry.remove(1);
    let text = handle.render_text(Exposition::Text);
    assert!(text.contains("\nnanomon_named_metrics_off 0\n"));
    assert_eq!(text.matches("result=\"_status\"").count(), NAMED_MAX);
    assert!(handle.pieces(Exposition::Text).all(|piece| piece.len() < PIECE_BYTES + 8_192), "in pieces");
}
