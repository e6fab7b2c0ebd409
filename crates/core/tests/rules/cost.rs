//! What a rule can cost: its time on the largest body, and its memory. The limits are wide, for unoptimised builds on busy
//! machines; `--nocapture` shows the figures.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use nanomon_core::ProbeType::Http;
use nanomon_core::outcome::Outcome;
use nanomon_core::rule::{BodyRegex, Rule, RuleFault};

use super::http;

const BODY_BYTES: usize = 1024 * 1024;

fn with_body(unit: &str) -> Outcome {
    let mut outcome = http();
    outcome.body = Some(unit.repeat(BODY_BYTES / unit.len()));
    outcome
}

/// `part` as often as the length limit allows.
fn fill(head: &str, part: &str, tail: &str) -> String {
    format!("{head}{}{tail}", part.repeat((1024 - head.len() - tail.len()) / part.len()))
}

fn bodies() -> Vec<(&'static str, Outcome)> {
    let mut noise = String::with_capacity(BODY_BYTES);
    let mut state = 1u64;
    while noise.len() < BODY_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.push(if state >> 63 == 0 { 'a' } else { 'b' });
    }
    let mut random = http();
    random.body = Some(noise);
    vec![("a", with_body("a")), ("ab", with_body("ab")), ("noise", random), ("é", with_body("é"))]
}

fn worst_rules() -> Vec<String> {
    let tree = |n: usize| format!("body =~ '(?:a|b)*a(?:a|b){{{n}}}c'");
    vec![
        fill("body =~ 'x'", "||body=~'x'", ""),
        fill("body =~ '[xy]'", "||body=~'[xy]'", ""),
        fill("body =~ 'a*x'", "||body=~'a*x'", ""),
        fill("body =~ '.*.*x'", "||body=~'.*.*.*x'", ""),
        fill("body =~ 'a+b+a+x'", "||body=~'[ab]a[ab]{9}x'", ""),
        fill("size(body) == 0", "||size(body)==0", ""),
        fill("body == ''", "||body!=body", ""),
        fill("body.contains('", "a", "b')"),
        fill("body.contains('", "ab", "x')"),
        format!("body.contains('{}b{}')", "a".repeat(500), "a".repeat(480)),
        fill("body =~ '", "a?", "x'"),
        fill("body =~ '(?:", "a|", "b)*x'"),
        fill("body =~ '(?:", "[ab]*", "){20}x'"),
        fill("body =~ '", "(?:a|aa)+", "x'"),
        fill("body =~ '", ".*a", "x'"),
        fill("body =~ '", "[^x]*", "x'"),
        tree(5),
        tree(12),
        tree(30),
        tree(200),
        tree(600),
        tree(1200),
        "body =~ '(?:a+)+(?:a+)+(?:a+)+(?:a+)+x'".to_owned(),
        "body =~ '[ab]{400}x'".to_owned(),
        "body =~ '(?:[ab]{1,40}){10}x'".to_owned(),
        "body =~ '(?i)[a-zé]*\\b[a-zé]*\\b[a-zé]*x'".to_owned(),
        r"body =~ '\pL*\pN'".to_owned(),
        format!("[{}].exists(x, body =~ '.*x')", fill("1", ",1", "").get(..900).unwrap().trim_end_matches(',')),
        format!("[body{}].exists(x, x =~ '[ab]a[ab]{{9}}x')", ",body".repeat(190)),
        format!("[body{}].exists(x, x + 'x' == '' || x in [body])", ",ipAddress".repeat(90)),
        format!("[body{}].exists(x, x != body)", ",body".repeat(190)),
        fill("body == ''", &format!("||body.contains('{}b{}')", "a".repeat(20), "a".repeat(19)), ""),
        format!("['aaaaaaaaaaaaaaaa'].{}size()>0", "map(x,x+x+x+x+x+x+x+x).".repeat(20)),
        fill("[1].map(x,x)", ".map(x,x)", ".size()>0"),
        format!("[1{0}].exists(x, x in [0{0}])", ",2".repeat(240)).replace(",2].", ",3]."),
        format!("[1{0}].exists(x, x * 2 in [0{0}])", ",3".repeat(240)),
    ]
}

