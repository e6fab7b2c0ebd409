//! From facts to a verdict: the monitor's rule and body regex over a run's outcome. Pure.

use std::sync::Arc;

use nanomon_core::outcome::Outcome;
use nanomon_core::rule::{BodyRegex, Rule};
use nanomon_core::{OutputId, Reason, Status};

/// What was decided about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// OK, Error or Failed.
    pub status: Status,
    /// Why it is not OK.
    pub reason: Reason,
}

impl Judgement {
    /// An error for this reason.
    pub fn error(reason: Reason) -> Self {
        Self { status: Status::Error, reason }
    }
}

/// A monitor's compiled rule and regex.
#[derive(Clone, Default)]
pub struct Judge {
    /// `None`: every answer is OK.
    pub rule: Option<Arc<Rule>>,
    /// `bodyRegex`.
    pub regex: Option<Arc<BodyRegex>>,
}

impl Judge {
    /// Whether it looks into bodies: then they are read into memory, and judging is done off the probe thread.
    pub fn reads_body(&self) -> bool {
        self.regex.is_some() || self.rule.as_ref().is_some_and(|rule| rule.reads_body())
    }

    /// Judges a run; sets `regexMatch`. A run that failed stays Failed whatever the rule says.
    pub fn judge(&self, outcome: &mut Outcome) -> Judgement {
        if outcome.reason != Reason::Ok {
            return Judgement { status: Status::Failed, reason: outcome.reason };
        }
        let mut missed = false;
        if let (Some(regex), Some(body)) = (&self.regex, &outcome.body) {
            match regex.find(body) {
                Ok(Some(found)) => outcome.outputs.set(OutputId::REGEX_MATCH, found),
                Ok(None) => missed = true,
                Err(_) => return Judgement::error(Reason::RuleTimeout),
            }
        }
        let Some(rule) = &self.rule else { return Judgement { status: Status::Ok, reason: Reason::Ok } };
        match rule.holds(outcome) {
            Ok(true) => Judgement { status: Status::Ok, reason: Reason::Ok },
            // What the rule looks for may lie beyond the cut.
            Ok(false) if outcome.body_cut && (missed || rule.reads_body()) => Judgement::error(Reason::BodyTooLarge),
            Ok(false) => Judgement::error(Reason::RuleFalse),
            Err(fault) => Judgement::error(fault.reason()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nanomon_core::{OutputValue, ProbeType};

    fn judge(rule: Option<&str>, regex: Option<&str>) -> Judge {
        Judge {
            rule: rule.map(|rule| Arc::new(Rule::compile(rule, ProbeType::Http).unwrap())),
            regex: regex.map(|regex| Arc::new(BodyRegex::compile(regex).unwrap())),
        }
    }

    fn answer(body: Option<&str>, body_cut: bool) -> Outcome {
        let mut outcome = Outcome::failed(Reason::Ok);
        outcome.value = Some(12.0);
        outcome.outputs.set_number(OutputId::STATUS, 200.0);
        outcome.outputs.set_number(OutputId::RESP_TIME, 12.0);
        outcome.body = body.map(str::to_owned);
        outcome.body_cut = body_cut;
        outcome
    }

    #[test]
    fn every_case_of_the_table() {
        use Status::{Error, Failed, Ok};
        let page = Some("build 42");
        let cases = [
            (None, None, answer(None, false), Ok, Reason::Ok),
            (Some("status == 200"), None, answer(None, false), Ok, Reason::Ok),
            (Some("status == 404"), None, answer(None, false), Error, Reason::RuleFalse),
            (Some("regexMatch == 42"), Some(r"build (\d+)"), answer(page, false), Ok, Reason::Ok),
            (Some("regexMatch == 43"), Some(r"build (\d+)"), answer(page, false), Error, Reason::RuleFalse),
            // Kinds that do not fit.
            (Some("regexMatch > 5"), Some("build"), answer(page, false), Error, Reason::RuleError),
            // A regex alone judges nothing, as in the reference.
            (None, Some("nowhere"), answer(page, false), Ok, Reason::Ok),
            (None, Some("nowhere"), answer(page, true), Ok, Reason::Ok),
            // What the rule looks for may lie beyond the cut; what it does not look for may not.
            (Some("body =~ 'nowhere'"), None, answer(page, false), Error, Reason::RuleFalse),
            (Some("body =~ 'nowhere'"), None, answer(page, true), Error, Reason::BodyTooLarge),
            (Some("body =~ 'build'"), None, answer(page, true), Ok, Reason::Ok),
            (Some("regexMatch == 'x'"), Some("nowhere"), answer(page, true), Error, Reason::BodyTooLarge),
            (Some("status == 404"), None, answer(None, true), Error, Reason::RuleFalse),
            // A failed run stays Failed, whatever the rule says.
            (Some("status == 404"), None, Outcome::failed(Reason::Timeout), Failed, Reason::Timeout),
            (Some("reason == 'timeout'"), None, Outcome::failed(Reason::Timeout), Failed, Reason::Timeout),
        ];
        for (rule, regex, mut outcome, status, reason) in cases {
            let judgement = judge(rule, regex).judge(&mut outcome);
            assert_eq!(judgement, Judgement { status, reason }, "{rule:?} {regex:?}");
        }
    }

    #[test]
    fn what_the_regex_found_is_an_output() {
        let mut outcome = answer(Some("build 42"), false);
        judge(None, Some(r"build (\d+)")).judge(&mut outcome);
        assert_eq!(outcome.outputs.get(OutputId::REGEX_MATCH), Some(&OutputValue::Number(42.0)));
        assert!(judge(None, Some("x")).reads_body() && judge(Some("body =~ 'x'"), None).reads_body());
        assert!(!judge(Some("status == 200"), None).reads_body());
    }
}
