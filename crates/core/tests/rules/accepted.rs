//! Rules that are accepted, and what they say.

use nanomon_core::OutputId;
use nanomon_core::ProbeType::{self, Dns, Http, Ping, Tcp};
use nanomon_core::rule::{Rule, RuleFault};

use super::{dns, http, https, judge, ping, tcp};

const T: Result<bool, RuleFault> = Ok(true);
const F: Result<bool, RuleFault> = Ok(false);
const E: Result<bool, RuleFault> = Err(RuleFault::Error);

/// The examples of the reference's manual, as they stand there, with their comments.
#[test]
fn the_references_own_examples() {
    let http = http();
    for (source, expected) in [
        ("status >= 200 && status < 300          # Check for OK range of HTTP status codes", T),
        ("status == 200 && respTime < 5000       # Check status code and response time", F),
        ("body =~ 'some words'                   # Look for a string in the HTTP body", T),
        ("regexMatch == 'a value'                # Check the value of the RegEx match", T),
    ] {
        assert_eq!(judge(source, Http, &http), expected, "{source}");
        let bare = source.split('#').next().unwrap().trim();
        assert_eq!(judge(bare, Http, &http), expected, "{bare}");
    }
    assert_eq!(judge("'93.184.215.14' IN (result1, result2)", Dns, &dns()), T);
    assert_eq!(judge("'93.184.215.15' IN (result1, result2)  # Check IP in multiple DNS results", Dns, &dns()), F);
}

