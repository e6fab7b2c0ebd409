//! CPU time and memory of a process and all its descendants, from `/proc`.

use std::collections::HashMap;
use std::fs;

/// Clock ticks per second in `/proc` on every Linux that this runs on (`USER_HZ`).
const TICKS: f64 = 100.0;

/// CPU seconds (user + system), split by whose they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// Ours.
    pub own: f64,
    /// PostgreSQL's, of all its processes.
    pub postgres: f64,
}

struct Stat {
    name: String,
    parent: u32,
    /// Own and waited-for children's ticks.
    ticks: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    Some(Stat {
        name: head.split_once('(')?.1.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        // utime, stime, cutime, cstime are fields 14 to 17 of the whole line.
        ticks: number(11) + number(12) + number(13) + number(14),
    })
}

/// CPU used so far by these processes and their living descendants (those that ended count through their parent).
pub fn cpu(roots: &[u32]) -> Cpu {
    let mut stats: HashMap<u32, Stat> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some(stat) = stat(pid)
        {
            stats.insert(pid, stat);
        }
    }
    let mut sum = Cpu::default();
    for (pid, stat) in &stats {
        let mut ancestor = *pid;
        let below = loop {
            if roots.contains(&ancestor) {
                break true;
            }
            match stats.get(&ancestor) {
                Some(s) if s.parent > 1 => ancestor = s.parent,
                _ => break false,
            }
        };
        if below {
            let seconds = stat.ticks / TICKS;
            if stat.name.starts_with("postgres") { sum.postgres += seconds } else { sum.own += seconds }
        }
    }
    sum
}

/// Resident memory of one process in MiB.
pub fn rss_mib(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// The 1-minute load average.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}
