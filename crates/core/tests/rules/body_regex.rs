//! `bodyRegex`: what becomes `regexMatch`.

use nanomon_core::OutputValue;
use nanomon_core::rule::{BodyRegex, RegexTimeout, RuleInterner};

fn find(pattern: &str, body: &str) -> Option<OutputValue> {
    BodyRegex::compile(pattern).unwrap().find(body).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what is found")]
fn text(value: &str) -> Option<OutputValue> {
    Some(OutputValue::Text(value.into()))
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what is found")]
fn number(value: f64) -> Option<OutputValue> {
    Some(OutputValue::Number(value))
}

#[test]
fn the_first_group_or_the_whole_match() {
    assert_eq!(find(r"build (\w+)", "a build abc"), text("abc"));
    assert_eq!(find(r"build \w+", "a build abc"), text("build abc"));
    assert_eq!(find(r"(?:build) (\w+) (\w+)", "a build abc def"), text("abc"));
    assert_eq!(find(r"build (?P<name>\w+)", "a build abc"), text("abc"));
    assert_eq!(find(r"(x)|(y)", "--y"), text("y"));
    assert_eq!(find(r"a(b)?", "a"), text("a"));
    assert_eq!(find(r"a(b*)", "a"), text(""));
    assert_eq!(find(r"nothing", "a build"), None);
    assert_eq!(find(r"(ö+)", "aööb"), text("öö"));
}

#[test]
fn the_first_match_as_perl_has_it() {
    assert_eq!(find("a|ab", "xxab"), text("a"));
    assert_eq!(find("b+?", "abbb"), text("b"));
    assert_eq!(find("(?s)<t>(.*?)</t>", "x<t>one\n</t><t>two</t>"), text("one\u{fffd}"));
    assert_eq!(find("^$", ""), text(""));
}

#[test]
fn agrees_with_the_regex_crate() {
    let body = "The quick brown fox, 12 x 1.5 = 18; naïve café\nsecond line: key=value; end";
    for pattern in [
        r"(\d+) x",
        r"\w+\s\w+",
        r"=(\w+);",
        r"(?m)^second (\w+)",
        "o",
        "z|fox",
        r"(f)(o)",
        r"[^ ]+é",
        r"\bend\b",
        "(?i)QUICK",
    ] {
        let regex = regex::Regex::new(pattern).unwrap();
        let captures = regex.captures(body).unwrap();
        let wanted = captures.iter().skip(1).flatten().next().unwrap_or(captures.get(0).unwrap()).as_str();
        let wanted = wanted.parse().map_or_else(|_| text(wanted), number);
        assert_eq!(find(pattern, body), wanted, "{pattern}");
    }
}

#[test]
fn numbers_are_numbers() {
    assert_eq!(find(r"(\d+)", "build 42"), number(42.0));
    assert_eq!(find(r"[-\d.]+", "t=-1.5;"), number(-1.5));
    assert_eq!(find(r"\d+e\d+", "1e3"), number(1000.0));
    assert_eq!(find(r"\w+", "007"), number(7.0));
    for word in ["NaN", "inf", "infinity", "1e999", "0x10", "1_000", "12abc", "1,5"] {
        assert_eq!(find(".+", word), text(word));
    }
}

#[test]
fn long_and_dirty_matches_are_cut_and_cleaned() {
    assert_eq!(find(".+", &"a".repeat(1000)), text(&"a".repeat(256)));
    assert_eq!(find(".+", &"ö".repeat(1000)), text(&"ö".repeat(128)));
    assert_eq!(find(".+", &format!("a{}", "ö".repeat(1000))), text(&format!("a{}", "ö".repeat(127))));
    assert_eq!(find("(?s).+", "a\0b\r\n\u{7f}\u{85}c"), text("a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}c"));
    let Some(OutputValue::Text(found)) = find("(?s).+", &"\0".repeat(500)) else { panic!() };
    assert!(found.len() <= 256);
}

#[test]
fn classes_are_ascii_as_in_re2() {
    assert_eq!(find(r"(\d)", "٣"), None);
    assert_eq!(find(r"\w+", "éa"), text("a"));
    assert_eq!(find(r"\D+", "1é2"), text("é"));
    assert_eq!(find(r"[\W]", "aé"), text("é"));
    assert_eq!(find(r"a\b", "aé"), text("a"));
    assert_eq!(find(r"\pL+", "1éa"), text("éa"));
}

#[test]
fn faults_have_sentences() {
    for (pattern, sentence) in [
        ("", "the regular expression is empty"),
        ("(", "the regular expression is not valid at its character 1: unclosed group"),
        ("ö(", "not valid at its character 2"),
        (r"(a)\1", "backreferences are not supported"),
        ("a{1000}{1000}", "too large when compiled"),
        (r"(\pL{200})+", "too large when compiled"),
        (&"(".repeat(60), "not valid"),
        (&format!("{}a{}", "(".repeat(60), ")".repeat(60)), "exceed the maximum number of nested"),
        (&"a".repeat(1025), "the regular expression has 1025 characters; at most 1024 are allowed"),
    ] {
        let error = BodyRegex::compile(pattern).unwrap_err();
        assert!(error.contains(sentence), "{pattern}: {error}");
    }
}

#[test]
fn a_group_over_a_whole_large_body_is_given_up() {
    let body = "ab ".repeat(300_000);
    let regex = BodyRegex::compile("(?s)^(?:a|b| )*(x?)$").unwrap();
    assert_eq!(regex.find(&body), Err(RegexTimeout));
    let whole = BodyRegex::compile("(?s)^[ab ]*$").unwrap();
    assert!(whole.find(&body).unwrap().is_some());
}

#[test]
fn equal_expressions_are_compiled_once() {
    let mut interner = RuleInterner::default();
    let (one, two) = (interner.body_regex(r"v(\d+)").unwrap(), interner.body_regex(r"v(\d+)").unwrap());
    assert!(std::sync::Arc::ptr_eq(&one, &two));
    assert!(interner.body_regex("(").is_err());
    assert_eq!(interner.len(), 1);
    for n in 0..10_000 {
        interner.body_regex(&format!("x{n}")).unwrap();
    }
    assert!(interner.len() < 200, "{} dead entries", interner.len());
}
