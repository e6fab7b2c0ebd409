//! 10,000 Monitors in one burst while a second client edits and deletes them; then a restart that finds nothing to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use nanomon_crds::Monitor;
use nanomon_crds::conditions::types;
use nanomon_e2e::eventually;
use nanomon_e2e::stage::Stage;
use serde_json::json;

const MONITORS: usize = 10_000;
/// Of each ten, one is edited and one deleted.
const DELETED: usize = MONITORS / 10;
const LIMIT: Duration = Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_monitors_arrive() {
    let mut stage = Stage::new().await.unwrap();
    // The budget is not what is measured here; the default would take minutes to say Ready.
    stage.operator.config.write_burst = 5.0;
    let operator = stage.operator.start().unwrap();
    stage.create("first").await.unwrap();
    stage.says("first", types::READY, "True", "Running").await.unwrap();
    let before = stage.store.heads_read().await.unwrap().catalog_rev;

    let started = Instant::now();
    let made = AtomicUsize::new(0);
    let create = async {
        futures::stream::iter(0..MONITORS)
            .for_each_concurrent(8, |n| {
                let (monitors, made) = (&stage.monitors, &made);
                async move {
                    let object: Monitor = serde_json::from_value(json!({
                        "metadata": {"name": format!("m{n}")},
                        "spec": {"interval": "30s", "http": {"url": format!("http://127.0.0.1/{n}")}, "rule": "status == 200"},
                    }))
                    .unwrap();
                    monitors.create(&PostParams::default(), &object).await.unwrap();
                    made.fetch_add(1, Ordering::Relaxed);
                }
            })
            .await;
    };
    let edit = async {
        for n in 0..MONITORS {
            if n % 10 > 1 {
                continue;
            }
            // Follows the burst closely.
            let there = (n + 16).min(MONITORS - 1);
            eventually("the object is there", LIMIT, || async {
                Ok((made.load(Ordering::Relaxed) > there).then_some(()))
            })
            .await
            .unwrap();
            let name = format!("m{n}");
            if n % 10 == 0 {
                stage.monitors.delete(&name, &DeleteParams::default()).await.unwrap();
            } else {
                let patch = json!({"spec": {"interval": "1m"}});
                stage.monitors.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
            }
        }
    };
    tokio::join!(create, edit);
    let accepted = started.elapsed();

    let living = MONITORS - DELETED + 1;
    let installation = stage.operator.config.installation.clone();
    eventually("all rows are there and the deleted are gone", LIMIT, || async {
        let rows = stage.store.monitor_digests(&installation).await?;
        let edited = rows.iter().filter(|row| row.generation == 2).count();
        Ok((rows.len() == living && edited == MONITORS / 10).then_some(()))
    })
    .await
    .unwrap();
    let stored = started.elapsed();
    let revisions = stage.store.heads_read().await.unwrap().catalog_rev - before;
    eprintln!(
        "accepted {MONITORS} and their edits in {accepted:.1?} ({:.0}/s), stored after {stored:.1?} ({:.0} %), {revisions} transactions",
        (MONITORS + 2 * DELETED) as f64 / accepted.as_secs_f64(),
        100.0 * accepted.as_secs_f64() / stored.as_secs_f64()
    );
    assert!(accepted.as_secs_f64() >= 0.9 * stored.as_secs_f64(), "{accepted:?} accepted, {stored:?} stored");

    operator.kill();
    let rev = stage.store.heads_read().await.unwrap().catalog_rev;
    let restarted = Instant::now();
    let operator = stage.operator.start().unwrap();
    eventually("the first list is complete", LIMIT, || async {
        Ok(operator.readiness.waiting().is_none().then_some(()))
    })
    .await
    .unwrap();
    // The newest change of all shows that everything before it has been looked at.
    let patch = json!({"spec": {"interval": "1m"}});
    stage.monitors.patch("m9", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    stage.row_when("m9", "edited", |row| row.generation == 2).await.unwrap();
    let caught_up = restarted.elapsed();
    eprintln!("caught up {caught_up:.1?} after a restart");
    assert_eq!(stage.store.heads_read().await.unwrap().catalog_rev, rev + 1, "the restart wrote something");
    assert!(caught_up < Duration::from_secs(10), "{caught_up:?}");
    operator.stop().await.unwrap();
    stage.plane.delete_monitors(&stage.namespace).await.unwrap();
}
