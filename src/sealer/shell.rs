//! The sealer's shell: performs what the machine asks for, and tells it what happened. Nothing is decided here.

mod growing;

use std::convert::Infallible;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::check::{Checked, check, newest_size};
use super::machine::{Input, Machine, Output, look_again};
use super::outside::Outside;
use super::past::Past;
use super::publish::Compared;
use super::report::{ReportError, Reporter};
use super::session::{ANSWER_TIMEOUT, Fault, Session};
use super::status::{Finding, SealerState, SealerStatus};
use super::table::{self, Sealed, Stored};
use super::tiles::{self, Kept};
use super::{Parts, Shared};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::leases::Held;
use crate::log::follow::Follower;
use crate::log::hold::{Losses, read_past_hold};
use crate::log::losses::confirm_and_hold;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::tree::{FullTile, Tree};

/// A checkpoint is signed so often at most.
const SEAL_EVERY: Duration = Duration::from_secs(1);
/// How often the newest checkpoint is looked at while nothing happens, or another process seals.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// What the sealer holds in memory, all of which may be lost at any time.
pub(super) struct Shell<'a> {
    parts: &'a Parts,
    shared: &'a Shared,
    reporter: Reporter<'a>,
    doubts: watch::Receiver<u64>,
    lease: Held,
    session: Session<'a>,
    follower: Follower,
    tree: Tree,
    /// Full tiles that are not on record yet.
    unkept: Vec<FullTile>,
    /// What is outside of trees that this one is to become.
    ahead: Vec<Outside>,
    /// Before this, no checkpoint is signed.
    due_at: Instant,
    /// There may be more to read at once.
    more: bool,
    /// The losses that had been accepted when the past was looked at.
    losses: Losses,
    /// How long the database took for the last look at the past.
    took: Duration,
}

impl<'a> Shell<'a> {
    pub(super) fn new(parts: &'a Parts, shared: &'a Shared) -> Self {
        Self {
            parts,
            shared,
            reporter: Reporter::new(parts),
            doubts: shared.doubts.subscribe(),
            lease: parts.lease.clone(),
            session: Session::new(&parts.database),
            follower: parts.log.follow(Cursor::Start),
            tree: Tree::new(),
            unkept: Vec::new(),
            ahead: Vec::new(),
            due_at: Instant::now(),
            more: true,
            losses: Losses::default(),
            took: Duration::ZERO,
        }
    }

    pub(super) async fn run(mut self) -> Infallible {
        let mut machine = Machine::default();
        let mut input = Input::Recheck;
        loop {
            let outputs = machine.handle(input);
            self.show(machine.status());
            input = Input::Recheck;
            for output in outputs {
                if let Some(answer) = self.perform(output).await {
                    input = answer;
                }
            }
        }
    }

    fn show(&self, status: &SealerStatus) {
        let tampered = matches!(status.state, SealerState::Tampered(_));
        self.parts.metrics.tampered(tampered);
        self.shared.status.send_if_modified(|shown| {
            if shown == status {
                return false;
            }
            if shown.state != status.state {
                match (&status.state, status.state.trouble()) {
                    (SealerState::Unavailable { .. }, Some(trouble)) => tracing::warn!(trouble, "the sealer"),
                    (_, Some(trouble)) => tracing::error!(trouble, "the sealer"),
                    (_, None) => tracing::info!(position = %status.position, "the sealer follows"),
                }
            }
            *shown = status.clone();
            true
        });
    }

    async fn perform(&mut self, output: Output) -> Option<Input> {
        Some(match output {
            Output::Forget => {
                self.tree = Tree::new();
                self.unkept.clear();
                return None;
            }
            Output::Check => self.check().await,
            Output::Settle => self.settle().await,
            Output::Read { after, sealed } => self.read(after, sealed).await,
            Output::Keep { to } => self.keep(to).await,
            Output::Seal { previous, to } => self.seal(previous, to).await,
            Output::Look { sealed } => self.look(sealed).await,
            Output::Hold(cursor) => self.hold(cursor).await,
            Output::Report(finding) => self.report(&finding).await,
            Output::Watch => self.watch().await,
            Output::Wait { pause } => {
                let tampered = matches!(self.shared.status.borrow().state, SealerState::Tampered(_));
                sleep(if tampered { look_again(self.took) } else { pause }).await;
                Input::Recheck
            }
        })
    }

    async fn check(&mut self) -> Input {
        self.doubts.mark_unchanged();
        match self.try_check().await {
            Ok(input) => input,
            Err(fault) => self.failed(&fault),
        }
    }

