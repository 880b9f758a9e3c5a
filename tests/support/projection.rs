//! A ledger with its read table and projectors, without HTTP.

use std::sync::Arc;

use sqlx::PgConnection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::EventLog;
use vtid_ledger::log::servers::Servers;
use vtid_ledger::projections::connections::ReadConnections;
use vtid_ledger::projections::projector::Projector;
use vtid_ledger::projections::read::Reader;
use vtid_ledger::projections::rebuild::{Difference, diff};
use vtid_ledger::projections::status::ProjectorStatus;
use vtid_ledger::projections::tasks;
use vtid_ledger::writer::handle::WriterHandle;

use super::commands::{patch, some_create};
use super::ledger::TestLedger;

/// A projector that ends when dropped.
pub(crate) struct Running {
    pub(crate) status: watch::Receiver<ProjectorStatus>,
    stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    /// Waits for a status.
    pub(crate) async fn until(
        &self,
        what: &str,
        mut shows: impl FnMut(&ProjectorStatus) -> bool,
    ) -> ProjectorStatus {
        let mut status = self.status.clone();
        let waited =
            tokio::time::timeout(std::time::Duration::from_secs(30), status.wait_for(|s| shows(s))).await;
        let last = self.status.borrow().clone();
        waited.unwrap_or_else(|_| panic!("gave up waiting: {what}: {last:?}")).unwrap().clone()
    }

    pub(crate) async fn reaches(&self, position: Position) {
        self.until("the position", |status| status.position >= position).await;
    }
}

/// A ledger with a writer.
pub(crate) struct Projected {
    pub(crate) ledger: TestLedger,
    pub(crate) log: EventLog,
    pub(crate) writer: WriterHandle,
}

/// Makes one, with an empty read table and no projector.
pub(crate) async fn projected() -> Projected {
    let ledger = super::ledger().await;
    tasks::apply_sql(&mut ledger.connection().await).await.unwrap();
    let log = ledger.log().await;
    let writer = ledger.writer(&log);
    Projected { ledger, log, writer }
}

impl Projected {
    pub(crate) fn options(&self) -> Servers {
        self.ledger.writer_options().database
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        self.ledger.connection().await
    }

    /// A projector of this process's log.
    pub(crate) fn projector(&self) -> Running {
        self.projector_of(&self.log)
    }

    pub(crate) fn projector_of(&self, log: &EventLog) -> Running {
        let (projector, status) = Projector::new(log.clone(), &self.options());
        let stop = CancellationToken::new();
        tokio::spawn(projector.run(stop.clone()));
        Running { status, stop }
    }

    pub(crate) fn reader(&self, running: &Running) -> Reader {
        Reader::new(ReadConnections::new(self.options(), 4), running.status.clone(), &self.writer)
    }

    pub(crate) async fn create(&self, description: &str) -> Arc<Task> {
        self.writer.submit(some_create(description)).await.unwrap().task
    }

    pub(crate) async fn patch(&self, vtid: Vtid, body: &str) -> Arc<Task> {
        self.writer.submit(patch(vtid, body)).await.unwrap().task
    }

    /// Every row that is not what the log says.
    pub(crate) async fn differences(&self) -> Vec<Difference> {
        let mut all = Vec::new();
        diff(&self.options(), |_, found| all.extend_from_slice(found)).await.unwrap();
        all
    }

    /// Changes the database by hand.
    pub(crate) async fn by_hand(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.connection().await).await.unwrap();
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.connection().await).await.unwrap()
    }
}