const PLAIN_HTTP: &[(&str, Result<bool, RuleFault>)] = &[
    // comparison and logic
    ("status == 204", T),
    ("status != 204", F),
    ("status > 204", F),
    ("status >= 204", T),
    ("status < 204.5", T),
    ("status <= 203.9", F),
    ("204 == status", T),
    ("204.0 == status", T),
    ("respTime == 123.5", T),
    ("respTime > 123", T),
    ("status >= 200 && status < 300 && respTime < 5000", T),
    ("status >= 200 && status < 300 || respTime > 5000", T),
    ("status == 500 || status == 204", T),
    ("status == 500 || status == 204 && respTime > 1000", F),
    ("(status == 204 || status == 500) && respTime > 100", T),
    ("status == 204 AND respTime < 500", T),
    ("status == 500 OR respTime < 500", T),
    ("status == 500 or respTime < 500 and true", T),
    ("NOT status == 204", F),
    ("not (status == 204)", F),
    ("NOT NOT status == 204", T),
    ("NOT status == 500 AND NOT status == 404", T),
    ("!(status == 204)", F),
    ("!!(status == 204)", T),
    ("!false", T),
    ("true", T),
    ("false", F),
    ("true && !false", T),
    ("(status == 204) == true", T),
    ("(status == 204) != (respTime > 1)", F),
    ("status==204&&respTime<500", T),
    ("  status\n  ==\t204  ", T),
    ("status == 204 // as long as there is no body", T),
    ("// first line\nstatus == 204", T),
    // numbers
    ("respTime / 2 < 62", T),
    ("respTime / 2 == 61.75", T),
    ("respTime + 1 == 124.5", T),
    ("respTime - 0.5 == 123", T),
    ("respTime * 2 == 247", T),
    ("status / 100 == 2.04", T),
    ("int(status / 100) == 2", T),
    ("int(respTime) == 123", T),
    ("int(-1.9) == -1", T),
    ("status % 100 == 4", T),
    ("status % 2 == 0", T),
    ("respTime % 1 == 0.5", T),
    ("-7 % 3 == -1", T),
    ("7 % -3 == 1", T),
    ("1 + 2 * 3 == 7", T),
    ("(1 + 2) * 3 == 9", T),
    ("10 - 3 - 2 == 5", T),
    ("100 / 10 / 2 == 5", T),
    ("2 * 3 % 4 == 2", T),
    ("1 / 0 > 1000000", T),
    ("-1 / 0 < 0", T),
    ("0 / 0 == 0 / 0", F),
    ("0 / 0 < 1", F),
    ("status % 0 == 0", F),
    ("-status == -204", T),
    ("--status == 204", T),
    ("- 5 < 0", T),
    ("3 - -2 == 5", T),
    ("1e3 == 1000", T),
    ("1.5E-1 == 0.15", T),
    ("2e+2 == 200", T),
    (".5 == 0.5", T),
    ("0xCC == status", T),
    ("204u == status", T),
    ("0.1 + 0.2 < 0.30001", T),
    ("9007199254740993 == 9007199254740992", T),
    ("status - 4 == 200 && respTime + respTime > status", T),
    ("bodyLen / 1024 == 2", T),
    ("bodyLen > 1024 * 1.5", T),
    // ternary
    ("status == 204 ? respTime < 500 : false", T),
    ("status == 200 ? respTime < 1 : respTime > 1", T),
    ("(status == 204 ? 1 : 2) == 1", T),
    ("respTime < (status == 204 ? 200 : 100)", T),
    ("status == 1 ? false : status == 2 ? false : true", T),
    ("status == 204 ? status == 204 ? true : false : false", T),
    ("(status == 204 ? 'a' : 1) == 'a'", T),
    ("status > 0 ? true : regexMatch > 5", T),
    // membership
    ("status in [200, 204]", T),
    ("status IN (200, 204)", T),
    ("status in (200, 204)", T),
    ("status In (200, 201)", F),
    ("status IN [200, 204,]", T),
    ("status IN (204)", T),
    ("status IN ([200, 204])", T),
    ("status in [204.0]", T),
    ("!(status in [200, 204])", F),
    ("NOT status IN (200, 204)", F),
    ("'a' in ['a', 1, null, true]", T),
    ("true in ['a', 1, null, true]", T),
    ("1 in ['1']", F),
    ("1 in []", F),
    ("certExpiryDays in [1, null]", T),
    ("status + 1 in [205]", T),
    ("status in (200 + 4, 5)", T),
    ("status IN (200, 204) && respTime < 500", T),
    ("'some words' in [body]", F),
    ("status in [200, 204].filter(x, x > 203)", T),
    ("status in [100, 102].map(x, x * 2)", T),
    ("status in (respTime > 1 ? [204] : [200])", T),
    // texts
    ("regexMatch == \"a value\"", T),
    ("regexMatch != 'another'", T),
    ("httpVersion == '1.1'", T),
    ("ipAddress == '93.184.215.14'", T),
    ("reason == 'ok'", T),
    ("'a' < 'b'", T),
    ("'b' <= 'a'", F),
    ("regexMatch > 'a'", T),
    ("httpVersion + '!' == '1.1!'", T),
    ("'a' + 'b' + 'c' == 'abc'", T),
    ("regexMatch + 's' == 'a values'", T),
    ("size(regexMatch) == 7", T),
    ("regexMatch.size() == 7", T),
    ("size('Wörld') == 5", T),
    ("size(body) > 10", T),
    ("body.size() < 10", F),
    ("size([1, 2, 3]) == 3", T),
    ("[1, 2].size() == 2", T),
    ("size([]) == 0", T),
    ("body.contains('some words')", T),
    ("body.contains('Some Words')", F),
    ("body.contains(httpVersion)", F),
    ("body.contains('')", T),
    ("body.startsWith('Hello')", T),
    ("body.startsWith('hello')", F),
    ("body.endsWith('temp')", T),
    ("'abc'.startsWith('ab') && 'abc'.endsWith('bc')", T),
    ("ipAddress.startsWith('93.')", T),
    ("body == body", T),
    ("body != ''", T),
    ("string(status) == '204'", T),
    ("string(respTime) == '123.5'", T),
    ("string(status).startsWith('2')", T),
    ("string(true) == 'true'", T),
    ("string(regexMatch) == 'a value'", T),
    ("int('42') == 42", T),
    ("double('1.5') == 1.5", T),
    ("double(httpVersion) >= 1.1", T),
    ("int(regexMatch) == 1", E),
    ("double('x') == 1", E),
    ("int(1 / 0) == 1", E),
    // quoting
    (r#"'it\'s' == "it's""#, T),
    (r#""say \"x\"" == 'say "x"'"#, T),
    (r"'a\\b' == r'a\b'", T),
    (r#"R"a\b" == 'a\\b'"#, T),
    (r"'\d' == 'd'", T),
    (r"'\w+' == 'w+'", T),
    (r"size('\n') == 1 && '\n' == '\x0a'", T),
    (r"'\u00f6' == 'ö' && '\U000000f6' == 'ö'", T),
    (r"'\xZZ' == 'xZZ'", T),
    ("'''it's''' == 'it\\'s'", T),
    ("\"\"\"a \"b\" c\"\"\" == 'a \"b\" c'", T),
    ("'' == \"\"", T),
    ("'// no comment' == '// no comment' && '# no' == '# no'", T),
    ("body =~ 'Wörld'", T),
    ("'💥' =~ '^.$'", T),
    // regular expressions
    ("body =~ 'some words'", T),
    ("body =~ 'some  words'", F),
    ("body !~ 'some words'", F),
    ("body !~ 'error'", T),
    ("body =~ '^Hello'", T),
    ("body =~ '^there'", F),
    ("body =~ '(?m)^there'", T),
    ("body =~ '(?i)HELLO'", T),
    (r"body =~ '\d+\.\d+\.\d+'", T),
    (r"body =~ '\\d+\\.\\d+\\.\\d+'", T),
    (r"body =~ r'\d+\.\d+\.\d+'", T),
    (r#"body =~ "build [0-9]+;""#, T),
    (r"body =~ '\bbuild\b'", T),
    (r"body =~ '\bbuil\b'", F),
    (r"body =~ 'it\'s'", T),
    (r#"body =~ "\"status\": *\"up\"""#, T),
    (r"body =~ 'C:\\\\temp'", T),
    (r"body =~ r'C:\\temp'", T),
    (r"body =~ 'words,\s+version'", T),
    (r"'x٣' =~ '\d'", F), // as in RE2, \d is [0-9]
    (r"'é' =~ '\w'", F),
    (r"'é' =~ '\W'", T),
    (r"'é' =~ '\\pL'", T),
    (r"'aé' =~ '^[^\d]{2}$'", T),
    (r"'a\nb' =~ 'a.b'", F),
    (r"'a\nb' =~ '(?s)a.b'", T),
    ("body =~ 'Hello' && status == 204", T),
    ("status == 204 && body =~ 'Hello' && respTime < 500", T),
    ("!(body =~ 'Hello')", F),
    ("NOT body =~ 'Hello'", F),
    ("httpVersion + regexMatch =~ '^1.1a value$'", T),
    ("(status == 204 ? 'up' : 'down') =~ 'up'", T),
    ("string(status) =~ '^2..$'", T),
    ("body =~ ''", T),
    ("body.matches('some words')", T),
    (r"body.matches('^Hello.*\n')", T),
    ("matches(body, 'version 1')", T),
    ("regexMatch =~ '^a'", T),
    // comprehensions
    ("[200, 204, 301].exists(x, x == status)", T),
    ("[200, 201].exists(x, x == status)", F),
    ("[200, 204].all(x, x <= status)", T),
    ("[200, 204, 204].exists_one(x, x == status)", F),
    ("[200, 204].exists_one(code, code == status)", T),
    ("['some words', 'version'].all(w, body.contains(w))", T),
    ("['error', 'fatal'].exists(w, body.contains(w))", F),
    ("[respTime, 100].filter(t, t > 110).size() == 1", T),
    ("[1, 2, 3].map(x, x * 2) .exists(x, x == 6)", T),
    ("[1, 2, 3].map(x, x * 2)[1] == 4", T),
    ("[1, 2].map(x, x > 1).exists(b, b)", T),
    ("[].all(x, true)", T),
    ("[].exists(x, true)", F),
    ("[5, 6][1] == 6", T),
    ("[5, 6][2] == 6", E),
    ("[5, 6][-1] == 6", E),
    ("[5, 6][0.5] == 6", E),
    ("[true, false][0]", T),
    ("[certExpiryDays, 5].exists(d, d == null)", T),
    ("['1', 2].exists(x, x == 2)", T),
    // null: outputs that this run does not have
    ("certExpiryDays == null", T),
    ("certExpiryDays != null", F),
    ("null == null", T),
    ("status != null", T),
    ("certExpiryDays > 10", F),
    ("certExpiryDays < 10", F),
    ("certExpiryDays <= 10", F),
    ("certExpiryDays >= 10", F),
    ("10 < certExpiryDays", F),
    ("!(certExpiryDays > 10)", T),
    ("certExpiryDays == 10", F),
    ("certExpiryDays != 10", T),
    ("certExpiryDays > 10 || status == 204", T),
    ("certExpiryDays == null || certExpiryDays > 10", T),
    ("certExpiryDays > 10 && status == 204", F),
    ("certExpiryDays / 7 > 1", F),
    ("certExpiryDays + 1 == null", T),
    ("-certExpiryDays < 0", F),
    ("int(certExpiryDays) == null && string(tlsTime) == null", T),
    ("tlsTime + connectTime < 100", F),
    ("tlsTime == connectTime", T),
    ("tlsTime < connectTime", F),
    // kinds
    ("status == '204'", F),
    ("status != '204'", T),
    ("true == 1", F),
    ("regexMatch == 42", F),
    ("regexMatch > 5", E),
    ("regexMatch + 1 > 5", E),
    ("regexMatch > 5 || true", T),
    ("true || regexMatch > 5", T),
    ("regexMatch > 5 && false", F),
    ("regexMatch > 5 || false", E),
    ("regexMatch > 5 && true", E),
    ("!(regexMatch > 5)", E),
    ("[1, 'a'].exists(x, x > 0)", T),
    ("['a', 1].exists(x, x > 0)", T),
    ("['a', 0].exists(x, x > 0)", E),
    ("['a', 0].all(x, x > 0)", F),
    ("['a', 1].all(x, x > 0)", E),
];

#[test]
fn over_a_plain_http_run() {
    let outcome = http();
    for (source, expected) in PLAIN_HTTP {
        assert_eq!(judge(source, Http, &outcome), *expected, "{source}");
    }
}

#[test]
fn over_other_runs() {
    for (source, expected) in [
        ("certExpiryDays > 10", T),
        ("certExpiryDays > 30", F),
        ("certExpiryDays / 7 > 4", T),
        ("regexMatch == 42", T),
        ("regexMatch > 41.5", T),
        ("regexMatch == '42'", F),
        ("regexMatch =~ '42'", E),
        ("string(regexMatch) =~ '42'", T),
        ("regexMatch.contains('4')", E),
        ("tlsTime < 20 && tlsTime > 10", T),
    ] {
        assert_eq!(judge(source, Http, &https()), expected, "{source}");
    }
    for (source, expected) in [
        ("result1 == '10.0.0.7'", T),
        ("result3 == null", T),
        ("result20 == null", T),
        ("result3 =~ 'x'", F),
        ("result3 !~ 'x'", T),
        ("result3.contains('x')", F),
        ("result1.contains(result3)", F),
        ("size(result3) == null", T),
        ("result3 + 'x' == null", T),
        ("result3 IN (null)", T),
        ("resultCount == 2 && respTime < 10", T),
        ("[result1, result2, result3].exists(r, r.startsWith('10.'))", T),
        ("[result1, result2, result3].all(r, r == null || r.size() > 3)", T),
        ("[result1, result2, result3].filter(r, r != null).size() == resultCount", T),
        (r"result1 =~ '^10\.'", T),
        (r"result2 !~ '^10\.'", T),
    ] {
        assert_eq!(judge(source, Dns, &dns()), expected, "{source}");
    }
    for (source, expected) in [
        ("packetLoss == 0", F),
        ("packetLoss < 34", T),
        ("packetsRecv / 3 > 0.6", T),
        ("avgRtt <= maxRtt && minRtt <= avgRtt", T),
        ("maxRtt - minRtt < 5", T),
        ("ipAddress == '::1'", T),
    ] {
        assert_eq!(judge(source, Ping, &ping()), expected, "{source}");
    }
    for (source, expected) in
        [("respTime < 5", T), ("ipAddress != '10.0.0.1'", T), ("connectTime < 5", F), ("dnsTime == null", T)]
    {
        assert_eq!(judge(source, Tcp, &tcp()), expected, "{source}");
    }
}

#[test]
fn there_are_many_cases() {
    assert!(PLAIN_HTTP.len() > 200, "{}", PLAIN_HTTP.len());
}

#[test]
fn an_absent_body_is_null() {
    let mut outcome = http();
    outcome.body = None;
    for (source, expected) in
        [("body == null", T), ("body =~ 'x'", F), ("body !~ 'x'", T), ("size(body) > 1", F), ("body.contains('')", F)]
    {
        assert_eq!(judge(source, Http, &outcome), expected, "{source}");
    }
}

#[test]
fn says_whether_it_reads_the_body() {
    for (source, expected) in [
        ("status == 200", false),
        ("bodyLen > 5", false),
        ("'body' == 'body'", false),
        ("status == 200 // body", false),
        ("body =~ 'x'", true),
        ("body !~ 'x'", true),
        ("size(body) > 5", true),
        ("status == 200 || body.contains('x')", true),
        ("'x' in [body]", true),
        ("[body].exists(b, b == 'x')", true),
        ("status == 200 ? body == 'x' : true", true),
    ] {
        assert_eq!(Rule::compile(source, Http).unwrap().reads_body(), expected, "{source}");
    }
}

#[test]
fn keeps_its_source() {
    let rule = Rule::compile("  status == 200 ", Http).unwrap();
    assert_eq!(rule.source(), "  status == 200 ");
    assert_eq!(format!("{rule:?}"), "Rule(\"  status == 200 \")");
}

#[test]
fn is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Rule::compile("body =~ 'x+'", Http).unwrap());
}

/// `docs/rules.md`: each line of its examples is a rule of the type that its fence names.
#[test]
fn the_manuals_examples_compile() {
    let manual = include_str!("../../../../docs/rules.md");
    let mut probe = None;
    let mut count = 0;
    for line in manual.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            probe = fence.strip_prefix("rule ").and_then(ProbeType::from_word);
        } else if let Some(probe) = probe {
            let rule = Rule::compile(line, probe);
            assert!(rule.is_ok(), "{line}: {rule:?}");
            count += 1;
        }
    }
    assert!(count >= 8, "{count}");
    // and its table names every output
    for probe in ProbeType::ALL {
        let row = manual.lines().find(|line| line.starts_with(&format!("| {} |", probe.as_str()))).unwrap();
        for id in OutputId::of(probe) {
            assert!(row.contains(&format!("`{}`", id.name())), "{probe:?}: {}", id.name());
        }
    }
}
