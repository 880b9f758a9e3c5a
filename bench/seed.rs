//! Fills a log by `COPY`, past the ledger: with records as the ledger prints them, which the log's triggers check.

use std::ops::RangeInclusive;
use std::sync::Arc;

use sqlx::{Connection, PgConnection};
use tokio::sync::mpsc;
use uuid::Uuid;
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::command::CreateTask;
use vtid_ledger::domain::record::LedgerId;
use vtid_ledger::domain::status::Status;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::domain::vtid::Vtid;

use crate::BenchError;
use crate::records::{Plan, creates};
use crate::servers::{Ledger, tidy};

/// The numbers of the tenants of seeded tasks, `tenant-10` and so on.
pub(crate) const TENANTS: RangeInclusive<u64> = 10..=49;
/// The statuses of seeded tasks; one in five is completed by its tenth event.
pub(crate) const STATUSES: [Status; 4] =
    [Status::Pending, Status::Active, Status::Blocked, Status::Cancelled];
/// An empty log's first event is so old at most, and of this year.
const AGE_MILLIS: i64 = 30 * 24 * 3_600_000;
const COPY: &str = "copy ledger.event (position, event_id, vtid, version, type, tenant, actor, actor_role, recorded_at, \
    body) from stdin";

/// Tasks that follow each other in number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tasks {
    pub(crate) year: u16,
    pub(crate) first: u64,
    pub(crate) count: u64,
}

impl Tasks {
    /// The last number.
    pub(crate) fn last(&self) -> u64 {
        self.first + self.count.max(1) - 1
    }

    /// What their VTIDs begin with.
    pub(crate) fn prefix(&self) -> String {
        format!("VTID-{:04}-", self.year)
    }

    /// The VTID of the one at `index`.
    pub(crate) fn vtid(&self, index: u64) -> String {
        format!("{}{:04}", self.prefix(), self.first + index)
    }

    /// The one at `index`.
    pub(crate) fn at(&self, index: u64) -> Self {
        Self { first: self.first + index, count: 1, ..*self }
    }

    /// For a load's script.
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec![self.prefix(), self.first.to_string(), self.last().to_string()]
    }
}

/// Appends to a log on which no program runs.
pub(crate) struct Seeder {
    connection: PgConnection,
    ledger: LedgerId,
    head: u64,
    last_number: u64,
    last_time: Timestamp,
    year: u16,
    creates: Arc<[CreateTask]>,
}

impl Seeder {
    /// Goes on from the log's head.
    pub(crate) async fn open(ledger: &Ledger) -> Result<Self, BenchError> {
        let mut connection = ledger.connect().await?;
        let id: Uuid =
            sqlx::query_scalar("select ledger_id from ledger.identity").fetch_one(&mut connection).await?;
        let last: Option<(i64, String)> = sqlx::query_as(
            "select position, to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')
             from ledger.event order by position desc limit 1",
        )
        .fetch_optional(&mut connection)
        .await?;
        let created: Option<String> = sqlx::query_scalar(
            "select vtid from ledger.event where version = 1 order by position desc limit 1",
        )
        .fetch_optional(&mut connection)
        .await?;
        let now = Clock::system().now();
        let year = now.year();
        let january = Timestamp::parse(&format!("{year:04}-01-01T00:00:00.000Z")).unwrap_or(now);
        let start = january.max(Timestamp::from_millis(now.millis() - AGE_MILLIS));
        let (head, last_time) = last.map_or((0, start), |(position, time)| {
            (u64::try_from(position).unwrap_or(0), Timestamp::parse(&time).unwrap_or(now))
        });
        let last = created.and_then(|vtid| Vtid::parse_possible(&vtid).ok());
        let last_number = last.filter(|vtid| vtid.year() == year).map_or(0, Vtid::number);
        let kinds = creates()?.into();
        Ok(Self { connection, ledger: LedgerId(id), head, last_number, last_time, year, creates: kinds })
    }

    /// How many events the log has.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// All tasks of this year, however they came.
    pub(crate) fn tasks(&self) -> Tasks {
        Tasks { year: self.year, first: 1, count: self.last_number }
    }

    /// The tasks of this year that were seeded, as far as they follow each other in number.
    pub(crate) async fn seeded(&mut self) -> Result<Vec<Tasks>, BenchError> {
        let ranges: Vec<(i64, i64)> = sqlx::query_as(
            "select min(number), count(*) from (
                 select number, number - row_number() over (order by number) as range from (
                     select substr(vtid, 11)::bigint as number from ledger.event
                     where version = 1 and tenant like 'tenant-%' and starts_with(vtid, $1)
                 ) seeded
             ) ranged group by range order by 1",
        )
        .bind(self.tasks().prefix())
        .fetch_all(&mut self.connection)
        .await?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let year = self.year;
        Ok(ranges
            .into_iter()
            .map(|(first, many)| Tasks { year, first: count(first), count: count(many) })
            .collect())
    }

    /// Appends so many new tasks.
    pub(crate) async fn create(&mut self, count: u64) -> Result<Tasks, BenchError> {
        let tasks = Tasks { year: self.year, first: self.last_number + 1, count };
        if count > 0 {
            self.append(tasks, 1..=1, count).await?;
        }
        self.last_number += count;
        Ok(tasks)
    }

    /// Appends a patch of each of these tasks for each version, one version after the other; `limit` at most.
    pub(crate) async fn patch(
        &mut self,
        tasks: Tasks,
        versions: RangeInclusive<u64>,
        limit: u64,
    ) -> Result<(), BenchError> {
        let count = tasks.count * (versions.end() + 1).saturating_sub(*versions.start());
        self.append(tasks, versions, count.min(limit)).await
    }

    async fn append(
        &mut self,
        tasks: Tasks,
        versions: RangeInclusive<u64>,
        count: u64,
    ) -> Result<(), BenchError> {
        let plan = Plan {
            ledger: self.ledger,
            head: self.head,
            from: self.last_time,
            to: Clock::system().now().max(self.last_time),
            tasks,
            first_version: *versions.start(),
            count,
            creates: Arc::clone(&self.creates),
        };
        self.last_time = plan.time(count.saturating_sub(1));
        let (sender, mut chunks) = mpsc::channel(2);
        let printing = tokio::task::spawn_blocking(move || plan.print(&sender));
        while let Some(chunk) = chunks.recv().await {
            let chunk: Vec<u8> = chunk;
            let mut copy = self.connection.copy_in_raw(COPY).await?;
            copy.send(chunk).await?;
            self.head += copy.finish().await?;
        }
        printing.await?
    }

    /// Cleans up after it, as the servers would have done in time, and says so if anything is missing.
    pub(crate) async fn finish(mut self) -> Result<u64, BenchError> {
        tidy(&mut self.connection, "vacuum (analyze) ledger.event").await?;
        let found: i64 = sqlx::query_scalar("select coalesce(max(position), 0) from ledger.event")
            .fetch_one(&mut self.connection)
            .await?;
        self.connection.close().await?;
        match u64::try_from(found) {
            Ok(found) if found == self.head => Ok(found),
            _ => Err(BenchError::Seed { wanted: self.head, found: u64::try_from(found).unwrap_or(0) }),
        }
    }
}
