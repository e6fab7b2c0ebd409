//! The measurement itself: start, settle, measure over a window, compare the target's log with the stored rows.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nanomon_core::MonitorDef;
use nanomon_core::monitor::{HttpTarget, Target as ProbeTarget};
use nanomon_core::slot::stable_uid;
use nanomon_sql::monitors::{MonitorWrite, Source};
use nanomon_sql::{Settings, Store};
use serde_json::json;
use uuid::Uuid;

use nanomon_bench::proc;
use nanomon_testkit::light::{Behaviour, HitLog, Target, percentile};

/// See the subcommand.
#[derive(clap::Args)]
pub struct CostArgs {
    /// Monitors
    #[arg(long, default_value_t = 1_000)]
    monitors: u32,
    /// Seconds between two runs of a monitor
    #[arg(long, default_value_t = 10.0)]
    interval: f64,
    /// Seconds that are measured
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Milliseconds after which the target answers
    #[arg(long, default_value_t = 0.0)]
    delay_ms: f64,
    /// The target never answers
    #[arg(long)]
    silent: bool,
    /// HTTPS with a full handshake each time
    #[arg(long)]
    tls: bool,
    /// Distinct URLs and rules, body regexes, part HTTPS: what memory is measured with
    #[arg(long)]
    diverse: bool,
    /// Scrape /metrics every 5 s and edit 100 monitors a second meanwhile
    #[arg(long)]
    disturb: bool,
    /// The executable
    #[arg(long, default_value = "target/release/nanomon")]
    nanomon: PathBuf,
    /// Run the runner in a process of its own (to see its memory alone)
    #[arg(long)]
    apart: bool,
}

/// A running system under test; stopped when dropped.
pub struct System {
    children: Vec<Child>,
    data: tempfile::TempDir,
    metrics: u16,
}

impl Drop for System {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }
}

impl System {
    /// How to connect to its database.
    pub fn dsn(&self) -> String {
        format!("host={} user=nanomon dbname=nanomon sslmode=disable", self.data.path().join("nm/run").display())
    }

    fn pids(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Starts standalone in an empty data folder; answers it and the seconds until its API answers.
pub fn start_standalone(nanomon: &Path, monitors: Option<&Path>) -> Result<(System, f64)> {
    use std::os::unix::fs::PermissionsExt as _;
    let data = tempfile::Builder::new().prefix("nmb").tempdir()?;
    // PostgreSQL runs under another user when this runs as root.
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o755))?;
    let started = Instant::now();
    let [api, web, metrics] = [free_port()?, free_port()?, free_port()?];
    let mut command = Command::new(nanomon);
    command.args(["standalone", "--prometheus", "true", "--data-dir"]).arg(data.path().join("nm"));
    for (flag, port) in [("--port", api), ("--frontend-port", web), ("--prometheus-port", metrics)] {
        command.args([flag, &port.to_string()]);
    }
    if let Some(monitors) = monitors {
        command.arg("--monitors").arg(monitors);
    }
    let system = System { children: vec![quiet(&mut command)?], data, metrics };
    wait_for_ok(api, "/api/health", started)?;
    Ok((system, started.elapsed().as_secs_f64()))
}

/// Adds a runner of the pool `apart` in a process of its own.
fn start_runner(nanomon: &Path, system: &mut System) -> Result<()> {
    let port = free_port()?;
    let mut command = Command::new(nanomon);
    command.args(["runner", "--pool", "apart", "--admin-listen", "127.0.0.1", "--database-url", &system.dsn()]);
    system.children.push(quiet(command.args(["--prometheus-port", &port.to_string()]))?);
    wait_for_ok(port, "/readyz", Instant::now())
}

fn quiet(command: &mut Command) -> Result<Child> {
    let program = command.get_program().to_owned();
    let command = command.env("LOG_LEVEL", "warn").stdout(Stdio::null());
    command.spawn().with_context(|| format!("starting {}", program.display()))
}

