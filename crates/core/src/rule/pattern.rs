//! Regular expressions whose cost is bounded: in rules, and as `bodyRegex`.
//!
//! They are searched by a lazy DFA alone, one table look-up per byte, and a search that keeps building new states is given
//! up ([`GaveUp`]) instead of falling back to a slower engine, as the `regex` crate would. `\d`, `\s`, `\w` and `\b` mean
//! ASCII, as in RE2, which both CEL and the reference use; that also keeps the compiled form small. The DFA's working
//! memory is one scratch area per thread, not one per expression.

use std::cell::RefCell;

use memchr::memmem;
use regex_automata::hybrid::dfa::{Builder, Cache, Config, DFA};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::ascii;
use crate::OutputValue;
use crate::monitor::limits;

/// Bytes of a compiled expression (one direction). `\d+\.\d+` takes about 1,000, `[^x]{100}` about 50,000.
const COMPILED_BYTES: usize = 128 * 1024;
/// Bytes of the scratch area of a thread.
const SCRATCH_BYTES: usize = 512 * 1024;
/// A search may fill the scratch area this often before it has to justify itself by [`BYTES_PER_STATE`].
const SCRATCH_FILLS: usize = 2;
/// Fewer bytes read per state built, and the search is given up.
const BYTES_PER_STATE: usize = 64;
/// Nested groups in an expression.
const NESTING: u32 = 50;
/// States × bytes that finding the groups inside a found match may take.
const GROUP_STEPS: usize = 4_000_000;

/// The search would have taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GaveUp;

thread_local! {
    static SCRATCH: RefCell<Option<Cache>> = const { RefCell::new(None) };
}

/// A compiled expression that says whether it occurs in a text.
#[derive(Debug)]
pub(super) enum Pattern {
    /// No operator in it: plain search.
    Literal(Box<str>),
    /// Everything else.
    Dfa(Box<DFA>),
}

impl Pattern {
    /// Compiles; the error is a sentence.
    pub(super) fn compile(pattern: &str) -> Result<Self, String> {
        let hir = parse(pattern)?;
        if let HirKind::Literal(literal) = hir.kind()
            && let Ok(text) = std::str::from_utf8(&literal.0)
        {
            return Ok(Self::Literal(text.into()));
        }
        Ok(Self::Dfa(Box::new(build_dfa(compile_nfa(&hir, false, WhichCaptures::None)?, MatchKind::LeftmostFirst)?)))
    }

    /// Bytes on the heap, roughly.
    pub(super) fn memory_usage(&self) -> usize {
        match self {
            Self::Literal(literal) => literal.len(),
            Self::Dfa(dfa) => size_of::<DFA>() + dfa_memory(dfa),
        }
    }

    /// Whether it occurs in the text.
    pub(super) fn is_match(&self, text: &str) -> Result<bool, GaveUp> {
        match self {
            Self::Literal(literal) => Ok(memmem::find(text.as_bytes(), literal.as_bytes()).is_some()),
            Self::Dfa(dfa) => with_scratch(dfa, |cache| {
                dfa.try_search_fwd(cache, &Input::new(text).earliest(true))
                    .map(|found| found.is_some())
                    .map_err(|_| GaveUp)
            }),
        }
    }
}

/// A compiled `bodyRegex`: what it finds becomes the output `regexMatch`.
#[derive(Debug)]
pub struct BodyRegex {
    forward: DFA,
    reverse: DFA,
    /// Only if there is a group.
    groups: Option<PikeVM>,
}

