//! Whatever is written, compiling ends soon and evaluating never panics.

use nanomon_core::rule::{BodyRegex, Rule, RuleFault, RuleInterner};
use nanomon_core::{OutputValue, ProbeType};
use proptest::prelude::*;

use super::{dns, http, https, ping, tcp};

const PIECES: &[&str] = &[
    "status",
    "respTime",
    "body",
    "regexMatch",
    "certExpiryDays",
    "result1",
    "ipAddress",
    "x",
    "nope",
    "null",
    "true",
    "false",
    "1",
    "0",
    "2.5",
    "204",
    "1e9",
    "''",
    "'a'",
    "'some'",
    "\"b\"",
    r"r'\d'",
    r"'\d+'",
    "'('",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    "&&",
    "||",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "=~",
    "!~",
    "in",
    "IN",
    "AND",
    "OR",
    "NOT",
    "+",
    "-",
    "*",
    "/",
    "%",
    "?",
    ":",
    "size(",
    "int(",
    "string(",
    ".contains(",
    ".exists(x,",
    ".map(x,",
    ".filter(x,",
    ".all(x,",
    ".matches(",
    "**",
    "??",
    "&",
    "=",
    "'",
    "\\",
    "#",
    "//",
    "\n",
    "é",
    "{",
    "0x1f",
    "5s",
];

fn probe() -> impl Strategy<Value = ProbeType> {
    prop::sample::select(ProbeType::ALL.to_vec())
}

fn check(source: &str, probe: ProbeType) {
    match Rule::compile(source, probe) {
        Ok(rule) => {
            for outcome in [http(), https(), dns(), ping(), tcp()] {
                let first = rule.holds(&outcome);
                assert_eq!(first, rule.holds(&outcome), "{source}");
            }
        }
        Err(error) => {
            assert!(error.position <= source.chars().count(), "{source:?}: {}", error.position);
            assert!(!error.message.is_empty(), "{source:?}");
        }
    }
}

/// Rules without a regular expression that are true or false: every one of them is accepted.
fn truth() -> BoxedStrategy<String> {
    let number = prop_oneof![
        Just("status".to_owned()),
        Just("respTime".to_owned()),
        Just("certExpiryDays".to_owned()),
        (0u32..300).prop_map(|n| n.to_string()),
        (0u32..3000).prop_map(|n| format!("{}.{}", n / 10, n % 10)),
    ];
    let number = number
        .prop_recursive(2, 8, 2, |inner| {
            (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), inner)
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})"))
        })
        .boxed();
    let text = prop_oneof![
        Just("body".to_owned()),
        Just("ipAddress".to_owned()),
        Just("regexMatch".to_owned()),
        "[a-z ]{0,6}".prop_map(|t| format!("'{t}'")),
    ];
    let order = prop::sample::select(vec!["<", "<=", ">", ">="]);
    let equality = prop::sample::select(vec!["==", "!="]);
    let leaf = prop_oneof![
        (number.clone(), order, number.clone()).prop_map(|(l, o, r)| format!("{l} {o} {r}")),
        (number.clone(), equality.clone(), number.clone()).prop_map(|(l, o, r)| format!("{l} {o} {r}")),
        (text.clone(), equality, text.clone()).prop_map(|(l, o, r)| format!("{l} {o} {r}")),
        (text, "[a-z]{1,3}").prop_map(|(t, n)| format!("{t} =~ '{n}'")),
        (number.clone(), number.clone(), number).prop_map(|(a, b, c)| format!("{a} IN ({b}, {c})")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l} && {r})")),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l} OR {r})")),
            inner.clone().prop_map(|i| format!("!({i})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn token_soup_never_panics(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60), probe in probe()) {
        check(&pieces.join(" "), probe);
        check(&pieces.concat(), probe);
    }

    #[test]
    fn character_soup_never_panics(source in ".{0,200}", probe in probe()) {
        check(&source, probe);
    }

    #[test]
    fn a_damaged_rule_never_panics(at in 0usize..200, piece in prop::sample::select(PIECES), cut in 0usize..5) {
        let rule = r"status in [200, 204] && !(body =~ '\d+ (a|b)') && [1, 2].exists(x, x * 2 == 4) || size(body) / 2 > 1 ? true : false";
        let mut chars: Vec<char> = rule.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, piece.chars());
        check(&chars.into_iter().collect::<String>(), ProbeType::Http);
    }

    #[test]
    fn well_formed_rules_compile_and_answer(source in truth()) {
        prop_assume!(source.len() <= 1024);
        let rule = Rule::compile(&source, ProbeType::Http).unwrap();
        for outcome in [http(), https()] {
            let answer = rule.holds(&outcome);
            // only `regexMatch` can have the wrong kind
            prop_assert!(answer != Err(RuleFault::Error) || source.contains("regexMatch"), "{}", source);
            // a rule and its negation never agree, null or not
            let negated = Rule::compile(&format!("!({source})"), ProbeType::Http);
            if let Ok(negated) = negated {
                prop_assert_eq!(negated.holds(&outcome), answer.map(|truth| !truth), "{}", source);
            }
        }
    }

    #[test]
    fn pattern_soup_never_panics(pattern in r"[ab(|)*+?{}\[\]^$.\\dwsbB0-9,:é-]{0,30}", body in "[ab0é\n ]{0,60}") {
        if let Ok(regex) = BodyRegex::compile(&pattern) {
            let found = regex.find(&body).unwrap();
            let rule = Rule::compile(&format!("body =~ r'{pattern}'"), ProbeType::Http);
            if let Ok(rule) = rule {
                let mut outcome = http();
                outcome.body = Some(body);
                prop_assert_eq!(rule.holds(&outcome), Ok(found.is_some()));
            }
        }
    }

    /// Another engine than the crate's own choice, the same answer.
    #[test]
    fn finds_what_the_regex_crate_finds(pattern in r"([abé.]|\[ab]|\(|\)|\||[*+?]|\{1,2\}|\^|\$|\(\?:){1,12}", body in "[abé\n]{0,40}") {
        if let (Ok(ours), Ok(crates)) = (BodyRegex::compile(&pattern), regex::Regex::new(&pattern)) {
            let wanted = crates.captures(&body).map(|captures| {
                let group = captures.iter().skip(1).flatten().next().or(captures.get(0));
                group.map_or(String::new(), |found| found.as_str().replace('\n', "\u{fffd}"))
            });
            let found = ours.find(&body).unwrap().map(|found| match found {
                OutputValue::Text(text) => text.to_string(),
                OutputValue::Number(number) => number.to_string(),
            });
            prop_assert_eq!(found, wanted, "{}", pattern);
        }
    }

    #[test]
    fn interning_changes_nothing(source in truth()) {
        prop_assume!(source.len() <= 1024);
        let mut interner = RuleInterner::default();
        let (one, two) = (interner.rule(&source, ProbeType::Http).unwrap(), interner.rule(&source, ProbeType::Http).unwrap());
        prop_assert!(std::sync::Arc::ptr_eq(&one, &two));
        prop_assert_eq!(one.holds(&http()), Rule::compile(&source, ProbeType::Http).unwrap().holds(&http()));
    }
}
