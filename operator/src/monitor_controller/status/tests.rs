use super::*;
use crate::monitor_controller::validate::judge;
use crate::objects::{Objects, Stored};
use nanomon_crds::Monitor;

const POOLS: [&str; 1] = ["default"];

#[expect(clippy::needless_pass_by_value, reason = "json!(…) reads better at the call")]
fn entry(spec: Value) -> Entry {
    let metadata = json!({
        "name": "m", "namespace": "n", "uid": "6b5a3c1e-0000-4000-8000-000000000001", "generation": 2,
    });
    let status = json!({"observedGeneration": -1});
    let monitor: Monitor =
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap();
    let object = judge(&monitor).unwrap();
    let key = object.key.clone();
    let mut objects = Objects::default();
    objects.apply(object);
    let mut entry = objects.entries.remove(&key).unwrap();
    entry.settled = true;
    entry
}

fn status_at(entry: &Entry, second: i64) -> MonitorStatus {
    let pools = POOLS.map(str::to_owned);
    let around = Surroundings {
        pools: &pools,
        stalled_after: Duration::from_mins(2),
        now: Timestamp::from_second(second).unwrap(),
        instant: Instant::now(),
    };
    desired(entry, &around).unwrap()
}

/// `Type=Status/Reason` of each condition.
fn said(status: &MonitorStatus) -> Vec<String> {
    status.conditions.iter().map(|c| format!("{}={}/{}", c.type_, c.status, c.reason)).collect()
}

fn stored(mut entry: Entry, generation: i64) -> Entry {
    entry.stored = Some(Stored { id: 7, generation });
    entry
}

#[test]
fn nothing_is_said_before_the_database_was_asked() {
    let mut entry = entry(json!({"ping": {"host": "a"}}));
    entry.settled = false;
    let pools = [];
    let around = Surroundings {
        pools: &pools,
        stalled_after: Duration::ZERO,
        now: Timestamp::UNIX_EPOCH,
        instant: Instant::now(),
    };
    assert_eq!(desired(&entry, &around), None);
}

#[test]
fn a_stored_monitor_is_ready_whatever_its_target_does() {
    let mut entry = stored(entry(json!({"http": {"url": "http://a.example/?token=secret"}})), 2);
    let status = status_at(&entry, 10);
    assert_eq!(
        said(&status),
        ["Accepted=True/Valid", "Scheduled=True/Scheduled", "Ready=True/Running", "Healthy=Unknown/Unknown"]
    );
    assert_eq!((status.observed_generation, status.running_generation, status.id), (Some(2), Some(2), Some(7)));
    assert_eq!(status.target.as_deref(), Some("http://a.example/?token=…"));
    entry.health = Some(Health {
        state: TargetState::Failed,
        since: Some(5),
        failure_reason: Some("connect_refused".into()),
        last_check: Some(9),
        last_value: None,
        pools: vec![],
        stale: true,
    });
    let status = status_at(&entry, 10);
    assert_eq!(said(&status)[2..], ["Ready=True/Running", "Healthy=False/Failed", "Stale=True/NoResults"]);
    let healthy = conditions::find(&status.conditions, types::HEALTHY).unwrap();
    assert_eq!(healthy.message, "The connection was refused.");
}

#[test]
fn a_bad_rule_stalls_while_the_old_generation_runs_on() {
    let entry = stored(entry(json!({"ping": {"host": "a"}, "rule": "avgRtt <"})), 1);
    let status = status_at(&entry, 10);
    assert_eq!(
        said(&status),
        [
            "Accepted=False/InvalidRule",
            "Scheduled=True/Scheduled",
            "Ready=False/InvalidRule",
            "Stalled=True/InvalidRule",
            "Healthy=Unknown/Unknown",
        ]
    );
    assert_eq!((status.observed_generation, status.running_generation), (Some(2), Some(1)));
}

#[test]
fn a_missing_pool_stalls_only_after_a_while() {
    let mut entry = stored(entry(json!({"ping": {"host": "a"}, "runnerPools": ["eu"]})), 2);
    assert!(is_faulty(&entry, &POOLS.map(str::to_owned)));
    let status = status_at(&entry, 10);
    assert_eq!(said(&status)[..3], ["Accepted=True/Valid", "Scheduled=False/NoPool", "Ready=False/NoPool"]);
    assert!(conditions::find(&status.conditions, types::STALLED).is_none());
    entry.faulty_since = Instant::now().checked_sub(Duration::from_secs(121));
    let status = status_at(&entry, 10);
    assert!(said(&status).contains(&"Stalled=True/NoPool".to_owned()), "{:?}", said(&status));
    assert!(
        said(&status_at(&stored(self::entry(json!({"ping": {"host": "a"}, "runnerPools": ["eu", "default"]})), 2), 1))
            .contains(&"Ready=True/Running".to_owned())
    );
}

#[test]
fn without_the_database_a_new_generation_waits_and_is_not_stalled() {
    let mut entry = stored(entry(json!({"ping": {"host": "a"}})), 1);
    entry.not_stored = Some((reasons::DATABASE_UNAVAILABLE, "PostgreSQL is not reachable.".into()));
    let status = status_at(&entry, 10);
    assert_eq!(
        said(&status)[..3],
        ["Accepted=True/Valid", "Scheduled=False/DatabaseUnavailable", "Ready=False/DatabaseUnavailable"]
    );
    assert!(conditions::find(&status.conditions, types::STALLED).is_none());
}

#[test]
fn a_suspended_monitor_is_ready() {
    let entry = stored(entry(json!({"ping": {"host": "a"}, "suspend": true})), 2);
    assert_eq!(said(&status_at(&entry, 1))[1..3], ["Scheduled=True/Suspended", "Ready=True/Suspended"]);
}

#[test]
fn a_status_that_stands_is_not_written_again() {
    let mut entry = stored(entry(json!({"ping": {"host": "a"}})), 2);
    let first = status_at(&entry, 10);
    assert_eq!(weight(&entry.seen, &first), Weight::Verdict);
    entry.seen = first.clone();
    let again = status_at(&entry, 99);
    assert_eq!(again, first);
    assert_eq!(weight(&first, &again), Weight::Nothing);

    let health = |value: &str, at: i64, state| Health {
        state,
        since: Some(5),
        failure_reason: None,
        last_check: Some(at),
        last_value: Some(value.into()),
        pools: vec![],
        stale: false,
    };
    entry.health = Some(health("1.5", 10, TargetState::Ok));
    let ok = status_at(&entry, 100);
    assert_eq!(weight(&first, &ok), Weight::Health);
    entry.seen = ok.clone();
    entry.health = Some(health("1.5", 20, TargetState::Ok));
    assert_eq!(weight(&ok, &status_at(&entry, 100)), Weight::Nothing);
    entry.health = Some(health("1.6", 20, TargetState::Ok));
    assert_eq!(weight(&ok, &status_at(&entry, 100)), Weight::Refresh);
    // After a restart, before the feed has read anything: what stands there stays.
    entry.health = None;
    assert_eq!(status_at(&entry, 200), ok);
}

#[test]
fn patches_take_away_what_is_gone() {
    let seen = MonitorStatus { failure_reason: Some("timeout".into()), id: Some(7), ..MonitorStatus::default() };
    let desired = MonitorStatus { id: Some(7), state: Some(TargetState::Ok), ..MonitorStatus::default() };
    assert_eq!(
        patch("u", &seen, &desired),
        json!({"metadata": {"uid": "u"}, "status": {"failureReason": null, "state": "OK"}})
    );
}
