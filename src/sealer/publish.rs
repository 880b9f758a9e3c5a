//! Publishes every checkpoint that is on record, once, in order of size: behind the last one that stands in the stream.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use super::message::AuditMessage;
use super::past::known_keys;
use super::stream::{AuditStreamError, Opened};
use super::table::{self, Stored};
use super::{Parts, Shared};
use crate::domain::position::Position;
use crate::tlog::Hash;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::key::PublicKey;

/// Checkpoints that are read at once.
const PAGE: u32 = 256;
/// The pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is looked whether there is something, should nobody say so.
const SLOW_POLL: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum PublishFault {
    #[error(transparent)]
    Stream(#[from] AuditStreamError),
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the checkpoint of size {0} on record is not one that this log's keys signed")]
    Unreadable(Position),
    #[error("the past was not held against the newest checkpoint in the stream")]
    NotCompared,
}

/// A checkpoint in the stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    pub(super) size: u64,
    pub(super) root: Hash,
}

impl Standing {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        Self { size: checkpoint.size, root: checkpoint.root }
    }
}

/// What the past was held against, and fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Compared {
    /// The newest checkpoint in the stream.
    pub(super) published: Option<Standing>,
    /// The newest one on record.
    pub(super) sealed: Position,
}

/// Where it stands in the stream.
struct Place {
    opened: Opened,
    /// How often the connection to NATS had been made by then.
    connections: u64,
    /// The size of the last checkpoint in it.
    published: Position,
    /// Who may have signed what was on record by the time that the past was looked at.
    known: Vec<PublicKey>,
}

pub(super) struct Publisher<'a> {
    parts: &'a Parts,
    shared: &'a Shared,
    place: Option<Place>,
}

impl<'a> Publisher<'a> {
    pub(super) fn new(parts: &'a Parts, shared: &'a Shared) -> Self {
        Self { parts, shared, place: None }
    }

    pub(super) async fn run(mut self) -> Infallible {
        let (mut sealed, mut link) = (self.shared.sealed.subscribe(), self.parts.link.clone());
        let (mut compared, mut lease) = (self.shared.compared.subscribe(), self.parts.lease.clone());
        loop {
            sealed.mark_unchanged();
            // What stands in the stream is held against the past before anything is put behind it.
            let works =
                lease.is_held() && link.borrow_and_update().up && compared.borrow_and_update().is_some();
            let trouble = if works { self.catch_up().await.err() } else { None };
            let failed = trouble.is_some();
            self.tell(trouble);
            tokio::select! {
                () = sleep(if failed { RETRY } else { SLOW_POLL }) => {}
                Ok(()) = sealed.changed(), if !failed => {}
                Ok(()) = compared.changed(), if !failed => {}
                Ok(()) = link.changed() => {}
                () = lease.changed() => {}
            }
        }
    }

    fn tell(&mut self, trouble: Option<PublishFault>) {
        if let Some(fault) = &trouble {
            self.place = None;
            let is_usual =
                matches!(fault, PublishFault::Stream(AuditStreamError::Moved) | PublishFault::NotCompared);
            if !is_usual {
                tracing::warn!(error = %fault, "checkpoints are not published; it is tried again");
            }
        }
        let told = trouble.map(|fault| format!("checkpoints are not published: {fault}"));
        self.shared.publishing.send_if_modified(|known| {
            let changed = *known != told;
            *known = told;
            changed
        });
    }

    async fn catch_up(&mut self) -> Result<(), PublishFault> {
        let connections = self.parts.link.borrow().connections;
        if self.place.as_ref().is_none_or(|place| place.connections != connections) {
            self.place = Some(self.find(connections).await?);
        }
        let Some(place) = &mut self.place else { return Ok(()) };
        let origin = self.parts.keys.origin();
        loop {
            let page = {
                let mut connection = self.parts.log.pool().acquire().await?;
                table::page(&mut connection, origin.as_str(), place.published, PAGE).await?
            };
            if page.is_empty() {
                return Ok(());
            }
            for stored in page {
                let Some(compared) = *self.shared.compared.borrow() else { return Ok(()) };
                if !self.parts.lease.is_held() {
                    return Ok(());
                }
                let message = message(self.parts, compared, &place.known, &stored)?;
                place.opened.publish(message).await?;
                place.published = stored.size;
            }
        }
    }

    /// Where the stream stands. The newest checkpoint in it must be one that the past was held against, or one on record since:
    /// else the past has to be looked at again before anything is put behind it.
    async fn find(&self, connections: u64) -> Result<Place, PublishFault> {
        let (pool, keys) = (self.parts.log.pool(), &self.parts.keys);
        let known = known_keys(&mut *pool.acquire().await?, keys).await?;
        let opened = self.parts.stream.open().await?;
        let newest = opened.newest(keys, &known).await?.as_ref().map(Standing::of);
        let published = newest.map_or(Position::ZERO, |newest| Position::new(newest.size));
        let compared = self.shared.compared.borrow().is_some_and(|compared| compared.published == newest);
        if !compared && !self.is_on_record(newest).await? {
            self.shared.compared.send_replace(None);
            self.shared.doubt();
            return Err(PublishFault::NotCompared);
        }
        Ok(Place { opened, connections, published, known })
    }

    /// Nothing is a beginning of every log: the stream has lost what it held, and gets it back.
    async fn is_on_record(&self, newest: Option<Standing>) -> Result<bool, sqlx::Error> {
        let Some(Standing { size, root }) = newest else { return Ok(true) };
        let (pool, size) = (self.parts.log.pool(), Position::new(size));
        let recorded =
            table::newest_up_to(&mut *pool.acquire().await?, self.parts.keys.origin(), size).await?;
        Ok(recorded.is_some_and(|recorded| recorded.size == size && recorded.root == root))
    }
}

/// A key that is merely on record counts for what came before the newest checkpoint that the past was looked at with.
fn message(
    parts: &Parts,
    compared: Compared,
    known: &[PublicKey],
    stored: &Stored,
) -> Result<AuditMessage, PublishFault> {
    let given = parts.keys.public();
    let keys = if stored.size < compared.sealed { known } else { &given };
    let checkpoint = Checkpoint::open(stored.note.as_bytes(), keys).ok();
    let checkpoint = checkpoint.filter(|checkpoint| checkpoint.size == stored.size.get());
    let checkpoint = checkpoint.ok_or(PublishFault::Unreadable(stored.size))?;
    Ok(AuditMessage::checkpoint(parts.log.ledger(), &checkpoint, stored.signed_at))
}
