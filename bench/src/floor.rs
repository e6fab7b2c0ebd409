//! What connect + GET + read cost at least on this machine and at this moment: the figure that `cost` is set beside. A process of its
//! own, as the system is, with the same shape: one thread, starts gathered in ticks of 100 ms, a fresh connection each.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nanomon_testkit::light::{Behaviour, Target};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use nanomon_bench::proc;

/// See the subcommand.
#[derive(clap::Args)]
pub struct FloorArgs {
    /// Requests per second
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Seconds that are measured
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Internal: be the client of this port
    #[arg(long, hide = true)]
    client: Option<u16>,
}

const TICK: Duration = Duration::from_millis(100);

/// Measures and prints; or, as the child, makes the requests.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub fn floor(args: &FloorArgs) -> Result<()> {
    if let Some(port) = args.client {
        return client(port, args.rate, Duration::from_secs_f64(args.seconds + 5.0));
    }
    let target = Target::start(1, Behaviour::default())?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["floor", "--rate", &args.rate.to_string(), "--seconds", &args.seconds.to_string()])
        .args(["--client", &target.ports[0].to_string()])
        .stdin(Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_secs(2));
    let (hits, cpu) = (target.hits_total(), proc::cpu(&[child.id()]));
    std::thread::sleep(Duration::from_secs_f64(args.seconds));
    let (hits, cpu) = (target.hits_total() - hits, proc::cpu(&[child.id()]).own - cpu.own);
    child.wait()?;
    ensure!(hits > 0, "no request arrived");
    let per_thousand = cpu / (hits as f64 / 1_000.0);
    println!(
        "{}",
        json!({ "rate": hits as f64 / args.seconds, "cpu_s_per_1000": per_thousand, "load": proc::load_average() })
    );
    Ok(())
}

fn client(port: u16, rate: u32, duration: Duration) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let started = Instant::now();
        let mut ticks = tokio::time::interval(TICK);
        while started.elapsed() < duration {
            ticks.tick().await;
            for n in 0..rate / 10 {
                tokio::task::spawn_local(request(port, n));
            }
        }
    });
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the bare client that ours is compared with")]
async fn request(port: u16, number: u32) -> Result<usize> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    stream
        .write_all(format!("GET /m/{number} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = Vec::with_capacity(2_048);
    Ok(stream.read_to_end(&mut answer).await?)
}
