//! Rules that are refused: where, and with what sentence.

use nanomon_core::ProbeType::{self, Dns, Http, Ping, Tcp};
use nanomon_core::rule::Rule;

const REFUSED: &[(ProbeType, &str, usize, &str)] = &[
    // nothing
    (Http, "", 0, "the rule is empty"),
    (Http, "  \n ", 0, "the rule is empty"),
    (Http, "// nothing", 0, "the rule is empty"),
    // names
    (
        Http,
        "stats == 200",
        0,
        "unknown name `stats`; did you mean `status`? the outputs of http monitors are respTime,",
    ),
    (Http, "status == 200 && resptime < 5", 17, "did you mean `respTime`?"),
    (Http, "code == 200", 0, "unknown name `code`; the outputs of http monitors are respTime, status, bodyLen"),
    (
        Tcp,
        "status == 200",
        0,
        "`status` is an output of http monitors, not of tcp; the outputs of tcp monitors are respTime,",
    ),
    (Ping, "respTime < 5", 0, "`respTime` is an output of http, tcp, dns monitors, not of ping"),
    (Dns, "ipAddress == 'x'", 0, "`ipAddress` is an output of http, tcp, ping monitors, not of dns"),
    (Http, "result1 == 'x'", 0, "`result1` is an output of dns monitors, not of http"),
    (
        Dns,
        "result21 == 'x'",
        0,
        "unknown name `result21`; the outputs of dns monitors are respTime, resultCount, reason, result1 to result20",
    ),
    (Dns, "result0 == 'x'", 0, "unknown name `result0`"),
    (Dns, "result01 == 'x'", 0, "unknown name `result01`"),
    (Tcp, "body =~ 'x'", 0, "`body` is an output of http monitors"),
    (Http, "true || nope > 3", 8, "unknown name `nope`"),
    (Http, "status.code == 200", 7, "there is no field `code`"),
    (Http, "x == 5 && [1].exists(x, x == 1)", 0, "unknown name `x`"),
    (Http, "[1].exists(x, x == 1) && x == 1", 25, "unknown name `x`"),
    // operators of other languages
    (Http, "status = 200", 7, "write `==`"),
    (Http, "status === 200", 7, "`===` is not an operator"),
    (Http, "status <> 200", 7, "write `!=`"),
    (Http, "status => 200", 7, "write `>=`"),
    (Http, "status =< 200", 7, "write `<=`"),
    (Http, "status ** 2 > 5", 7, "`**` (power) is not supported"),
    (Http, "status & 1 == 1", 7, "write `&&`"),
    (Http, "status | 1 == 1", 7, "write `||`"),
    (Http, "status ^ 1 == 1", 7, "bit operators"),
    (Http, "status << 1 == 1", 7, "bit operators"),
    (Http, "status >> 1 == 1", 7, "bit operators"),
    (Http, "~status == 1", 0, "bit operators"),
    (Http, "certExpiryDays ?? 5 > 1", 15, "`??` is not supported"),
    (Http, "status == 200; true", 13, "`;` is not supported"),
    (Http, "{'a': 1}.size() == 1", 0, "maps"),
    (Http, "status == $x", 10, "the character '$' has no meaning here"),
    (Http, "status == 200 ✓", 14, "the character '✓' has no meaning here"),
    (Http, "body =~ “x”", 8, "straight quotes"),
    (Http, "body =~ `x`", 8, "single or double quotes"),
    (Http, "b'x' == 'x'", 0, "bytes"),
    (Http, "status NOT IN (1, 2)", 7, "`NOT` stands before a comparison"),
    // grammar
    (Http, "status ==", 9, "the rule ends where a value is missing"),
    (Http, "status == 200 &&", 16, "the rule ends where a value is missing"),
    (Http, "== 200", 0, "a value is missing before `==`"),
    (Http, "status == && true", 10, "a value is missing before `&&`"),
    (Http, "AND true", 0, "a value is missing before `AND`"),
    (Http, "status == 200 AND", 17, "the rule ends"),
    (Http, "status == 200 OR OR true", 17, "a value is missing before `OR`"),
    (Http, "(status == 200", 0, "this is never closed: `)` is missing"),
    (Http, "true && (status == 200", 8, "this is never closed"),
    (Http, "status == 200)", 13, "`)` does not fit here"),
    (Http, "status in [200, 204", 10, "this is never closed: `]` is missing"),
    (Http, "status in [200 204]", 15, "`]` is missing here"),
    (Http, "status in [,]", 11, "a value is missing before `,`"),
    (Http, "status 200", 7, "an operator such as && or == is missing here"),
    (Http, "status == 200 respTime < 5", 14, "an operator"),
    (Http, "status == 200 ? true", 14, "`:` is missing"),
    (Http, "true ? true", 5, "this is never closed: `:` is missing"),
    (Http, "1 < status < 300", 11, "comparisons cannot be chained"),
    (Http, "status == 204 == true", 14, "comparisons cannot be chained"),
    (Http, "status IN (1) IN (2)", 14, "comparisons cannot be chained"),
    (Http, "status == 'abc", 10, "this text is not closed"),
    (Http, "status == 'abc\\'", 10, "this text is not closed"),
    (Http, "'''abc' == 'x'", 0, "this text is not closed"),
    (Http, "status == 20a", 12, "a number has no unit"),
    (Http, "respTime < 5s", 12, "times are in milliseconds"),
    (Http, "respTime < 500ms", 14, "times are in milliseconds"),
    (Http, "status == 1.2.3", 13, "an operator"),
    (Http, "status == 0x", 10, "hexadecimal"),
    (Http, "status == 1e999", 10, "too large"),
    (Http, "status == 0xfffffffffffffffff", 10, "hexadecimal"),
    (Http, "body == 'a\0b'", 10, "NUL"),
    (Http, "body == '\\x00'", 9, "NUL"),
    (Http, "status == .", 10, "a value is missing before `.`"),
    (Http, "status. == 1", 8, "the name of a method is missing"),
    (Http, "(1, 2) == 1", 2, "a list in round brackets may stand behind `IN` only"),
    (Http, "!-status == 1", 0, "cannot be mixed"),
    // kinds
    (Http, "status", 0, "a rule must be true or false; this is a number"),
    (Http, "1 + 1", 0, "a rule must be true or false; this is a number"),
    (Http, "'x'", 0, "a rule must be true or false; this is a text"),
    (Http, "body", 0, "this is a text"),
    (Http, "regexMatch", 0, "this is a number or a text"),
    (Http, "null", 0, "this is null"),
    (Http, "[true]", 0, "this is a list"),
    (Http, "true ? 1 : 2", 0, "this is a number"),
    (Http, "true ? true : 'x'", 0, "this is true or false or a text"),
    (Http, "true ? true : null", 0, "this is true, false or null"),
    (Http, "status && true", 0, "both sides of `&&` must be true or false; this is a number"),
    (Http, "true && status", 8, "both sides of `&&` must be true or false; this is a number"),
    (Http, "true or 'x'", 8, "both sides of `||` must be true or false; this is a text"),
    (Http, "status == 200 || 204", 17, "both sides of `||` must be true or false; this is a number"),
    (Http, "!status == 200", 1, "put a comparison in brackets"),
    (Http, "!body =~ 'x'", 1, "put a comparison in brackets"),
    (Http, "NOT 1", 4, "only true or false can be negated"),
    (Http, "status ? true : false", 0, "the left of `?` must be true or false"),
    (Http, "status < 'x'", 0, "here a number stands against a text"),
    (Http, "status < null", 9, "here a number stands against null"),
    (Http, "status < true", 9, "stands against true or false"),
    (Http, "body > 5", 0, "here a text stands against a number"),
    (Http, "status == [200]", 10, "lists cannot be compared"),
    (Http, "[1] < [2]", 0, "a list"),
    (Http, "[respTime] > 5", 0, "here a list stands against a number"),
    (Http, "status in 200", 10, "the right of `in` must be a list"),
    (Http, "'a' in body", 7, "the right of `in` must be a list"),
    (Http, "status in ()", 10, "the list behind `IN` is empty"),
    (Http, "[1] in [1]", 0, "the left of `in` must be a single value"),
    (Http, "status + 'x' == 'y'", 0, "here a number stands beside a text"),
    (Http, "status - 'x' == 1", 9, "both sides of `-` must be numbers; this is a text"),
    (Http, "'x' * 2 == 1", 0, "both sides of `*` must be numbers; this is a text"),
    (Http, "true + true == 1", 0, "`+` adds two numbers or joins two texts"),
    (Http, "[1] + [2] == 1", 0, "`+` adds"),
    (Http, "-body == 1", 1, "only a number can follow `-`"),
    (Http, "body + body == 'x'", 0, "`body` cannot be joined"),
    (Http, "'x' + body == 'x'", 6, "`body` cannot be joined"),
    (Http, "(true ? body : 'y') + 'x' == 'x'", 0, "`body` cannot be joined"),
    (Http, "[body][0] + 'x' == 'x'", 0, "`body` cannot be joined"),
    (Http, "[body].map(b, b + b).size() == 1", 14, "`body` cannot be joined"),
    (Http, "[[1]].size() == 1", 0, "a list cannot hold lists"),
    (Http, "[1, [1]].size() == 1", 4, "a list cannot hold lists"),
    (Http, "[1].map(x, [x]).size() == 1", 11, "a list cannot hold lists"),
    (Http, "(true ? [1] : 2) == 2", 14, "both sides of `:` must be of one kind"),
    (Http, "status[0] == 2", 6, "only a list has elements; this is a number"),
    (Http, "[1]['a'] == 2", 4, "an element's position must be a number"),
    // functions
    (Http, "foo(1) == 1", 0, "there is no function foo(); there are size, int, double, string and matches"),
    (Http, "body.foo('x')", 5, "there is no method foo()"),
    (Http, "contains(body, 'x')", 0, "contains() is a method: body.contains('text')"),
    (Http, "has(body)", 0, "write `x != null`"),
    (Http, "duration('5s') == 1", 0, "duration() is not supported"),
    (Http, "size() == 1", 0, "size() takes 1 argument; here are 0"),
    (Http, "size(body, body) == 1", 0, "size() takes 1 argument; here are 2"),
    (Http, "body.contains()", 5, "contains() takes 1 argument; here are 0"),
    (Http, "body.contains(5)", 14, "contains() looks for a text; this is a number"),
    (Http, "status.contains('2')", 0, "contains() is a method of texts; this is a number"),
    (Http, "size(status) == 1", 5, "size() is of a text or a list; this is a number"),
    (Http, "int(true) == 1", 4, "int() is of a number or a text; this is true or false"),
    (Http, "string(body) == 'x'", 7, "`body` is a text already"),
    (Http, "string([1]) == 'x'", 7, "string() is of a single value"),
    (Http, "body.contains('x'", 13, "this is never closed"),
    // regular expressions
    (Http, "status =~ '2'", 0, "the left of `=~` must be a text; this is a number"),
    (Http, "body =~ regexMatch", 8, "the right of `=~` must be a text literal"),
    (Http, "body !~ 5", 8, "the right of `!~` must be a text literal"),
    (Http, "body =~ ('x')", 8, "must be a text literal"),
    (Http, "body =~ 'x' + 'y'", 12, "must be a single text literal"),
    (Http, "body.matches(regexMatch)", 13, "the argument of matches() must be a text literal"),
    (Http, "matches(body)", 12, "matches() needs a text and a regular expression"),
    (Http, "matches(status, 'x')", 8, "must be a text"),
    (Http, "body =~ '('", 8, "the regular expression is not valid at its character 1: unclosed group"),
    (Http, "status == 200 && body =~ 'a('", 25, "not valid at its character 2"),
    (Http, "body =~ '*a'", 8, "the regular expression is not valid"),
    (Http, "body =~ '[z-a]'", 8, "invalid character class range"),
    (Http, r"body =~ '(a)\1'", 8, "backreferences are not supported"),
    (Http, "body =~ '(?=a)'", 8, "look-around"),
    (Http, "body =~ '(?:a{1000}){1000}'", 8, "too large when compiled"),
    (Http, "body =~ '[0-9]{50000}'", 8, "too large when compiled"),
    (Http, r"body =~ '\p{Nope}'", 8, "Unicode property not found"),
    // comprehensions
    (Http, "[1].exists(x, [2].exists(y, x == y))", 18, "exists() cannot stand inside of another such method"),
    (Http, "[1].all(x, [2].map(y, y).size() == 1)", 15, "map() cannot stand inside"),
    (Http, "status.exists(x, x == 1)", 0, "exists() is a method of lists; this is a number"),
    (Http, "body.all(c, c == 'x')", 0, "all() is a method of lists"),
    (Http, "[1].exists(x, x)", 14, "what exists() asks must be true or false; this is a number"),
    (Http, "[1].exists(x == 1)", 13, "`,` is missing here"),
    (Http, "[1].exists(1, true)", 11, "exists() needs a variable"),
    (Http, "[1].exists(true, true)", 11, "exists() needs a variable"),
    (Http, "[1].exists(in, true)", 11, "exists() needs a variable"),
    (Http, "[1].exists(status, status == 1)", 11, "`status` is the name of an output"),
    (Tcp, "[1].exists(status, status == 1)", 11, "`status` is the name of an output"),
    (Http, "[].exists(x, x > 1)", 13, "null"),
];

