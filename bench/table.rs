//! What was measured, for people: one table, and what it was measured on.

use std::fmt::Write as _;
use std::process::Command;

use sqlx::{Connection, PgConnection};
use vtid_ledger::clock::Clock;

use crate::figures::Figure;
use crate::servers::Servers;
use crate::{BenchError, Settings};

/// One line: the ledger's figure, and what it is held against.
pub(crate) struct Line {
    pub(crate) what: &'static str,
    pub(crate) ledger: Figure,
    pub(crate) against: &'static str,
    pub(crate) yardstick: Figure,
}

/// The machine and the programs.
pub(crate) struct Circumstances {
    facts: Vec<(&'static str, String)>,
}

impl Circumstances {
    /// Asks for them; to be called before the load begins, for the load average.
    pub(crate) async fn ask(servers: &Servers) -> Result<Self, BenchError> {
        let mut connection = PgConnection::connect(&servers.yardstick_url()).await?;
        let (version, fsync, commit): (String, String, String) = sqlx::query_as(
            "select current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        let nats = async_nats::connect(servers.nats_url()).await.map_err(Box::new)?;
        let cores = std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |n| n.to_string());
        let commit_id = said("git", &["describe", "--always", "--dirty", "--abbrev=12"]);
        let facts = vec![
            ("Date", Clock::system().now().to_string()),
            ("Commit", commit_id),
            ("Machine", format!("{cores} cores, {}, {}", memory(), model())),
            ("Load before", load()),
            ("PostgreSQL", format!("{version}, fsync={fsync}, synchronous_commit={commit}")),
            ("NATS", nats.server_info().version),
            ("Compiler", said("rustc", &["--version"])),
        ];
        Ok(Self { facts })
    }
}

/// The whole page.
pub(crate) fn page(settings: &Settings, at: &Circumstances, body_bytes: usize, lines: &[Line]) -> String {
    let mut page = String::from("# What the ledger does a second\n\nWritten by `make bench`.\n\n");
    page.push_str("| what | ledger /s | p50 ms | p99 ms | against | /s | p50 ms | p99 ms | ratio |\n");
    page.push_str("|---|--:|--:|--:|---|--:|--:|--:|--:|\n");
    for Line { what, ledger, against, yardstick } in lines {
        let ratio = ledger.rate / yardstick.rate;
        let (ledger, yardstick) = (cells(ledger), cells(yardstick));
        put(&mut page, format_args!("| {what} | {ledger} | {against} | {yardstick} | {ratio:.2} |\n"));
    }
    let (rounds, seconds, open) = (settings.rounds, settings.run.as_secs(), settings.snapshot.as_secs());
    put(
        &mut page,
        format_args!(
            "\nEach figure is the median of {rounds} rounds of {seconds} s; in a round ledger and yardstick take turns \
             on the same PostgreSQL. The load generators (`wrk`, `pgbench`) share the cores with what they measure. The \
             ledger is the release binary as `serve` runs it, log lines and NATS included; a run with any answer other \
             than 200 is thrown out as an error. The yardstick's insert is one row with a body of {body_bytes} bytes, an \
             event's record, under one unique index, a transaction each; its select is the row that a GET shows, by the \
             same key. The lines after that hold the ledger against itself: with a REPEATABLE READ transaction that had \
             been open for {open} s under creates at 64 connections and stayed open, and just before it began; and asking 200 callers in turn for their tokens (HS256), and asking nobody.\n\n"
        ),
    );
    for (name, fact) in &at.facts {
        put(&mut page, format_args!("- {name}: {fact}\n"));
    }
    page
}

fn cells(figure: &Figure) -> String {
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    format!("{:.0} | {:.2} | {:.2}", figure.rate, ms(figure.p50), ms(figure.p99))
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    #[expect(clippy::expect_used, reason = "a String takes whatever is written")]
    page.write_fmt(text).expect("a String can be written to");
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