/// Ports are bound before anything else is up: only an answer says that the part works.
fn wait_for_ok(port: u16, path: &str, started: Instant) -> Result<()> {
    let fine = || -> Result<bool> { Ok(fetch(port, path)?.starts_with(b"HTTP/1.1 200")) };
    while !fine().unwrap_or(false) {
        if started.elapsed() > Duration::from_mins(1) {
            bail!("{path} was not up within 60 s");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn definitions(args: &CostArgs, ports: &[u16], tls_ports: &[u16]) -> Vec<MonitorWrite> {
    (0..args.monitors)
        .map(|n| {
            let tls = args.tls || (args.diverse && n % 10 == 0);
            let (scheme, ports) = if tls { ("https", tls_ports) } else { ("http", ports) };
            let port = ports[n as usize % ports.len()];
            let rule = if args.diverse {
                format!("status == 200 && respTime < {}", 1_000 + n % 1_000)
            } else {
                "status == 200".into()
            };
            let def = MonitorDef {
                display_name: format!("monitor {n}"),
                group: format!("group {}", n % 20),
                interval: Duration::from_secs_f64(args.interval),
                suspended: false,
                target: ProbeTarget::Http(HttpTarget {
                    url: format!("{scheme}://127.0.0.1:{port}/m/{n}"),
                    method: "GET".into(),
                    timeout: Duration::from_secs_f64((args.interval * 0.8).min(5.0)),
                    headers: vec![],
                    body: String::new(),
                    body_regex: (args.diverse && n % 20 == 1).then(|| format!("x({n})?")),
                    validate_tls: false,
                    follow_redirects: true,
                }),
                rule: Some(rule),
                pools: vec![if args.apart { "apart" } else { "default" }.into()],
            };
            let name = format!("m{n}");
            MonitorWrite {
                id: None,
                uid: Uuid::from_bytes(stable_uid("bench", &name)),
                namespace: "bench".into(),
                name,
                source: Source::Api,
                spec: json!({ "interval": format!("{}s", args.interval), "http": { "url": def.target.address() } }),
                def,
                generation: 1,
                meta: json!({}),
            }
        })
        .collect()
}

/// Runs one measurement and prints it.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub fn cost(args: &CostArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let behaviour =
        Behaviour { delay: Duration::from_secs_f64(args.delay_ms / 1_000.0), silent: args.silent, tls: false };
    let target = Target::start(8, behaviour)?;
    let tls_target = Target::start(2, Behaviour { tls: true, ..behaviour })?;
    let (mut system, up_after) = start_standalone(&args.nanomon, None)?;
    if args.apart {
        start_runner(&args.nanomon, &mut system)?;
    }
    let metrics_port = system.metrics;
    let database = system.dsn();
    let store = Store::new(&Settings::parse(&database, None)?.with_pool(2, "nanomon-bench"))?;
    let writes = definitions(args, &target.ports, &tls_target.ports);
    let (take, collect) = (&target, &tls_target);
    let hits = |log: HitLog, other: HitLog| {
        let mut all = log;
        for (monitor, times) in other.hits {
            all.hits.entry(monitor).or_default().extend(times);
        }
        all
    };
    let written = Instant::now();
    runtime.block_on(async {
        for batch in writes.chunks(500) {
            store.monitor_write_batch("standalone", None, batch).await?;
        }
        anyhow::Ok(())
    })?;
    let write_seconds = written.elapsed().as_secs_f64();
    // Every monitor must have run within one interval of its definition.
    let settle = Duration::from_secs_f64(args.interval + 3.0);
    std::thread::sleep(settle);
    let first = hits(take.take_log()?, collect.take_log()?);
    let ran_at_start = first.hits.len();

    let rows_before = runtime.block_on(count_rows(&database))?;
    let cpu_before = proc::cpu(&system.pids());
    let begun = Instant::now();
    let mut scrapes = Vec::new();
    let mut edits = 0;
    let mut next_scrape = Duration::ZERO;
    while begun.elapsed().as_secs_f64() < args.seconds {
        if args.disturb {
            if begun.elapsed() >= next_scrape {
                scrapes.push(scrape(metrics_port)?);
                next_scrape += Duration::from_secs(5);
            }
            let mut batch: Vec<MonitorWrite> =
                (0..100).map(|k| writes[(edits + k) as usize % writes.len()].clone()).collect();
            for write in &mut batch {
                write.def.group = format!("edited {edits}");
                write.spec["group"] = write.def.group.clone().into();
            }
            edits += 100;
            runtime.block_on(store.monitor_write_batch("standalone", None, &batch))?;
        }
        std::thread::sleep(
            Duration::from_secs(1).min(Duration::from_secs_f64(args.seconds).saturating_sub(begun.elapsed())),
        );
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let cpu_after = proc::cpu(&system.pids());
    let log = hits(take.take_log()?, collect.take_log()?);
    let rows_after = runtime.block_on(count_rows(&database))?;
    let memory: Vec<f64> = system.pids().into_iter().map(proc::rss_mib).collect();
    let summary = log.summary((args.interval * 1e6) as i64);
    let stored = rows_after - rows_before;
    let per_thousand = |seconds: f64| seconds / (stored.max(1) as f64 / 1_000.0);
    let values = runtime.block_on(values(&store))?;
    let report = json!({
        "monitors": args.monitors, "interval_s": args.interval, "seconds": elapsed, "tls": args.tls, "delay_ms": args.delay_ms,
        "disturbed": args.disturb, "load": proc::load_average(),
        "up_after_s": up_after, "definitions_written_s": write_seconds,
        "ran_within_first_interval": ran_at_start,
        "hits_per_s": summary.hits as f64 / elapsed, "stored_per_s": stored as f64 / elapsed,
        "cpu_s_per_1000_own": per_thousand(cpu_after.own - cpu_before.own),
        "cpu_s_per_1000_postgres": per_thousand(cpu_after.postgres - cpu_before.postgres),
        "cpu_s_per_1000": per_thousand(cpu_after.own + cpu_after.postgres - cpu_before.own - cpu_before.postgres),
        "deviation_ms_p50": summary.deviation_p50_ms, "deviation_ms_p99": summary.deviation_p99_ms,
        "deviation_ms_max": summary.deviation_max_ms, "missed": summary.missed,
        "hits_min_max": [summary.min_max.0, summary.min_max.1],
        "measured_ms_p50": values.0, "measured_ms_p99": values.1, "not_ok": values.2,
        "rss_mib": memory, "scrapes_s_and_mib": scrapes, "edits": edits,
    });
    println!("{report}");
    Ok(())
}

/// Stored rows, counted by PostgreSQL itself: the product has no statement that counts them.
pub async fn count_rows(dsn: &str) -> Result<i64> {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await?;
    let connection = tokio::spawn(connection);
    let count = client.query_one("select count(*) from results", &[]).await?.get(0);
    drop(client);
    connection.await??;
    Ok(count)
}

/// (p50, p99, how many not OK) of the newest 1,000 results.
async fn values(store: &Store) -> Result<(f64, f64, usize)> {
    let rows = store.result_list_latest(1_000, None).await?;
    let not_ok = rows.iter().filter(|row| row.verdict.status() != nanomon_core::Status::Ok).count();
    let mut values: Vec<f64> = rows.iter().filter_map(|row| row.value).map(f64::from).collect();
    Ok((percentile(&mut values, 0.5), percentile(&mut values, 0.99), not_ok))
}

/// Seconds and MiB of one scrape.
fn scrape(port: u16) -> Result<(f64, f64)> {
    let started = Instant::now();
    let text = fetch(port, "/metrics")?;
    Ok((started.elapsed().as_secs_f64(), text.len() as f64 / 1_048_576.0))
}

/// The whole answer to one GET.
#[expect(clippy::disallowed_methods, reason = "a client of the system under test")]
fn fetch(port: u16, path: &str) -> Result<Vec<u8>> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
