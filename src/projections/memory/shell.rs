//! The memory's shell: follows the log, and takes over the tail's newest for a read that must show it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::machine::{Memory, MemoryLimits, TailView};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;
use crate::log::EventLog;
use crate::log::follow::Follower;
use crate::log::head::read_head;
use crate::log::read::ReadError;
use crate::projections::read::Shown;

/// How often the log is looked at while nothing is heard: well within [`super::machine::FRESH_FOR`].
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// The pause after a look that failed.
const RETRY: Duration = Duration::from_millis(250);
/// Longer than a look at the head takes.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Entries that are taken over in one go: reads wait meanwhile.
const CHUNK: usize = 32;
/// Chunks that one read takes over from the tail at most.
const CHUNKS_MAX: usize = 256;

/// States of tasks in memory: cheap to clone.
#[derive(Clone)]
pub struct TaskMemory {
    shared: Arc<Shared>,
}

struct Shared {
    log: EventLog,
    machine: Mutex<Memory>,
    begun: Instant,
    /// How far the follower has come: wakes reads that wait, proves nothing.
    reached: watch::Sender<Position>,
    unreadable: watch::Sender<Option<Unreadable>>,
}

/// A record that this program can't read: its followers stand before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it stands.
    pub position: Position,
    /// What is wrong with it.
    pub what: String,
}

impl TaskMemory {
    /// Of `log`. Knows nothing before [`TaskMemory::follow`] runs.
    #[must_use]
    pub fn new(log: EventLog, limits: MemoryLimits) -> Self {
        let (machine, (reached, _)) = (Mutex::new(Memory::new(limits)), watch::channel(Position::ZERO));
        let unreadable = watch::Sender::default();
        Self { shared: Arc::new(Shared { log, machine, begun: Instant::now(), reached, unreadable }) }
    }

    /// What this program can't read of the log, if anything: told in every process, whichever one projects and relays.
    #[must_use]
    pub fn unreadable(&self) -> watch::Receiver<Option<Unreadable>> {
        self.shared.unreadable.subscribe()
    }

    /// The task's state, if it is known, and shows `at_least`, which includes what this process has acknowledged.
    #[must_use]
    pub fn get(&self, vtid: Vtid, at_least: Position) -> Option<Shown<Arc<Task>>> {
        let mut machine = self.shared.machine();
        self.shared.catch_up(&mut machine, at_least);
        machine.get(self.shared.now(), vtid, at_least)
    }

    /// Whether it stands at `at_least`.
    #[must_use]
    pub fn shows(&self, at_least: Position) -> bool {
        let cursor = self.shared.machine().cursor();
        cursor.is_some_and(|cursor| cursor.position() >= at_least)
    }

    /// A row of the read table, and the table's cursor, of one snapshot: kept where it is known to be current.
    pub fn offer(&self, task: &Arc<Task>, shown: Cursor) {
        let mut machine = self.shared.machine();
        self.shared.catch_up(&mut machine, shown.position());
        machine.offer(self.shared.now(), Arc::clone(task), shown);
    }

    /// Returns once the follower has come to `at_least`; never, where it has been there already: what it does not know
    /// there it will not learn by waiting.
    pub async fn comes_to(&self, at_least: Position) {
        let mut reached = self.shared.reached.subscribe();
        let been_there = *reached.borrow_and_update() >= at_least;
        // The sender lives in what this holds, so it can't be gone.
        if been_there || reached.wait_for(|position| *position >= at_least).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Follows the log until cancelled.
    pub async fn follow(self, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.follow_on()).await;
    }

    async fn follow_on(&self) -> std::convert::Infallible {
        loop {
            // The projector tells of what is wrong with the log, and the reads of a database that is away.
            match self.shared.stand().await {
                Ok(follower) => self.shared.follow(follower).await,
                Err(error) => tracing::debug!(%error, "no states in memory: the log's head can't be read"),
            }
            self.shared.forget();
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl Shared {
    fn machine(&self) -> MutexGuard<'_, Memory> {
        self.machine.lock().unwrap_or_else(|poisoned: PoisonError<MutexGuard<'_, Memory>>| {
            // Somebody panicked halfway through a change: what is in there may be wrong.
            self.machine.clear_poison();
            let mut machine = poisoned.into_inner();
            machine.forget();
            machine
        })
    }

    /// Since this began.
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Begins at the log's head.
    async fn stand(&self) -> Result<Follower, sqlx::Error> {
        let (now, mark) = (self.now(), self.log.tail_mark());
        let look = async { read_head(&mut *self.log.pool().acquire().await?).await };
        let looked = tokio::time::timeout(LOOK_TIMEOUT, look).await;
        let head = looked.unwrap_or(Err(sqlx::Error::PoolTimedOut))?.cursor;
        self.machine().stand(now, head, mark);
        self.reached.send_replace(head.position());
        Ok(self.log.follow(head))
    }

    /// Follows until the memory has to begin anew.
    async fn follow(&self, mut follower: Follower) {
        loop {
            // What this call finds the log to hold, it holds at this time or later; a batch from the tail was committed
            // since the last call, or is one of a few that wait there.
            let began = self.now();
            match follower.next_within(IDLE_AFTER).await {
                Ok(batch) => {
                    self.unreadable.send_if_modified(|known| known.take().is_some());
                    for chunk in batch.unwrap_or_default().chunks(CHUNK) {
                        self.machine().apply(chunk);
                    }
                    let Some(position) = self.seen(began) else { return };
                    self.tell(position);
                }
                Err(ReadError::OtherPast { position, .. }) => {
                    tracing::warn!(%position, "the log has lost an event: no states in memory from before");
                    return;
                }
                Err(error) => {
                    self.machine().doubt();
                    if let ReadError::Record { position, .. } | ReadError::Damaged(position) = error {
                        self.unreadable.send_replace(Some(Unreadable { position, what: error.to_string() }));
                    }
                    tracing::debug!(%error, "nothing is shown from memory: the log can't be read");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// All that there was at `began` is in the machine. Where it stands now; none if it has to begin anew.
    fn seen(&self, began: Duration) -> Option<Position> {
        let mut machine = self.machine();
        self.catch_up(&mut machine, Position::ZERO);
        machine.looked(began);
        machine.cursor().map(Cursor::position)
    }

    fn tell(&self, position: Position) {
        self.reached.send_if_modified(|reached| std::mem::replace(reached, position) != position);
    }

    fn forget(&self) {
        self.machine().forget();
        self.reached.send_replace(Position::ZERO);
    }

    /// Takes over what the tail holds, where the machine needs it to show `at_least`.
    fn catch_up(&self, machine: &mut Memory, at_least: Position) {
        for _ in 0..CHUNKS_MAX {
            let mark = self.log.tail_mark();
            let Some(cursor) = machine.cursor().filter(|_| machine.is_behind(mark, at_least)) else { return };
            if !machine.catch_up(&self.view(cursor)) {
                return;
            }
        }
    }

    fn view(&self, from: Cursor) -> TailView {
        let mark = self.log.tail_mark();
        let next = self.log.tail_after(from, CHUNK);
        TailView { mark, next, end: self.log.tail_end() }
    }
}
