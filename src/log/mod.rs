//! The event log in `PostgreSQL`: append, read, follow.
//!
//! One insert-only table whose primary key is the compare-and-append. [`append`] and [`turn`] are the writer's
//! side, [`EventLog`] with its [`follow::Follower`]s everybody else's.

pub mod append;
pub mod connect;
pub mod entry;
pub mod folder;
pub mod follow;
pub mod head;
pub mod hold;
pub mod hosts;
pub mod kept;
pub mod listen;
pub mod load;
mod lookout;
pub mod lookup;
pub mod losses;
pub mod notify;
pub mod pages;
pub mod pool;
pub mod probe;
pub mod read;
pub mod records;
pub mod recovery;
pub mod schema;
pub mod search;
pub mod servers;
mod session;
pub mod tail;
pub mod transactions;
pub mod turn;
pub mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::watch;

use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::LedgerId;
use entry::Entry;
use follow::Follower;
use hold::Losses;
use notify::Told;
use pool::Pool;
use tail::Tail;

/// The log as its readers see it: cheap to clone.
#[derive(Clone)]
pub struct EventLog {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    ledger: LedgerId,
    tail: Tail,
    /// How often something was handed over or forgotten.
    tail_changes: AtomicU64,
    /// How often the tail was forgotten.
    tail_forgotten: AtomicU64,
    /// The highest position that this process has heard of: a hint that wakes followers, never a proof.
    heard: watch::Sender<Position>,
    /// The highest position that this process's own writer has handed over.
    handed_over: watch::Sender<Position>,
    /// The writer waits for its turn, after which it hands over all that others have appended.
    awaits_turn: AtomicBool,
    /// The last notification that any process sent, as far as this one knows.
    told: watch::Sender<Option<Told>>,
}

/// Tells one state of the log's tail in memory from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TailMark {
    /// How often something was handed over or forgotten.
    pub changes: u64,
    /// How often it was forgotten.
    pub forgotten: u64,
}

impl EventLog {
    /// The log behind `pool`, with up to `tail_bytes` of its newest records kept in memory.
    #[must_use]
    pub fn new(pool: Pool, ledger: LedgerId, tail_bytes: usize) -> Self {
        let [heard, handed_over] = std::array::from_fn(|_| watch::Sender::new(Position::ZERO));
        let (tail_changes, tail_forgotten, awaits_turn, told) = Default::default();
        let tail = Tail::new(tail_bytes);
        let shared = Shared {
            pool,
            ledger,
            tail,
            tail_changes,
            tail_forgotten,
            heard,
            handed_over,
            awaits_turn,
            told,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Which ledger this is.
    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.shared.ledger
    }

    /// The connections that reads go through.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.shared.pool
    }

    /// A reader in order, from the event after `from` on.
    #[must_use]
    pub fn follow(&self, from: Cursor) -> Follower {
        Follower::new(self.clone(), from)
    }

    /// The writer hands over what it has just committed, in order: followers need not read it again. `losses`: those that
    /// had been accepted when it last looked at the log.
    pub fn hand_over(&self, entries: Vec<Arc<Entry>>, losses: Losses) {
        let Some(last) = entries.last().map(|entry| entry.position()) else { return };
        self.shared.tail.push(entries, losses);
        self.shared.tail_changes.fetch_add(1, Ordering::Release);
        self.hear_of(last);
        self.shared.handed_over.send_replace(last);
    }

    /// Whether the writer waits for its turn: then followers need not look for what they heard of from others, it brings it.
    pub fn set_awaits_turn(&self, awaits: bool) {
        self.shared.awaits_turn.store(awaits, Ordering::Release);
    }

    /// Forgets what the writer handed over: the log may have lost it.
    pub fn forget_tail(&self) {
        self.shared.tail.clear();
        self.shared.tail_forgotten.fetch_add(1, Ordering::Release);
        // Last: whoever sees that something has changed sees what.
        self.shared.tail_changes.fetch_add(1, Ordering::Release);
    }

    /// How the tail stands: another mark, once something was handed over or forgotten.
    #[must_use]
    pub fn tail_mark(&self) -> TailMark {
        let changes = self.shared.tail_changes.load(Ordering::Acquire);
        TailMark { changes, forgotten: self.shared.tail_forgotten.load(Ordering::Acquire) }
    }

    /// Up to `max` entries of the tail after `cursor`, without a look at the database; see [`Tail::after`].
    #[must_use]
    pub fn tail_after(&self, cursor: Cursor, max: usize) -> Vec<Arc<Entry>> {
        self.shared.tail.after(cursor, max).unwrap_or_default()
    }

    /// The tail's last entry; none if it is empty.
    #[must_use]
    pub fn tail_end(&self) -> Option<Cursor> {
        self.shared.tail.end()
    }

    /// The losses that had been accepted when what is in memory was handed over; none if nothing is.
    #[must_use]
    pub fn tail_losses(&self) -> Option<Losses> {
        self.shared.tail.losses()
    }

    /// Wakes the followers: there is an event at `position`, as far as somebody said.
    pub fn hear_of(&self, position: Position) {
        self.shared.heard.send_if_modified(|heard| {
            let news = position > *heard;
            *heard = position.max(*heard);
            news
        });
    }

    /// All processes are told by now that there is an event at `position`, this one by itself or by a notification.
    pub fn told_of(&self, position: Position) {
        self.shared.told.send_replace(Some(Told { position, at: Instant::now() }));
        self.hear_of(position);
    }

    /// Changes whenever somebody told.
    fn told(&self) -> watch::Receiver<Option<Told>> {
        self.shared.told.subscribe()
    }

    /// Changes whenever this process's own writer has handed something over: what other processes are to hear of.
    #[must_use]
    pub fn written(&self) -> watch::Receiver<Position> {
        self.shared.handed_over.subscribe()
    }

    /// Changes whenever the log has grown, as far as this process has heard.
    #[must_use]
    pub fn heard(&self) -> watch::Receiver<Position> {
        self.shared.heard.subscribe()
    }
}
