//! The deepest rules that can be written, compiled, evaluated and dropped on a small stack in an unoptimised build.

use nanomon_core::ProbeType::Http;
use nanomon_core::rule::Rule;

use super::http;

/// A quarter of the smallest stack in use (2 MiB, a spawned thread's).
const STACK_BYTES: usize = 512 * 1024;

/// `part` as often as the length limit allows.
fn fill(head: &str, part: &str, tail: &str) -> String {
    format!("{head}{}{tail}", part.repeat((1024 - head.len() - tail.len()) / part.len()))
}

#[test]
fn the_deepest_rules_fit_into_a_small_stack() {
    let mut sources = vec![
        fill("1", "+1", " > 0"),
        fill("1", "*1", " > 0"),
        fill("", "-", "1 < 9"),
        fill("", "!", "true"),
        fill("", "NOT ", "true"),
        fill("true", "&&true", ""),
        fill("true", "||true", ""),
        fill("true", " and true or true", ""),
        fill("1 in [1", ",1", "]"),
        fill("1 in (1", ",1", ")"),
        fill("", "(", "1"),
        fill("", "[", "1"),
        fill("", "size(", "1"),
        fill("", "true?true:", "true"),
        fill("", "true?", "true"),
        fill("[1]", ".map(x,x)", ".size()>0"),
        fill("[1]", ".filter(x,true)", ".size()>0"),
        fill("[1]", "[0]", " > 0"),
        fill("1", "==1", ""),
        fill("1", "<1", ""),
        fill("body", ".size()", " > 0"),
        fill("body =~ '", "(", "'"),
        fill("body =~ '", "(?:", "'"),
        fill("body =~ '", "a|", "'"),
        fill("body =~ '", "[", "'"),
        fill("body =~ '", "a*", "'"),
    ];
    // Each level as many nodes deep as the grammar allows.
    let level = "true&&false||!(-1*2+size('a'+'b')<1&&NOT 1 in[1].map(x,x+1)?true:";
    sources.push(format!("{}true{}", level.repeat(14), ")".repeat(14)));
    let links = ".map(x,x)".repeat(18);
    sources.push(format!("[[([1]{links}){links}.size()]{links}.size()]{links}.size()>0"));
    let accepted = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let outcome = http();
            let mut accepted = 0;
            for source in sources {
                assert!(source.chars().count() <= 1024, "{source}");
                if let Ok(rule) = Rule::compile(&source, Http) {
                    accepted += 1;
                    let _ = rule.holds(&outcome);
                }
            }
            accepted
        })
        .unwrap()
        .join()
        .unwrap();
    assert!(accepted >= 12, "only {accepted} of these rules were accepted, so the test shows little");
}
