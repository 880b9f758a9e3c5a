//! What Linux tells of a process: its memory and its time on the processors.

use std::fs;
use std::time::Duration;

use crate::BenchError;

/// Linux tells times in these, on every machine that we know.
const TICK: Duration = Duration::from_millis(10);

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    /// The most that it ever was.
    pub(crate) most: u64,
}

/// How much memory a process has.
pub(crate) fn memory(pid: u32) -> Result<Memory, BenchError> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|_| BenchError::Proc(path.clone()))?;
    let kibibytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok())
    };
    match (kibibytes("VmRSS"), kibibytes("VmHWM")) {
        (Some(now), Some(most)) => Ok(Memory { now: now * 1024, most: most * 1024 }),
        _ => Err(BenchError::Proc(path)),
    }
}

/// Time on the processors since they began, by whose it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) ledger: Duration,
    pub(crate) nats: Duration,
    /// PostgreSQL's processes that serve connections, and whatever has ended.
    pub(crate) backends: Duration,
    /// Its others: WAL writer, checkpointer, autovacuum.
    pub(crate) background: Duration,
    /// Our ended children: the load generators.
    pub(crate) load: Duration,
    /// The whole machine, whatever it did.
    pub(crate) machine: Duration,
    pub(crate) idle: Duration,
}

impl Cpu {
    /// Of these processes, and of all that have this postmaster for a parent.
    pub(crate) fn now(ledger: u32, nats: u32, postmaster: u32) -> Result<Self, BenchError> {
        let own = Times::of("self").ok_or_else(|| BenchError::Proc("our own times".to_owned()))?;
        let of = |pid: u32| {
            Times::of(&pid.to_string()).ok_or_else(|| BenchError::Proc(format!("the times of process {pid}")))
        };
        let top = of(postmaster)?;
        let mut cpu = Self {
            ledger: of(ledger)?.own,
            nats: of(nats)?.own,
            backends: top.own + top.ended_children,
            load: own.ended_children,
            ..Self::default()
        };
        let entries = fs::read_dir("/proc").map_err(|_| BenchError::Proc("its processes".to_owned()))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // A process may end meanwhile.
            let Some(times) = Times::of(&name).filter(|times| times.parent == postmaster) else { continue };
            let title = fs::read_to_string(format!("/proc/{name}/cmdline")).unwrap_or_default();
            let background = ["walwriter", "checkpointer", "background writer", "autovacuum", "logical repl"];
            if background.iter().any(|kind| title.contains(kind)) {
                cpu.background += times.own;
            } else {
                cpu.backends += times.own;
            }
        }
        let stat =
            fs::read_to_string("/proc/stat").map_err(|_| BenchError::Proc("the machine".to_owned()))?;
        let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
        let ticks: Vec<u32> = fields.filter_map(|field| field.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
        for (index, count) in ticks.iter().take(8).enumerate() {
            *(if matches!(index, 3 | 4) { &mut cpu.idle } else { &mut cpu.machine }) += TICK * *count;
        }
        Ok(cpu)
    }

    /// What came since.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let less = |now: Duration, then: Duration| now.saturating_sub(then);
        Self {
            ledger: less(self.ledger, earlier.ledger),
            nats: less(self.nats, earlier.nats),
            backends: less(self.backends, earlier.backends),
            background: less(self.background, earlier.background),
            load: less(self.load, earlier.load),
            machine: less(self.machine, earlier.machine),
            idle: less(self.idle, earlier.idle),
        }
    }
}

/// A process's line in `/proc/<pid>/stat`.
struct Times {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

impl Times {
    fn of(pid: &str) -> Option<Self> {
        if pid != "self" && !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in brackets, may hold anything.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: TICK * (ticks(11)? + ticks(12)?),
            ended_children: TICK * (ticks(13)? + ticks(14)?),
        })
    }
}
