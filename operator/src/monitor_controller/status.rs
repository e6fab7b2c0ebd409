//! What the status should say, and whether it is worth a write: pure.

use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use nanomon_core::reason::Reason;
use nanomon_crds::MonitorStatus;
use nanomon_crds::conditions::{self, ConditionStatus, reasons, types};
use nanomon_crds::v1alpha1::status::TargetState;
use serde_json::{Value, json};

use crate::objects::{Entry, Health};

/// What the desired status depends on besides the object.
pub(crate) struct Surroundings<'a> {
    /// Pools that exist.
    pub pools: &'a [String],
    /// See [`crate::OperatorConfig::stalled_after`].
    pub stalled_after: Duration,
    /// Now, for transition times.
    pub now: Timestamp,
    /// Now, for how long faults last.
    pub instant: Instant,
}

/// The verdict on a condition.
struct Say {
    status: ConditionStatus,
    reason: &'static str,
    message: String,
}

impl Say {
    fn yes(reason: &'static str, message: impl Into<String>) -> Self {
        Self { status: ConditionStatus::True, reason, message: message.into() }
    }

    fn no(reason: &'static str, message: impl Into<String>) -> Self {
        Self { status: ConditionStatus::False, reason, message: message.into() }
    }
}

/// The status that an object should have; `None` while nothing can be said yet.
pub(crate) fn desired(entry: &Entry, around: &Surroundings<'_>) -> Option<MonitorStatus> {
    if !entry.settled {
        return None;
    }
    let generation = entry.generation;
    let mut status = entry.seen.clone();
    status.observed_generation = Some(generation);
    status.running_generation = entry.stored.map(|stored| stored.generation);
    if let Some(stored) = entry.stored {
        status.id = Some(i64::from(stored.id));
    }
    if let Some(token) = &entry.run_asked {
        status.last_run_request = Some(token.clone());
    }
    if let Ok(valid) = &entry.judged {
        status.probe_type = Some(valid.def.probe_type().as_str().to_owned());
        status.target = Some(valid.def.target.display());
    }

    let accepted = accepted(entry);
    let scheduled = scheduled(entry, around.pools);
    let ready = ready(entry, &accepted, &scheduled);
    let stalled = stalled(entry, &accepted, &scheduled, around);
    let mut set = |type_: &str, say: &Say| {
        conditions::set(&mut status.conditions, type_, say.status, say.reason, &say.message, generation, around.now);
    };
    set(types::ACCEPTED, &accepted);
    set(types::SCHEDULED, &scheduled);
    set(types::READY, &ready);
    match stalled {
        Some(say) => set(types::STALLED, &say),
        None => conditions::remove(&mut status.conditions, types::STALLED),
    }
    health(&mut status, entry, around.now);
    Some(status)
}

fn accepted(entry: &Entry) -> Say {
    match &entry.judged {
        Ok(_) => Say::yes(reasons::VALID, "The spec is valid."),
        Err(refusal) => Say::no(refusal.reason, refusal.message.clone()),
    }
}

fn scheduled(entry: &Entry, pools: &[String]) -> Say {
    let valid = match &entry.judged {
        Ok(valid) => valid,
        Err(refusal) => {
            return match entry.stored {
                Some(stored) => {
                    let message = format!("The spec is refused; generation {} runs on.", stored.generation);
                    Say::yes(reasons::SCHEDULED, message)
                }
                None => Say::no(refusal.reason, "The spec is refused and there is none before it."),
            };
        }
    };
    if let Some((reason, message)) = &entry.not_stored {
        return Say::no(reason, message.clone());
    }
    let (known, unknown): (Vec<&String>, Vec<&String>) = valid.def.pools.iter().partition(|pool| pools.contains(pool));
    let names = |pools: &[&String]| pools.iter().map(|pool| pool.as_str()).collect::<Vec<_>>().join(", ");
    let missing = match unknown.as_slice() {
        [] => String::new(),
        unknown => format!("There is no runner pool {}.", names(unknown)),
    };
    if known.is_empty() {
        return Say::no(reasons::NO_POOL, missing);
    }
    if valid.def.suspended {
        return Say::yes(reasons::SUSPENDED, "The monitor is suspended.");
    }
    let message = format!("Scheduled on {}. {missing}", names(&known));
    Say::yes(reasons::SCHEDULED, message.trim_end())
}

fn ready(entry: &Entry, accepted: &Say, scheduled: &Say) -> Say {
    for cause in [accepted, scheduled] {
        if cause.status != ConditionStatus::True {
            return Say::no(cause.reason, cause.message.clone());
        }
    }
    if scheduled.reason == reasons::SUSPENDED {
        return Say::yes(reasons::SUSPENDED, "The monitor is suspended.");
    }
    Say::yes(reasons::RUNNING, format!("Generation {} runs.", entry.generation))
}

