//! The projector: performs what [`CursorMachine`] asks for, and tells it what happened.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::demand::Demand;
use super::machine::{CursorMachine, Input, MAX_BATCH, Output};
use super::own::connected;
use super::rebuild::mend_if_needed;
use super::standby::Standby;
use super::status::ProjectorStatus;
use super::tasks::{Progress, ProjectionError, REVISION, progress};
use super::write::{ApplyReply, Changes, apply, is_refusal};
use crate::domain::cursor::Cursor;
use crate::leases::Held;
use crate::log::EventLog;
use crate::log::entry::Entry;
use crate::log::folder::Folder;
use crate::log::follow::{BATCH_EVENTS, Follower};
use crate::log::hold::{Losses, read_losses};
use crate::log::losses::confirm_and_hold;
use crate::log::read::{ReadError, read_after};
use crate::log::servers::{Kept, Servers};

/// Longer than anything here takes; after it, an apply's outcome is unknown.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the cursor is looked at while nothing happens.
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// So long after a batch the next one is read, unless a reader waits or there is a whole one: a transaction costs the
/// database more than several rows.
const GATHER: Duration = Duration::from_millis(20);
/// States remembered between batches: some MiB, 100 MiB were each as large as can be.
const MAX_STATES: usize = 2048;
/// How often the cursor is looked at while another process projects and a reader waits.
const WATCH_POLL: Duration = Duration::from_millis(5);
/// How often a rebuild that is due is looked for.
const MEND_POLL: Duration = Duration::from_secs(5);

/// Keeps the read table current.
pub struct Projector {
    log: EventLog,
    options: Servers,
    lease: Held,
    status: watch::Sender<ProjectorStatus>,
    demand: Demand,
}

impl Projector {
    /// A projector of `log`, which makes connections of its own by `options`; and what it tells of itself. It projects
    /// without a lease.
    #[must_use]
    pub fn new(log: EventLog, options: &Servers) -> (Self, watch::Receiver<ProjectorStatus>) {
        let (status, told) = watch::channel(ProjectorStatus::default());
        // A batch that a crash takes away is only done again: neither cursor nor rows are ever ahead of the log.
        let options = options.options([("synchronous_commit", "off")]);
        (Self { log, options, lease: Held::always(), status, demand: Demand::default() }, told)
    }

    /// Projects only while `lease` is held; or where a reader waits and nobody else does.
    #[must_use]
    pub fn by_lease(self, lease: Held) -> Self {
        Self { lease, ..self }
    }

    /// For readers, to say what they wait for.
    #[must_use]
    pub fn demand(&self) -> Demand {
        self.demand.clone()
    }

    /// Runs until cancelled; rebuilds too, when this code is of a later revision than what built the table.
    pub async fn run(self, stop: CancellationToken) {
        let follow = Shell::new(&self).run();
        let mend = self.mend();
        tokio::select! {
            () = stop.cancelled() => {}
            never = follow => match never {},
            never = mend => match never {},
        }
    }

    async fn mend(&self) -> std::convert::Infallible {
        loop {
            match mend_if_needed(&self.options).await {
                Ok(Some(done)) => tracing::info!(?done, "rebuilt the projection"),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "the projection is not rebuilt yet; it is tried again"),
            }
            sleep(MEND_POLL).await;
        }
    }
}

/// What the projector holds in memory, all of which may be lost at any time.
struct Shell<'a> {
    log: &'a EventLog,
    options: &'a Servers,
    status: &'a watch::Sender<ProjectorStatus>,
    demand: &'a Demand,
    lease: Held,
    standby: Standby,
    /// Without the lease: nobody else projects, and a reader waits.
    helps: bool,
    started: Instant,
    connection: Kept,
    follower: Follower,
    folder: Folder,
    /// The events after this cursor, read while those before were applied.
    ahead: Option<(Cursor, Vec<Arc<Entry>>)>,
    /// Before this, only a reader that waits has the next batch read.
    gather_until: Option<Instant>,
    /// What was read and is not yet applied.
    batch: Vec<Arc<Entry>>,
    /// The losses that had been accepted before the cursor was last loaded.
    losses: Losses,
}