impl BodyRegex {
    /// Compiles an expression of at most [`limits::REGEX_CHARS`] characters; the error is a sentence for the author.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let chars = pattern.chars().count();
        if chars > limits::REGEX_CHARS {
            return Err(format!(
                "the regular expression has {chars} characters; at most {} are allowed",
                limits::REGEX_CHARS
            ));
        }
        if pattern.is_empty() {
            return Err("the regular expression is empty".to_owned());
        }
        let hir = parse(pattern)?;
        let has_group = hir.properties().explicit_captures_len() > 0;
        let captures = if has_group { WhichCaptures::All } else { WhichCaptures::None };
        let forward = compile_nfa(&hir, false, captures)?;
        let reverse = compile_nfa(&hir, true, WhichCaptures::None)?;
        let groups = if has_group {
            let vm = PikeVM::new_from_nfa(forward.clone());
            Some(vm.map_err(|error| format!("the regular expression cannot be used: {error}"))?)
        } else {
            None
        };
        Ok(Self {
            forward: build_dfa(forward, MatchKind::LeftmostFirst)?,
            reverse: build_dfa(reverse, MatchKind::All)?,
            groups,
        })
    }

    /// What it finds first in the body: its first group that took part, else the whole match; at most
    /// [`limits::REGEX_MATCH_BYTES`] bytes, control characters replaced by U+FFFD. A text that is a finite number becomes
    /// one. `None`: it does not occur.
    pub fn find(&self, body: &str) -> Result<Option<OutputValue>, RegexTimeout> {
        let Some((start, end)) = self.find_span(body)? else {
            return Ok(None);
        };
        let (start, end) = match &self.groups {
            None => (start, end),
            Some(groups) => {
                if (end - start).saturating_mul(groups.get_nfa().states().len()) > GROUP_STEPS {
                    return Err(RegexTimeout);
                }
                let input = Input::new(body).range(start..end).anchored(Anchored::Yes);
                let mut captures = groups.create_captures();
                groups.captures(&mut groups.create_cache(), input, &mut captures);
                let group = (1..captures.group_len()).find_map(|n| captures.get_group(n));
                group.map_or((start, end), |span| (span.start, span.end))
            }
        };
        Ok(Some(to_value(body.get(start..end).unwrap_or_default())))
    }

    fn find_span(&self, body: &str) -> Result<Option<(usize, usize)>, RegexTimeout> {
        let search = |cache: &mut Cache| self.forward.try_search_fwd(cache, &Input::new(body));
        let Some(end) = with_scratch(&self.forward, search).map_err(|_| RegexTimeout)? else {
            return Ok(None);
        };
        let input = Input::new(body).range(..end.offset()).anchored(Anchored::Yes);
        let search = |cache: &mut Cache| self.reverse.try_search_rev(cache, &input);
        let start = with_scratch(&self.reverse, search).map_err(|_| RegexTimeout)?;
        Ok(start.map(|start| (start.offset(), end.offset())))
    }

    /// Bytes on the heap, roughly.
    pub fn memory_usage(&self) -> usize {
        let groups = self.groups.as_ref().map_or(0, |_| size_of::<PikeVM>());
        dfa_memory(&self.forward) + dfa_memory(&self.reverse) + groups
    }
}

/// A search that would take too long on this body; the run's reason is `rule_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the regular expression takes too long on this body")]
pub struct RegexTimeout;

fn dfa_memory(dfa: &DFA) -> usize {
    dfa.memory_usage() + dfa.get_nfa().memory_usage()
}

/// Cuts, cleans and reads what was found.
fn to_value(found: &str) -> OutputValue {
    let mut text = String::with_capacity(found.len().min(limits::REGEX_MATCH_BYTES));
    for c in found.chars() {
        let c = if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        if text.len() + c.len_utf8() > limits::REGEX_MATCH_BYTES {
            break;
        }
        text.push(c);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => OutputValue::Number(number),
        _ => OutputValue::Text(text.into()),
    }
}

/// Runs a search with this thread's scratch area, made ready for this DFA.
fn with_scratch<T>(dfa: &DFA, search: impl FnOnce(&mut Cache) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => {
            if let Some(cache) = scratch.as_mut() {
                cache.reset(dfa);
                search(cache)
            } else {
                search(scratch.insert(dfa.create_cache()))
            }
        }
        // Searches do not nest; should they ever, the inner one brings its own.
        Err(_) => search(&mut dfa.create_cache()),
    })
}

fn parse(pattern: &str) -> Result<Hir, String> {
    let mut ast = ParserBuilder::new().nest_limit(NESTING).build().parse(pattern).map_err(|error| {
        let at = pattern[..error.span().start.offset].chars().count() + 1;
        format!("the regular expression is not valid at its character {at}: {}", error.kind())
    })?;
    ascii::restrict(&mut ast);
    TranslatorBuilder::new()
        .build()
        .translate(pattern, &ast)
        .map_err(|error| format!("the regular expression is not valid: {}", error.kind()))
}

fn compile_nfa(hir: &Hir, reverse: bool, captures: WhichCaptures) -> Result<NFA, String> {
    let config = thompson::Config::new()
        .reverse(reverse)
        .which_captures(captures)
        .nfa_size_limit(Some(COMPILED_BYTES))
        .shrink(false);
    thompson::Compiler::new()
        .syntax(syntax::Config::new())
        .configure(config)
        .build_from_hir(hir)
        .map_err(|_| "the regular expression is too large when compiled; use fewer or smaller repetitions".to_owned())
}

fn build_dfa(nfa: NFA, kind: MatchKind) -> Result<DFA, String> {
    let config = Config::new()
        .match_kind(kind)
        .cache_capacity(SCRATCH_BYTES)
        .minimum_cache_clear_count(Some(SCRATCH_FILLS))
        .minimum_bytes_per_state(Some(BYTES_PER_STATE));
    Builder::new()
        .configure(config)
        .build_from_nfa(nfa)
        .map_err(|error| format!("the regular expression is too large when compiled: {error}"))
}