/// Only for faults that the user must mend. A pool may be on its way in the same sync, so that its absence is not called
/// a fault at once.
fn stalled(entry: &Entry, accepted: &Say, scheduled: &Say, around: &Surroundings<'_>) -> Option<Say> {
    if accepted.status != ConditionStatus::True {
        return Some(Say::yes(accepted.reason, accepted.message.clone()));
    }
    let lasts = entry.faulty_since.is_some_and(|since| around.instant.duration_since(since) >= around.stalled_after);
    (scheduled.reason == reasons::NO_POOL && lasts).then(|| Say::yes(reasons::NO_POOL, scheduled.message.clone()))
}

/// Whether the object has a fault that becomes `Stalled` if it lasts.
pub(crate) fn is_faulty(entry: &Entry, pools: &[String]) -> bool {
    entry.judged.is_ok() && scheduled(entry, pools).reason == reasons::NO_POOL
}

/// The target's half of the status. Before the health feed has read anything, what stands there stays.
fn health(status: &mut MonitorStatus, entry: &Entry, now: Timestamp) {
    let seen = conditions::find(&entry.seen.conditions, types::HEALTHY).is_some();
    let unknown = Health {
        state: TargetState::Unknown,
        since: None,
        failure_reason: None,
        last_check: None,
        last_value: None,
        pools: Vec::new(),
        stale: false,
    };
    let health = match &entry.health {
        Some(health) => health,
        None if seen => return,
        None => &unknown,
    };
    let second = |second: Option<i64>| second.and_then(|second| Timestamp::from_second(second).ok()).map(Time);
    status.state = Some(health.state);
    status.since = second(health.since);
    status.failure_reason.clone_from(&health.failure_reason);
    status.last_check_time = second(health.last_check);
    status.last_value.clone_from(&health.last_value);
    status.pools.clone_from(&health.pools);
    let (verdict, reason) = match health.state {
        TargetState::Ok => (ConditionStatus::True, reasons::OK),
        TargetState::Error => (ConditionStatus::False, reasons::ERROR),
        TargetState::Failed => (ConditionStatus::False, reasons::FAILED),
        TargetState::Unknown => (ConditionStatus::Unknown, reasons::UNKNOWN),
    };
    let message = match (&health.failure_reason, health.state) {
        (Some(word), _) => Reason::from_word(word).map_or(word.as_str(), |reason| reason.sentence()),
        (None, TargetState::Unknown) => "There is no fresh result.",
        (None, _) => "The last result is OK.",
    };
    let generation = entry.generation;
    conditions::set(&mut status.conditions, types::HEALTHY, verdict, reason, message, generation, now);
    if health.stale {
        let message = "There has been no result for more than three intervals.";
        let yes = ConditionStatus::True;
        conditions::set(&mut status.conditions, types::STALE, yes, reasons::NO_RESULTS, message, generation, now);
    } else {
        conditions::remove(&mut status.conditions, types::STALE);
    }
}

/// How much a status write would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Nothing, or a time only.
    Nothing,
    /// The last value: written with what the budget leaves.
    Refresh,
    /// The target's half: state, reason, pools.
    Health,
    /// The object's half: what tools wait for.
    Verdict,
}

/// Compares the status that stands with the desired one.
pub(crate) fn weight(seen: &MonitorStatus, desired: &MonitorStatus) -> Weight {
    let verdict = |status: &MonitorStatus| {
        let of_health = |type_: &str| type_ == types::HEALTHY || type_ == types::STALE;
        let conditions: Vec<_> = status.conditions.iter().filter(|c| !of_health(&c.type_)).cloned().collect();
        let MonitorStatus { observed_generation, running_generation, probe_type, target, id, last_run_request, .. } =
            status.clone();
        (conditions, observed_generation, running_generation, probe_type, target, id, last_run_request)
    };
    if verdict(seen) != verdict(desired) {
        return Weight::Verdict;
    }
    let health = |status: &MonitorStatus| {
        let conditions = status.conditions.iter().map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone()));
        let MonitorStatus { state, since, failure_reason, pools, .. } = status.clone();
        (conditions.collect::<Vec<_>>(), state, since, failure_reason, pools)
    };
    if health(seen) != health(desired) {
        return Weight::Health;
    }
    if seen.last_value == desired.last_value { Weight::Nothing } else { Weight::Refresh }
}

/// The merge patch from one status to another; `uid` makes it miss a successor of the same name.
pub(crate) fn patch(uid: &str, seen: &MonitorStatus, desired: &MonitorStatus) -> Value {
    let before = serde_json::to_value(seen).unwrap_or_default();
    let mut status = serde_json::to_value(desired).unwrap_or_default();
    if let (Value::Object(before), Value::Object(after)) = (&before, &mut status) {
        for field in before.keys() {
            after.entry(field.clone()).or_insert(Value::Null);
        }
        after.retain(|field, value| before.get(field) != Some(value));
    }
    json!({"metadata": {"uid": uid}, "status": status})
}

#[cfg(test)]
#[path = "status/tests.rs"]
mod tests;
