//! The yardstick: `pgbench` on the same PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::process::Command;

use crate::figures::{Figure, percentile};
use crate::load::threads;
use crate::records::sample_record;
use crate::seed::Tasks;
use crate::servers::Servers;
use crate::{BenchError, lines::told};

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
/// The row that a GET shows, by the same key.
const SELECT: &str = "\\set number random(:first, :last)
select id, vtid, task_family, task_type, description, status, assigned_to, tenant, metadata::text, parent_vtid, \
    created_at, updated_at, version, position from \"VtidLedger\" \
    where vtid = :prefix::text || (case when :number < 10000 then lpad(:number::bigint::text, 4, '0') \
        else :number::bigint::text end);
";

/// `pgbench` makes its connections within the time that it is given, and does not count it.
const CONNECTING: Duration = Duration::from_secs(1);

/// `pgbench`, its scripts, and where they run.
pub(crate) struct Yardstick {
    program: PathBuf,
    folder: PathBuf,
    own: String,
}

/// What clients do, over and over: one of some scripts, at random.
pub(crate) struct Work<'a> {
    pub(crate) database: &'a str,
    pub(crate) scripts: &'a [String],
    pub(crate) variables: &'a [(&'a str, String)],
}

impl Yardstick {
    /// Makes the table.
    pub(crate) async fn prepare(servers: &Servers) -> Result<Self, BenchError> {
        let own = servers.yardstick_url();
        let mut connection = PgConnection::connect(&own).await?;
        sqlx::raw_sql(TABLE).execute(&mut connection).await?;
        let bin: String = sqlx::query_scalar("select setting from pg_config() where name = 'BINDIR'")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Self { program: Path::new(&bin).join("pgbench"), folder: servers.folder().to_path_buf(), own })
    }

    /// Empties the table, for the next line.
    pub(crate) async fn fresh(&self) -> Result<(), BenchError> {
        let mut connection = PgConnection::connect(&self.own).await?;
        sqlx::raw_sql("truncate event").execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// Inserts one row and commits, over and over.
    pub(crate) async fn inserts(&self, clients: u32, time: Duration) -> Result<Figure, BenchError> {
        let work = Work {
            database: &self.own,
            scripts: &[INSERT.to_owned()],
            variables: &[("body", sample_record())],
        };
        Ok(told("pgbench inserts", self.run(&work, clients, time).await?))
    }

    /// Selects one of these tasks from the ledger's read table, over and over.
    pub(crate) async fn selects(
        &self,
        database: &str,
        tasks: Tasks,
        clients: u32,
        time: Duration,
    ) -> Result<Figure, BenchError> {
        let [first, last] = [tasks.first, tasks.last()].map(|number| number.to_string());
        let variables = [("prefix", tasks.prefix()), ("first", first), ("last", last)];
        let work = Work { database, scripts: &[SELECT.to_owned()], variables: &variables };
        Ok(told("pgbench selects", self.run(&work, clients, time).await?))
    }

    /// Runs `work` for `time` with `clients`; a failed transaction is an error.
    pub(crate) async fn run(
        &self,
        work: &Work<'_>,
        clients: u32,
        time: Duration,
    ) -> Result<Figure, BenchError> {
        let mut command = Command::new(&self.program);
        command.args(["--no-vacuum", "--protocol=prepared"]);
        command.args(["--client", &clients.to_string(), "--jobs", &threads(clients).to_string()]);
        command.args(["--time", &(time + CONNECTING).as_secs().to_string()]);
        // For the percentiles; not every transaction of many, so that the log costs next to nothing.
        command.args(["--log", "--log-prefix=latency"]);
        command.args([if clients == 1 { "--sampling-rate=1" } else { "--sampling-rate=0.1" }]);
        for (index, text) in work.scripts.iter().enumerate() {
            let path = self.folder.join(format!("script-{index}.sql"));
            fs::write(&path, text).map_err(|error| BenchError::File { path: path.clone(), error })?;
            command.arg("--file").arg(path);
        }
        for (name, value) in work.variables {
            command.args(["-D", &format!("{name}={value}")]);
        }
        // Not among the arguments, which everybody on the machine can read.
        command.env("PGDATABASE", work.database).current_dir(&self.folder);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| BenchError::Program { program: self.program.clone(), error })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        let unclear = || BenchError::Output {
            program: "pgbench".to_owned(),
            output: format!("{text}\n{complaint:.2000}"),
        };
        if !output.status.success() || !text.contains("failed transactions: 0 (") {
            return Err(unclear());
        }
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        let mut latencies = self.take_latencies()?;
        let rate = rate.ok_or_else(unclear)?;
        Ok(Figure { rate, p50: percentile(&mut latencies, 50)?, p99: percentile(&mut latencies, 99)? })
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
        Ok(latencies)
    }
}