    async fn try_check(&mut self) -> Result<Input, Fault> {
        let (mut connection, timeline) = self.session.take().await?;
        if !self.lease.is_held() {
            let newest = newest_size(&mut connection, self.parts).await?;
            self.session.begin((connection, timeline));
            self.shared.compared.send_replace(None);
            return Ok(Input::Followed(newest));
        }
        let Checked { past, published, losses, took } =
            check(&mut connection, self.parts, self.shared).await?;
        self.session.begin((connection, timeline));
        let sealed = if let Past::Fits { sealed, .. } = &past { Some(sealed.position()) } else { None };
        self.shared.compared.send_replace(sealed.map(|sealed| Compared { published, sealed }));
        self.took = took;
        Ok(match past {
            Past::Misfit(finding) => Input::Misfit(finding),
            Past::Fits { sealed, tree, ahead } => {
                self.shared.sealed.send_replace(sealed.position());
                let floor = ahead.iter().map(|one| one.size).max().unwrap_or(tree.size());
                (self.tree, self.ahead, self.losses) = (tree, ahead, losses);
                self.due_at = Instant::now() + SEAL_EVERY;
                Input::Fits { sealed, floor: Position::new(floor) }
            }
        })
    }

    async fn settle(&mut self) -> Input {
        match self.reporter.settle(None).await {
            Ok(()) => Input::Settled,
            Err(ReportError::Followed) => Input::Recheck,
            Err(error) => Input::Failed { reason: error.to_string() },
        }
    }

    fn failed(&mut self, error: &dyn std::error::Error) -> Input {
        self.session.end();
        Input::Failed { reason: error.to_string() }
    }

    async fn keep(&mut self, to: Cursor) -> Input {
        if !self.lease.is_held() {
            return Input::Recheck;
        }
        let tiles = std::mem::take(&mut self.unkept);
        let origin = self.parts.keys.origin();
        let full = &tiles;
        let keeping =
            async move |connection: &mut PgConnection| tiles::keep(connection, origin, to, full).await;
        match self.session.on(keeping).await {
            Ok(Kept::Done) => Input::Kept,
            Ok(Kept::OtherPast) => Input::OtherPast(to),
            Ok(Kept::Different) => {
                let first = tiles.first().map_or(0, |tile| tile.number).saturating_mul(256);
                let what = "tiles of the tree that were put on record are of other records".to_owned();
                Input::Misfit(Finding { first: Position::new(first).next(), last: to.position(), what })
            }
            Err(fault) => self.failed(&fault),
        }
    }

    async fn seal(&mut self, previous: Position, to: Cursor) -> Input {
        if !self.lease.is_held() {
            return Input::Recheck;
        }
        match self.try_seal(previous, to).await {
            Ok(Sealed::Done) => {
                self.due_at = Instant::now() + SEAL_EVERY;
                self.parts.metrics.sealed();
                self.shared.sealed.send_replace(to.position());
                Input::Sealed
            }
            Ok(Sealed::Overtaken) => Input::Overtaken,
            Ok(Sealed::OtherPast) => Input::OtherPast(to),
            Err(fault) => self.failed(&fault),
        }
    }

    async fn try_seal(&mut self, previous: Position, to: Cursor) -> Result<Sealed, Fault> {
        let Parts { keys, clock, .. } = self.parts;
        let checkpoint = Checkpoint::sign(keys.origin(), self.tree.size(), self.tree.root(), keys.secrets())?;
        let now = clock.now();
        let checkpoint = &checkpoint;
        let sealing = async move |connection: &mut PgConnection| {
            table::seal(connection, previous, checkpoint, to, now).await
        };
        self.session.on(sealing).await
    }

    async fn look(&mut self, sealed: Position) -> Input {
        let origin = self.parts.keys.origin();
        let looking = async move |connection: &mut PgConnection| {
            Ok::<_, sqlx::Error>((
                table::newest(connection, origin).await?,
                read_past_hold(connection).await?,
            ))
        };
        let (newest, held) = match self.session.on(looking).await {
            Ok(found) => found,
            Err(fault) => return self.failed(&fault),
        };
        let is_the_tree = |newest: &Stored| {
            newest.size == sealed && (self.tree.size() != sealed.get() || self.tree.root() == newest.root)
        };
        let stands = newest.as_ref().map_or(sealed == Position::ZERO, is_the_tree);
        // A hold that was set since the past was looked at: whoever did has found something, or slept before.
        if stands && held.is_none() { Input::Standing } else { Input::Overtaken }
    }

    async fn hold(&mut self, cursor: Cursor) -> Input {
        // The event may have come from memory, which is as old as the writer's last look at the log.
        let known = self.parts.log.tail_losses().map_or(self.losses, |losses| losses.min(self.losses));
        self.parts.log.forget_tail();
        self.session.end();
        match timeout(ANSWER_TIMEOUT, confirm_and_hold(&self.parts.database, cursor, known)).await {
            Ok(Ok(())) => Input::HoldSettled,
            Ok(Err(error)) => Input::Failed { reason: error.to_string() },
            Err(_) => Input::Failed { reason: "the append lock was not to be had in time".to_owned() },
        }
    }

    async fn report(&mut self, finding: &Finding) -> Input {
        match self.reporter.report(finding).await {
            Ok(()) => Input::Reported,
            Err(error) => {
                tracing::warn!(%error, "not everybody was told what was found in the past; it is tried again");
                Input::Failed { reason: error.to_string() }
            }
        }
    }

    async fn watch(&mut self) -> Input {
        tokio::select! {
            () = sleep(IDLE_AFTER) => {}
            () = self.lease.changed() => {}
        }
        Input::Recheck
    }
}