impl<'a> Shell<'a> {
    fn new(projector: &'a Projector) -> Self {
        let Projector { log, options, lease, status, demand } = projector;
        Self {
            log,
            options,
            status,
            demand,
            lease: lease.clone(),
            standby: Standby::default(),
            helps: false,
            started: Instant::now(),
            connection: Kept::default(),
            follower: log.follow(Cursor::Start),
            folder: Folder::new(log.pool().clone(), MAX_STATES),
            ahead: None,
            gather_until: None,
            batch: Vec::new(),
            losses: Losses::default(),
        }
    }

    async fn run(mut self) -> std::convert::Infallible {
        let mut machine = CursorMachine::default();
        let mut input = Input::Started;
        loop {
            let outputs = machine.handle(self.started.elapsed(), input);
            self.show(machine.status());
            input = Input::Started;
            for output in outputs {
                if let Some(answer) = self.perform(output).await {
                    input = answer;
                }
            }
        }
    }

    fn show(&self, status: &ProjectorStatus) {
        self.status.send_if_modified(|shown| {
            if shown == status {
                return false;
            }
            if shown.state != status.state {
                if let Some(trouble) = status.state.trouble() {
                    tracing::error!(trouble, "the projector");
                } else {
                    tracing::info!(position = %status.position, "the projector follows");
                }
            }
            *shown = status.clone();
            true
        });
    }

    async fn perform(&mut self, output: Output) -> Option<Input> {
        Some(match output {
            Output::Forget => {
                self.folder.forget();
                self.batch.clear();
                self.ahead = None;
                return None;
            }
            Output::Load => self.load().await,
            Output::Read { after, max_events } => self.read(after, max_events).await,
            Output::Apply { from, to } => self.apply(from, to).await,
            Output::Hold(cursor) => self.hold(cursor).await,
            Output::Watch => self.watch().await,
            Output::Wait { until } => {
                sleep_until(self.started + until).await;
                Input::Woken
            }
        })
    }

    async fn load(&mut self) -> Input {
        let loading = async |connection: &mut PgConnection| {
            // First: what is found in the log afterwards was not given up by these.
            let losses = read_losses(connection).await?;
            Ok::<_, ProjectionError>((losses, progress(connection).await?))
        };
        let loaded = connected(&mut self.connection, self.options, ANSWER_TIMEOUT, loading).await.map(
            |(losses, progress)| {
                self.losses = losses;
                progress
            },
        );
        match loaded {
            Ok(progress) if progress.newest_revision() > REVISION => {
                Input::Superseded { revision: progress.newest_revision(), cursor: progress.cursor }
            }
            Ok(progress) if self.projects(&progress) => Input::Loaded(progress.cursor),
            Ok(progress) => Input::Followed(progress.cursor),
            Err(error) => Input::Failed { reason: error.to_string() },
        }
    }

    fn projects(&mut self, progress: &Progress) -> bool {
        let (holds, waits) = (self.lease.is_held(), self.demand.is_there());
        let cursor = progress.cursor.position();
        let projects = self.standby.projects(self.started.elapsed(), holds, waits, cursor, progress.head);
        self.helps = projects && !holds;
        projects
    }

    /// A reader that waits is told soon after the process that projects has come so far.
    async fn watch(&mut self) -> Input {
        let deadline = Instant::now() + IDLE_AFTER;
        if self.demand.is_there() {
            sleep(WATCH_POLL).await;
        }
        loop {
            tokio::select! {
                () = self.demand.until(deadline) => return Input::Woken,
                () = self.lease.changed() => if self.lease.is_held() { return Input::Woken },
            }
        }
    }

    async fn read(&mut self, after: Cursor, max_events: u32) -> Input {
        let helps = self.helps && (self.demand.is_there() || self.standby.catches_up(after.position()));
        if !self.lease.is_held() && !helps {
            return Input::Idle;
        }
        match self.next_batch(after, max_events).await {
            Ok(None) => Input::Idle,
            Ok(Some(batch)) => {
                self.batch = batch;
                let events = u32::try_from(self.batch.len()).unwrap_or(u32::MAX);
                match self.batch.last() {
                    Some(last) => Input::Read { to: Cursor::at(&last.recorded.event), events },
                    // Not reached: a follower yields at least one.
                    None => Input::Failed { reason: "an empty batch".to_owned() },
                }
            }
            Err(error) => unreadable(error),
        }
    }

