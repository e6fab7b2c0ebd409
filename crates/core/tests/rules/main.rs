//! The rule engine from outside: what is accepted and what it means, what is refused and where, what it costs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod accepted;
mod against_cel;
mod body_regex;
mod cost;
mod properties;
mod refused;
mod stack;

use nanomon_core::ProbeType;
use nanomon_core::outcome::{Outcome, OutputId, Outputs};
use nanomon_core::reason::Reason;
use nanomon_core::rule::{Rule, RuleFault};

/// A run over TLS whose `regexMatch` is a number.
pub fn https() -> Outcome {
    let mut outcome = http();
    outcome.outputs.set_number(OutputId::CERT_EXPIRY_DAYS, 30.0);
    outcome.outputs.set_number(OutputId::TLS_TIME, 12.5);
    outcome.outputs.set_number(OutputId::REGEX_MATCH, 42.0);
    outcome
}

/// A run without TLS whose `regexMatch` is a text.
pub fn http() -> Outcome {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::RESP_TIME, 123.5);
    outputs.set_number(OutputId::STATUS, 204.0);
    outputs.set_number(OutputId::BODY_LEN, 2048.0);
    outputs.set_text(OutputId::REGEX_MATCH, "a value");
    outputs.set_text(OutputId::IP_ADDRESS, "93.184.215.14");
    outputs.set_text(OutputId::HTTP_VERSION, "1.1");
    outputs.set_number(OutputId::REDIRECTS, 0.0);
    let body = "Hello Wörld\nthere are some words, version 1.2.3, build 42; it's {\"status\": \"up\"} C:\\temp";
    Outcome { reason: Reason::Ok, value: Some(123.5), outputs, body: Some(body.to_owned()), body_cut: false }
}

/// A lookup with two answers.
pub fn dns() -> Outcome {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::RESP_TIME, 7.25);
    outputs.set_number(OutputId::RESULT_COUNT, 2.0);
    outputs.set_text(OutputId::result(1).unwrap(), "10.0.0.7");
    outputs.set_text(OutputId::result(2).unwrap(), "93.184.215.14");
    Outcome { reason: Reason::Ok, value: Some(7.25), outputs, body: None, body_cut: false }
}

/// A ping of three of which two came back.
pub fn ping() -> Outcome {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::MIN_RTT, 0.5);
    outputs.set_number(OutputId::AVG_RTT, 1.0);
    outputs.set_number(OutputId::MAX_RTT, 1.5);
    outputs.set_number(OutputId::PACKETS_RECV, 2.0);
    outputs.set_number(OutputId::PACKET_LOSS, 100.0 / 3.0);
    outputs.set_text(OutputId::IP_ADDRESS, "::1");
    Outcome { reason: Reason::Ok, value: Some(1.0), outputs, body: None, body_cut: false }
}

/// A connection.
pub fn tcp() -> Outcome {
    let mut outputs = Outputs::default();
    outputs.set_number(OutputId::RESP_TIME, 3.0);
    outputs.set_text(OutputId::IP_ADDRESS, "127.0.0.1");
    Outcome { reason: Reason::Ok, value: Some(3.0), outputs, body: None, body_cut: false }
}

/// Compiles and evaluates.
pub fn judge(source: &str, probe: ProbeType, outcome: &Outcome) -> Result<bool, RuleFault> {
    match Rule::compile(source, probe) {
        Ok(rule) => rule.holds(outcome),
        Err(error) => panic!("{source:?} is refused at {}: {error}", error.position),
    }
}
