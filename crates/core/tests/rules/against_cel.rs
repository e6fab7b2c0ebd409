//! The same rules through the `cel` crate: where both give an answer, it is the same.

use cel::{Context, Program, Value};
use nanomon_core::ProbeType::Http;
use nanomon_core::outcome::OutputValue;
use nanomon_core::rule::Rule;
use proptest::prelude::*;

use super::https;

/// What the crate makes of a rule over the outputs of [`https`]; numbers are bound as CEL's doubles. `None`: it has no
/// answer (for example because it has no mixed arithmetic).
fn by_cel(source: &str) -> Option<bool> {
    let program = Program::compile(source).ok()?;
    let outcome = https();
    let mut context = Context::default();
    for (id, value) in outcome.outputs.iter() {
        match value {
            OutputValue::Number(number) => context.add_variable_from_value(id.name().into_owned(), *number),
            OutputValue::Text(text) => context.add_variable_from_value(id.name().into_owned(), text.to_string()),
        }
    }
    context.add_variable_from_value("body", outcome.body.unwrap());
    match program.execute(&context) {
        Ok(Value::Bool(truth)) => Some(truth),
        _ => None,
    }
}

fn by_us(source: &str) -> Option<bool> {
    Rule::compile(source, Http).ok()?.holds(&https()).ok()
}

#[test]
fn plain_cel_means_the_same() {
    for source in [
        "status >= 200.0 && status < 300.0 && respTime < 5000.0",
        "status in [200, 204]",
        "!(status in [200.0, 500.0])",
        "body.contains('some words') && body.startsWith('Hello') && body.endsWith('temp')",
        r"body.matches('version \\d+\\.\\d+')",
        r"body.matches(r'\bbuild\b')",
        "size(body) > 10 && body.size() < 1000",
        "size('Wörld') == 5",
        "[200, 204].exists(x, x == status)",
        "['a', 'b'].all(x, ipAddress != x)",
        "[1, 2, 2].exists_one(x, x == 2)",
        "[1.0, 2.0].map(x, x * 2.0).filter(x, x > 3.0).size() == 1",
        "respTime / 2.0 == 61.75",
        "-respTime < 0.0 && respTime - -1.5 == 125.0",
        "status == 204 ? respTime < 500 : false",
        "true ? false : true ? true : false",
        "regexMatch > 5 || ipAddress == 'x'",
        "[ipAddress, 1.0][0] > 5.0 || status == 204",
        "status == 204 || [ipAddress, 1.0][0] > 5.0",
        "[ipAddress, 1.0][0] > 5.0 && status == 1",
        "'a' < 'b' && 'ab' + 'c' == 'abc'",
        "status == '204'",
        "status != '204'",
        "null == null && status != null",
        "string(respTime) == '123.5' && double('1.5') == 1.5",
        "r'\\d' == '\\\\d' && '''it's''' == \"it's\"",
        "'\\x41\\u0042\\n' == 'AB\\n'",
        "1e3 == 1000.0 && .5 == 0.5 && 0x10 == 16 && 5u == 5",
        "(1 < 2) == true",
        "true || false && false",
        "1.0 + 2.0 * 3.0 == 7.0 && 10.0 - 3.0 - 2.0 == 5.0",
        "[5, 6][1] == 6",
        "// a comment\nstatus == 204",
    ] {
        let cel = by_cel(source);
        assert!(cel.is_some(), "the cel crate has no answer to {source}");
        assert_eq!(by_us(source), cel, "{source}");
    }
}

/// Where we differ from CEL on purpose: numbers are one kind, and the reference's lenient escapes are taken.
#[test]
fn known_differences() {
    for (source, ours, cel) in [
        ("respTime + 1 == 124.5", Some(true), None),
        ("5 / 2 == 2.5", Some(true), Some(false)),
        ("1 / 0 > 5", Some(true), None),
        ("status IN (200, 204)", Some(true), None),
        ("body =~ 'some words'", Some(true), None),
        (r"'\d' == 'd'", Some(true), None),
        ("connectTime < 5", Some(false), None),
    ] {
        assert_eq!((by_us(source), by_cel(source)), (ours, cel), "{source}");
    }
}

fn rule() -> BoxedStrategy<String> {
    let number = prop_oneof![
        Just("status".to_owned()),
        Just("respTime".to_owned()),
        Just("certExpiryDays".to_owned()),
        Just("regexMatch".to_owned()),
        (0u32..2100).prop_map(|n| format!("{}.{}", n / 10, n % 10)),
    ]
    .prop_recursive(2, 6, 2, |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(l, o, r)| format!("{l} {o} {r}")),
            inner.clone().prop_map(|i| format!("({i})")),
            inner.prop_map(|i| format!("-({i})")),
        ]
    })
    .boxed();
    let text = prop_oneof![
        Just("body".to_owned()),
        Just("ipAddress".to_owned()),
        "[a-z1]{0,2}".prop_map(|t| format!("'{t}'"))
    ];
    let compare = prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]);
    let method = prop::sample::select(vec!["contains", "startsWith", "endsWith", "matches"]);
    let leaf = prop_oneof![
        4 => (number.clone(), compare.clone(), number.clone()).prop_map(|(l, c, r)| format!("{l} {c} {r}")),
        2 => (text.clone(), compare.clone(), text.clone()).prop_map(|(l, c, r)| format!("{l} {c} {r}")),
        2 => (text.clone(), method, "[a-z1]{1,2}").prop_map(|(t, m, p)| format!("{t}.{m}('{p}')")),
        // a fault, to be absorbed or not
        1 => (text, number.clone()).prop_map(|(t, n)| format!("[{t}, {n}][0] > {n}")),
        2 => (number.clone(), prop::collection::vec(number.clone(), 1..4)).prop_map(|(n, l)| format!("{n} in [{}]", l.join(", "))),
        2 => (
            prop::collection::vec(number.clone(), 1..4),
            prop::sample::select(vec!["exists", "all", "exists_one"]),
            compare,
            number
        )
            .prop_map(|(l, m, c, n)| format!("[{}].{m}(x, x {c} {n})", l.join(", "))),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("{l} && {r}")),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("{l} || {r}")),
            inner.clone().prop_map(|i| format!("({i})")),
            inner.clone().prop_map(|i| format!("!({i})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(({a}) ? {b} : {c})")),
        ]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_rules_mean_the_same(source in rule()) {
        prop_assume!(source.len() <= 1000);
        let cel = by_cel(&source);
        if let Ok(rule) = Rule::compile(&source, Http) {
            prop_assert_eq!(rule.holds(&https()).ok(), cel, "{}", source);
        } else {
            // We refuse what can only fail; the crate finds that out later, or absorbs it.
            prop_assert!(source.contains('\''), "{}", source);
        }
    }
}
