//! What many rules cost in memory: a process of its own, because it looks at the process's resident size.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use nanomon_core::ProbeType::Http;
use nanomon_core::rule::{BodyRegex, Rule, RuleInterner};

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// The runner's figure: 10,000 monitors with 1,000 distinct rules, half of the rules with an expression, 500 with `bodyRegex`.
#[test]
fn ten_thousand_monitors_with_a_thousand_rules_take_a_few_mib() {
    let mut interner = RuleInterner::default();
    // What is paid once, whatever the number of rules.
    let first = (interner.rule("body =~ 'warm [up]'", Http).unwrap(), interner.body_regex("warm (up)").unwrap());
    let before = resident_bytes();
    let mut rules: Vec<Arc<Rule>> = Vec::new();
    let mut regexes: Vec<Arc<BodyRegex>> = Vec::new();
    for n in 0..10_000 {
        let kind = n % 1000;
        let source = if kind % 2 == 0 {
            format!("status >= 200 && status < 300 && respTime < {kind} && body =~ 'build [0-9]+, {kind}'")
        } else {
            format!("status in [200, 204] && respTime < {kind} && (certExpiryDays == null || certExpiryDays > 10)")
        };
        rules.push(interner.rule(&source, Http).unwrap());
        if n % 20 == 0 {
            regexes.push(interner.body_regex(&format!(r"version {n}: (\d+\.\d+)")).unwrap());
        }
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("{} KiB for {} rules and {} body expressions", grown / 1024, rules.len(), regexes.len());
    assert!(grown < 12 * 1024 * 1024, "{grown}");
    drop(first);
}