#[test]
fn the_worst_rules_on_the_largest_bodies_end_soon() {
    let mut worst = (Duration::ZERO, String::new());
    let mut given_up = 0;
    for source in worst_rules() {
        let started = Instant::now();
        let rule = match Rule::compile(&source, Http) {
            Ok(rule) => rule,
            Err(error) => {
                println!("refused: {error}: {}", source.chars().take(60).collect::<String>());
                continue;
            }
        };
        let compiled = started.elapsed();
        assert!(compiled < Duration::from_secs(2), "{source} took {compiled:?} to compile");
        for (name, outcome) in bodies() {
            let started = Instant::now();
            let answer = rule.holds(&outcome);
            let took = started.elapsed();
            given_up += usize::from(answer == Err(RuleFault::Timeout));
            let text: String = source.chars().take(60).collect();
            println!("{took:>10.1?} {answer:?} body {name}: {text} (compiled in {compiled:.1?})");
            if took > worst.0 {
                worst = (took, format!("{text} on {name}"));
            }
        }
    }
    println!("worst: {:?} {}; given up: {given_up}", worst.0, worst.1);
    let limit = if cfg!(debug_assertions) { Duration::from_secs(10) } else { Duration::from_millis(500) };
    assert!(worst.0 < limit, "{:?}: {}", worst.0, worst.1);
    assert!(given_up > 0, "none of these rules was given up, so the budgets were not tried");
}

#[test]
fn the_worst_body_expressions_end_soon() {
    let mut worst = (Duration::ZERO, String::new());
    for pattern in [
        "(a|b)*c",
        "((a|b)*)",
        "(.*)(.*)(.*)x",
        "(?s)(.*)",
        "(?:a|b)*a(?:a|b){12}(c?)",
        "(?:a|b)*a(?:a|b){200}",
        "(?:a|b)*a(?:a|b){800}",
        "([ab]{400})",
        "(?:(a+)+)+$",
        "(a?){400}(b)",
        r"(\w+)\W",
        "x*",
        "(é+)$",
    ] {
        let regex = match BodyRegex::compile(pattern) {
            Ok(regex) => regex,
            Err(error) => {
                println!("refused: {error}: {pattern}");
                continue;
            }
        };
        for (name, outcome) in bodies() {
            let started = Instant::now();
            let found = regex.find(outcome.body.as_deref().unwrap());
            let took = started.elapsed();
            println!("{took:>10.1?} {} body {name}: {pattern}", if found.is_err() { "given up" } else { "ended" });
            if took > worst.0 {
                worst = (took, format!("{pattern} on {name}"));
            }
        }
    }
    println!("worst: {:?} {}", worst.0, worst.1);
    let limit = if cfg!(debug_assertions) { Duration::from_secs(10) } else { Duration::from_millis(500) };
    assert!(worst.0 < limit, "{:?}: {}", worst.0, worst.1);
}

#[test]
fn a_usual_rule_takes_little() {
    let rule = Rule::compile("status >= 200 && status < 300 && respTime < 5000", Http).unwrap();
    let outcome = http();
    let runs = 200_000u32;
    let started = Instant::now();
    for _ in 0..runs {
        assert_eq!(std::hint::black_box(&rule).holds(std::hint::black_box(&outcome)), Ok(true));
    }
    let each = started.elapsed() / runs;
    println!("{each:?} per evaluation");
    assert!(each < Duration::from_micros(if cfg!(debug_assertions) { 30 } else { 2 }), "{each:?}");
}

#[test]
fn compiling_takes_little() {
    let runs = 2_000u32;
    let started = Instant::now();
    for n in 0..runs {
        Rule::compile(&format!("status == {n} && body =~ 'build [0-9]+, {n}'"), Http).unwrap();
    }
    let each = started.elapsed() / runs;
    println!("{each:?} per compilation with an expression");
    assert!(each < Duration::from_millis(5), "{each:?}");
}

