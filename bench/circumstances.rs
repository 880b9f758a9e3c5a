//! The machine and the programs, and how busy the machine was before.

use std::fmt::Write as _;
use std::process::Command;

use sqlx::{Connection, PgConnection};
use vtid_ledger::clock::Clock;

use crate::BenchError;
use crate::servers::Servers;

/// The machine and the programs.
pub(crate) struct Circumstances {
    facts: Vec<(&'static str, String)>,
}

impl Circumstances {
    /// Asks for them; to be called before the load begins, for the load average.
    pub(crate) async fn ask(servers: &Servers) -> Result<Self, BenchError> {
        let mut connection = PgConnection::connect(&servers.yardstick_url()).await?;
        let (version, fsync, commit, buffers): (String, String, String, String) = sqlx::query_as(
            "select current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'),
                current_setting('shared_buffers')",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        let nats = said("nats-server", &["--version"]);
        let cores = std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |n| n.to_string());
        let commit_id = said("git", &["describe", "--always", "--dirty", "--abbrev=12"]);
        let facts = vec![
            ("Date", Clock::system().now().to_string()),
            ("Commit", commit_id),
            ("Machine", format!("{cores} cores, {}, {}", memory(), model())),
            ("Load before", load()),
            (
                "PostgreSQL",
                format!(
                    "{version}, fsync={fsync}, synchronous_commit={commit}, shared_buffers={buffers}, its defaults but for min_wal_size=1GB, filled beforehand"
                ),
            ),
            ("NATS", nats),
            ("Compiler", said("rustc", &["--version"])),
        ];
        Ok(Self { facts })
    }

    /// One line each.
    pub(crate) fn lines(&self) -> String {
        self.facts.iter().fold(String::new(), |mut lines, (name, fact)| {
            // Writing to a string can't fail.
            let _ = writeln!(lines, "- {name}: {fact}");
            lines
        })
    }
}

/// What a program prints; "?" where it can't be run.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "?".to_owned(),
    }
}

fn load() -> String {
    let text = said("uptime", &[]);
    text.rsplit_once("average").map_or("?", |(_, load)| load.trim_start_matches(['s', ':', ' '])).to_owned()
}

/// A line of one of Linux' files that are made of `name: value`.
fn proc_value(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory() -> String {
    let linux = || proc_value("/proc/meminfo", "MemTotal")?.strip_suffix(" kB")?.parse::<u64>().ok();
    let mac = || Some(said("sysctl", &["-n", "hw.memsize"]).parse::<u64>().ok()? / 1024);
    linux().or_else(mac).map_or_else(|| "? memory".to_owned(), |kib| format!("{} MiB", kib / 1024))
}

fn model() -> String {
    proc_value("/proc/cpuinfo", "model name")
        .unwrap_or_else(|| said("sysctl", &["-n", "machdep.cpu.brand_string"]))
}