    async fn next_batch(
        &mut self,
        after: Cursor,
        max_events: u32,
    ) -> Result<Option<Vec<Arc<Entry>>>, ReadError> {
        if max_events < MAX_BATCH {
            // Something among the next events can't be read or applied: read no further than asked for.
            let mut connection = self.log.pool().acquire().await?;
            let events = read_after(&mut connection, after, max_events).await?;
            if !events.is_empty() {
                return Ok(Some(
                    events.into_iter().map(|recorded| Arc::new(Entry::read(recorded))).collect(),
                ));
            }
        }
        if let Some((from, batch)) = self.ahead.take()
            && from == after
            && max_events == MAX_BATCH
        {
            return Ok(Some(batch));
        }
        if let Some(deadline) = self.gather_until.take() {
            self.demand.until(deadline).await;
        }
        if self.follower.cursor() != after {
            self.follower = self.log.follow(after);
        }
        let mut batch = self.follower.next_within(IDLE_AFTER).await?;
        if let Some(batch) = &mut batch {
            batch.truncate(usize::try_from(max_events).unwrap_or(usize::MAX));
            let whole = batch.len() == BATCH_EVENTS as usize;
            self.gather_until = (!whole).then(|| Instant::now() + GATHER);
        }
        Ok(batch)
    }

    async fn apply(&mut self, from: Cursor, to: Cursor) -> Input {
        let batch = std::mem::take(&mut self.batch);
        let changes = match self.folder.fold(&batch).await {
            Ok(transitions) => Changes::of(transitions),
            Err(error) => return unreadable(error),
        };
        let applying = async |connection: &mut PgConnection| apply(connection, from, to, &changes).await;
        let whole = batch.len() == BATCH_EVENTS as usize;
        let (applied, ahead) = tokio::join!(
            connected(&mut self.connection, self.options, ANSWER_TIMEOUT, applying),
            read_ahead(&mut self.follower, to, whole)
        );
        self.ahead = ahead;
        match applied {
            Ok(ApplyReply::Moved) => Input::Applied,
            Ok(ApplyReply::CursorElsewhere | ApplyReply::Superseded) => {
                self.standby.meets_another();
                Input::LostRace
            }
            Ok(ApplyReply::NotInLog) => Input::OtherPast(to),
            Err(error) if is_refusal(&error) => Input::Refused { reason: error.to_string() },
            Err(error) => Input::Failed { reason: error.to_string() },
        }
    }

    async fn hold(&mut self, cursor: Cursor) -> Input {
        // The event may have come from memory, which is as old as the writer's last look at the log.
        let known = self.log.tail_losses().map_or(self.losses, |losses| losses.min(self.losses));
        self.log.forget_tail();
        match timeout(ANSWER_TIMEOUT, confirm_and_hold(self.options, cursor, known)).await {
            Ok(Ok(())) => Input::HoldSettled,
            Ok(Err(error)) => Input::Failed { reason: error.to_string() },
            Err(_) => Input::Failed { reason: "the append lock was not to be had in time".to_owned() },
        }
    }
}

/// The events after `to`, if the batch up to there was a `whole` one: there are more, and the database can read while it
/// writes. What can't be read, or not while the batch is applied, is read again in its turn.
async fn read_ahead(follower: &mut Follower, to: Cursor, whole: bool) -> Option<(Cursor, Vec<Arc<Entry>>)> {
    if !whole || follower.cursor() != to {
        return None;
    }
    let batch = timeout(ANSWER_TIMEOUT, follower.next_within(Duration::ZERO)).await.ok()?.ok()??;
    Some((to, batch))
}

fn unreadable(error: ReadError) -> Input {
    match error {
        ReadError::OtherPast { position, id } => Input::OtherPast(Cursor::At { position, id }),
        ReadError::Record { position, ref error } => {
            Input::Unreadable { position, reason: error.to_string() }
        }
        ReadError::Damaged(position) => Input::Unreadable { position, reason: error.to_string() },
        ReadError::Database(error) => Input::Failed { reason: error.to_string() },
    }
}
