//! The connection on which the past was looked at. What was found counts for this session alone: of a new one, or of another
//! server's, the past may be another.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::timeout;

use super::stream::AuditStreamError;
use crate::log::servers::{Servers, Timeline};
use crate::tlog::checkpoint::CheckpointError;

/// Longer than any statement takes; after it, a seal's outcome is unknown.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("the connection on which the past was looked at is gone")]
    OtherSession,
    #[error("what was published can't be looked at: {0}")]
    Stream(#[from] AuditStreamError),
    #[error("a checkpoint can't be signed: {0}")]
    Sign(#[from] CheckpointError),
}

/// Such a connection, if there is one. Whatever fails on it, or takes too long, ends it.
pub(super) struct Session<'a> {
    database: &'a Servers,
    connection: Option<(PgConnection, Timeline)>,
}

impl<'a> Session<'a> {
    pub(super) fn new(database: &'a Servers) -> Self {
        Self { database, connection: None }
    }

    pub(super) fn end(&mut self) {
        self.connection = None;
    }

    /// A connection to look at the past on, to be given to [`Session::begin`] once that is done: the one that there is, if it
    /// is still the primary's.
    pub(super) async fn take(&mut self) -> Result<(PgConnection, Timeline), sqlx::Error> {
        match self.current() {
            Some(connection) => Ok(connection),
            None => self.database.connect().await,
        }
    }

    /// On this connection the past was looked at.
    pub(super) fn begin(&mut self, connection: (PgConnection, Timeline)) {
        self.connection = Some(connection);
    }

    /// Does `work` on the connection on which the past was looked at, and on no other.
    pub(super) async fn on<T, E: Into<Fault>>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, Fault> {
        let (mut connection, timeline) = self.current().ok_or(Fault::OtherSession)?;
        let done = timeout(ANSWER_TIMEOUT, work(&mut connection)).await;
        let done = done.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(Into::into)?;
        self.begin((connection, timeline));
        Ok(done)
    }

    fn current(&mut self) -> Option<(PgConnection, Timeline)> {
        self.connection.take().filter(|(_, timeline)| *timeline >= self.database.timeline())
    }
}