#[test]
fn body_expressions_are_small() {
    for pattern in [r"build (\d+)", r"version: (\d+\.\d+\.\d+)", "ok|up|healthy", r#""status": *"(\w+)""#] {
        let bytes = BodyRegex::compile(pattern).unwrap().memory_usage();
        println!("{bytes} bytes: {pattern}");
        assert!(bytes < 16 * 1024, "{bytes}: {pattern}");
    }
}

/// What people really write must never be given up, however large and varied the body.
#[test]
fn usual_expressions_are_not_given_up_on_large_bodies() {
    let mut page = String::with_capacity(BODY_BYTES);
    let mut n = 0u32;
    while page.len() + 400 < BODY_BYTES {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        write!(
            page,
            "<div class=\"row r{n}\" id='i{}'>\n  <a href=\"https://shop.example/p/{n:x}?q={}\">Größe {} – naïve café №{n}</a>\t{}.{}.{} \
             {{\"state\": \"up\", \"took\": {}.{}, \"at\": \"2026-0{}-1{}T12:0{}:00Z\"}} {}@mail.example 10.{}.{}.7</div>\n",
            n % 977,
            n % 31,
            n % 57,
            n % 9,
            n % 12,
            n % 99,
            n % 500,
            n % 10,
            n % 9 + 1,
            n % 10,
            n % 6,
            n % 7919,
            n % 256,
            n % 13,
        )
        .unwrap();
    }
    page += "<title>The End</title> build 4711 version v1.22.333-rc1 status=healthy";
    let mut outcome = http();
    outcome.body = Some(page.clone());
    for pattern in [
        r"build (\d+)",
        r"(?i)status=(\w+)$",
        r"<title>(.*?)</title>",
        r"<title>([^<]*)",
        r"(?s)<title>.*</title>.*healthy",
        r"version v(\d+\.\d+\.\d+(?:-\w+)?) ",
        r"(?i)\b(fatal|panic|exception|build 4711)\b",
        r"[\w.+-]+@[\w-]+\.[\w.-]+",
        r"\b(?:\d{1,3}\.){3}\d{1,3}\b</div>",
        r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z",
        r"(?i)größe (\d+) – naïve",
        r"https?://[^\s\x22]+/p/[0-9a-f]+\?q=\d+",
        r"\p{Lu}\p{Ll}+ \p{Lu}\p{Ll}+<",
        r"(\d+).*(\d+).*healthy$",
    ] {
        let started = Instant::now();
        let rule = Rule::compile(&format!("body =~ r'{pattern}'"), Http).unwrap();
        assert_eq!(rule.holds(&outcome), Ok(true), "{pattern}");
        let found = BodyRegex::compile(pattern).unwrap().find(&page);
        let wanted = regex::Regex::new(pattern).unwrap().is_match(&page);
        assert_eq!(found.map(|found| found.is_some()), Ok(wanted), "{pattern}");
        println!("{:>10.1?} {pattern}", started.elapsed());
    }
}

/// A rule over its budget says so, whatever stands beside it.
#[test]
fn the_budget_is_not_absorbed() {
    let outcome = with_body("ab");
    let sixteen = "body=~'x[y]'||".repeat(16);
    let within = Rule::compile(&format!("{sixteen}status == 204"), Http).unwrap();
    assert_eq!(within.holds(&outcome), Ok(true));
    let beyond = Rule::compile(&format!("{sixteen}body=~'z[y]'||status == 204"), Http).unwrap();
    assert_eq!(beyond.holds(&outcome), Err(RuleFault::Timeout));
    assert_eq!(RuleFault::Timeout.reason().as_str(), "rule_timeout");
    assert_eq!(RuleFault::Error.reason().as_str(), "rule_error");
    // the same rule has its answer on an ordinary body
    assert_eq!(beyond.holds(&http()), Ok(true));
}
