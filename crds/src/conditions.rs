//! Conditions: their types and reasons, and the one way to set them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Condition types of a Monitor. Writer of each: the operator.
pub mod types {
    /// The newest generation is valid.
    pub const ACCEPTED: &str = "Accepted";
    /// A pool that exists and may be used has the monitor in its map; independent of live runners.
    pub const SCHEDULED: &str = "Scheduled";
    /// Accepted and scheduled (or suspended): what kstatus, Argo CD and `kubectl wait` read. A target that is down never
    /// makes it false.
    pub const READY: &str = "Ready";
    /// Present, and true, only for faults that the user must mend.
    pub const STALLED: &str = "Stalled";
    /// The target's state.
    pub const HEALTHY: &str = "Healthy";
    /// Present, and true, while results have stopped.
    pub const STALE: &str = "Stale";
}

/// Reasons of the conditions.
pub mod reasons {
    /// `Accepted`: the spec is valid.
    pub const VALID: &str = "Valid";
    /// `Accepted`, `Ready`, `Stalled`: the spec breaks a bound (it was stored under a looser schema).
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// `Accepted`, `Ready`, `Stalled`: the rule or the body regex does not compile.
    pub const INVALID_RULE: &str = "InvalidRule";
    /// `Scheduled`: a pool has it.
    pub const SCHEDULED: &str = "Scheduled";
    /// `Scheduled`, `Ready`, `Stalled`: a named pool does not exist.
    pub const NO_POOL: &str = "NoPool";
    /// `Scheduled`, `Ready`: not probed because the spec says so.
    pub const SUSPENDED: &str = "Suspended";
    /// `Scheduled`, `Ready`: PostgreSQL is away; the new generation is not stored yet.
    pub const DATABASE_UNAVAILABLE: &str = "DatabaseUnavailable";
    /// `Ready`: the newest generation runs.
    pub const RUNNING: &str = "Running";
    /// `Healthy`: the last result is OK.
    pub const OK: &str = "OK";
    /// `Healthy`: the rule does not hold.
    pub const ERROR: &str = "Error";
    /// `Healthy`: the target could not be probed.
    pub const FAILED: &str = "Failed";
    /// `Healthy`: no result yet, or nothing can be said.
    pub const UNKNOWN: &str = "Unknown";
    /// `Stale`: results have stopped.
    pub const NO_RESULTS: &str = "NoResults";
}

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Kubernetes' own")]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl ConditionStatus {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Sets a condition: `observedGeneration`, reason and message always, `lastTransitionTime` only if the status flips.
/// Messages are cut at 32 KiB, the API's bound.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: ConditionStatus,
    reason: &str,
    message: &str,
    generation: i64,
    now: Timestamp,
) {
    let message = message.chars().take(8 * 1024).collect::<String>();
    if let Some(found) = conditions.iter_mut().find(|c| c.type_ == type_) {
        if found.status != status.as_str() {
            status.as_str().clone_into(&mut found.status);
            found.last_transition_time = Time(now);
        }
        reason.clone_into(&mut found.reason);
        found.message = message;
        found.observed_generation = Some(generation);
        return;
    }
    conditions.push(Condition {
        type_: type_.to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: Time(now),
    });
}

/// Takes a condition away, for those that are present only while they apply.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|c| c.type_ != type_);
}

/// Finds a condition.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn transition_time_moves_only_when_the_status_flips() {
        let mut conditions = vec![];
        set(&mut conditions, types::READY, ConditionStatus::False, reasons::NO_POOL, "a", 1, at(10));
        set(&mut conditions, types::READY, ConditionStatus::False, reasons::INVALID_RULE, "b", 2, at(20));
        let ready = find(&conditions, types::READY).unwrap();
        assert_eq!((ready.last_transition_time.0, ready.observed_generation), (at(10), Some(2)));
        assert_eq!((ready.reason.as_str(), ready.message.as_str()), (reasons::INVALID_RULE, "b"));
        set(&mut conditions, types::READY, ConditionStatus::True, reasons::RUNNING, "", 3, at(30));
        assert_eq!(find(&conditions, types::READY).unwrap().last_transition_time.0, at(30));
        remove(&mut conditions, types::READY);
        assert!(conditions.is_empty());
    }
}