#[test]
fn each_fault_has_its_place_and_sentence() {
    for (probe, source, position, sentence) in REFUSED {
        match Rule::compile(source, *probe) {
            Ok(_) => panic!("{source:?} is accepted"),
            Err(error) => {
                let place = format!("{source:?}: {}: {error}", error.position);
                assert!(error.to_string().contains(sentence), "{place}; wanted {sentence:?}");
                assert_eq!(error.position, *position, "{place}");
                assert_ne!(error.message.chars().last(), Some('.'), "{place}");
            }
        }
    }
    assert!(REFUSED.len() > 120);
}

#[test]
fn positions_count_characters() {
    let error = Rule::compile("'äöü💥' == 'x' && nope", Http).unwrap_err();
    assert_eq!(error.position, 17);
}

#[test]
fn length_is_bounded() {
    let fits = format!("status == 200{}", " ".repeat(1024 - 13));
    assert!(Rule::compile(&fits, Http).is_ok());
    let error = Rule::compile(&format!("{fits} "), Http).unwrap_err();
    assert_eq!(error.message, "the rule has 1025 characters; at most 1024 are allowed");
    // characters, not bytes
    let umlauts = format!("'{}' == ''", "ö".repeat(1016));
    assert!(Rule::compile(&umlauts, Http).is_ok());
}

/// Each of these fits, all of them together do not.
#[test]
fn the_size_of_all_expressions_together_is_bounded() {
    let one = r"body =~ '\pL\pL'";
    assert!(Rule::compile(one, Http).is_ok());
    let many = [one; 40].join("||");
    let started = std::time::Instant::now();
    let error = Rule::compile(&many, Http).unwrap_err();
    assert_eq!(error.message, "the rule's regular expressions are too large when compiled");
    assert!(error.position > one.len());
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn nesting_is_bounded() {
    let nested = |n: usize| format!("{}status == 200{}", "(".repeat(n), ")".repeat(n));
    assert!(Rule::compile(&nested(23), Http).is_ok());
    let error = Rule::compile(&nested(24), Http).unwrap_err();
    assert_eq!((error.position, error.message.as_str()), (24, "the rule nests more than 24 levels deep"));
    assert!(Rule::compile(&nested(500), Http).is_err());
}
