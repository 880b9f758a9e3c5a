//! The yardstick: `pgbench` on the same PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::process::Command;

use crate::BenchError;
use crate::figures::Figure;

/// Like `ledger.event`, with one of its unique indexes.
const TABLE: &str = "create table event (
    position bigint generated always as identity primary key,
    event_id uuid not null, vtid text collate \"C\" not null, version bigint not null, type text not null,
    tenant text not null, actor text not null, actor_role text not null, actor_tenant text,
    idempotency_key text collate \"C\", request_hash text collate \"C\",
    recorded_at timestamptz(3) not null, body text not null
)";
const INSERT: &str = "\\set number random(1, 1000000000)
insert into event (event_id, vtid, version, type, tenant, actor, actor_role, recorded_at, body) values \
    (gen_random_uuid(), 'VTID-2026-' || :number::bigint, 1, 'vtid-created', 'system', 'anonymous', 'admin', \
    clock_timestamp(), :body);
";
/// What the ledger reads for a GET: the same table, the same rows.
const SELECT: &str = "\\set number random(1, :count)
select id, vtid, task_family, task_type, description, status, assigned_to, tenant, metadata::text, parent_vtid, \
    created_at, updated_at, version, position from \"VtidLedger\" \
    where vtid = :prefix::text || lpad(:number::bigint::text, 4, '0');
";

/// `pgbench`, its scripts, and where they run.
pub(crate) struct Yardstick {
    program: PathBuf,
    folder: PathBuf,
    ledger: String,
    own: String,
    /// An event's record, as the ledger stores it.
    body: String,
    prefix: String,
    count: u32,
}

/// What a client does, over and over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// Inserts one row and commits.
    Insert,
    /// Selects one row of the ledger's read table.
    Select,
}

impl Yardstick {
    /// Makes the table in the database `own`, and takes an event of `ledger` for a row's body. The tasks to read are the
    /// first `count` with this VTID `prefix`; `folder` is for scripts and logs.
    pub(crate) async fn prepare(
        ledger: &str,
        own: &str,
        folder: &Path,
        (prefix, count): (&str, u32),
    ) -> Result<Self, BenchError> {
        let mut connection = PgConnection::connect(own).await?;
        sqlx::raw_sql(TABLE).execute(&mut connection).await?;
        let bin: String = sqlx::query_scalar("select setting from pg_config() where name = 'BINDIR'")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        let mut connection = PgConnection::connect(ledger).await?;
        let body: String = sqlx::query_scalar("select body from ledger.event order by position limit 1")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        let script = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| BenchError::File { path, error })
        };
        script("insert.sql", INSERT)?;
        script("select.sql", SELECT)?;
        Ok(Self {
            program: Path::new(&bin).join("pgbench"),
            folder: folder.to_path_buf(),
            ledger: ledger.to_owned(),
            own: own.to_owned(),
            body,
            prefix: prefix.to_owned(),
            count,
        })
    }

    /// How long an event's record is, in bytes.
    pub(crate) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Runs `work` for `time` with `clients`; a failed transaction is an error.
    pub(crate) async fn run(&self, work: Work, clients: u32, time: Duration) -> Result<Figure, BenchError> {
        let (script, database) = match work {
            Work::Insert => ("insert.sql", &self.own),
            Work::Select => ("select.sql", &self.ledger),
        };
        let mut command = Command::new(&self.program);
        command.args(["--no-vacuum", "--protocol=prepared", "--file", script]);
        command.args(["--client", &clients.to_string(), "--jobs", &crate::threads(clients).to_string()]);
        command.args(["--time", &time.as_secs().to_string()]);
        // For the percentiles; not every transaction of many, so that the log costs next to nothing.
        command.args(["--log", "--log-prefix=latency"]);
        command.args([if clients == 1 { "--sampling-rate=1" } else { "--sampling-rate=0.1" }]);
        match work {
            Work::Insert => command.args(["-D", &format!("body={}", self.body)]),
            Work::Select => command.args([
                "-D",
                &format!("prefix={}", self.prefix),
                "-D",
                &format!("count={}", self.count),
            ]),
        };
        // Not among the arguments, which everybody on the machine can read.
        command.env("PGDATABASE", database).current_dir(&self.folder);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| BenchError::Program { program: self.program.clone(), error })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        let unclear = || BenchError::Output { program: "pgbench", output: format!("{text}\n{complaint}") };
        if !output.status.success() || !text.contains("failed transactions: 0 (") {
            return Err(unclear());
        }
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        let latencies = self.take_latencies()?;
        let at = |percent: usize| {
            let place = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
            latencies.get(place).copied()
        };
        let (Some(rate), Some(p50), Some(p99)) = (rate, at(50), at(99)) else {
            return Err(unclear());
        };
        Ok(Figure { rate, p50, p99 })
    }

    /// Reads the transactions' logs, one a thread, and removes them. The third column is microseconds.
    fn take_latencies(&self) -> Result<Vec<Duration>, BenchError> {
        let fault = |path: &Path| {
            let path = path.to_path_buf();
            move |error| BenchError::File { path, error }
        };
        let mut latencies = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(fault(&self.folder))? {
            let path = entry.map_err(fault(&self.folder))?.path();
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"latency.")) {
                let text = fs::read_to_string(&path).map_err(fault(&path))?;
                let third = |line: &str| line.split(' ').nth(2)?.parse().ok();
                latencies.extend(text.lines().filter_map(third).map(Duration::from_micros));
                fs::remove_file(&path).map_err(fault(&path))?;
            }
        }
        latencies.sort_unstable();
        Ok(latencies)
    }
}
