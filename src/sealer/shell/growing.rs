//! How the tree grows: by what follows in the log.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{IDLE_AFTER, Shell};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::log::follow::BATCH_EVENTS;
use crate::log::read::ReadError;
use crate::sealer::machine::Input;
use crate::sealer::outside::Outside;
use crate::sealer::status::Finding;
use crate::tlog::leaf;

impl Shell<'_> {
    pub(super) async fn read(&mut self, after: Cursor, sealed: Position) -> Input {
        let unsealed = after.position() > sealed;
        if unsealed && !self.more {
            // What comes until then goes into the same checkpoint.
            tokio::select! {
                () = sleep_until(self.due_at) => {}
                Ok(()) = self.doubts.changed() => return Input::Recheck,
            }
        }
        if !self.lease.is_held() {
            return Input::Recheck;
        }
        if self.follower.cursor() != after {
            self.follower = self.parts.log.follow(after);
        }
        let idle = if unsealed { Duration::ZERO } else { IDLE_AFTER };
        let batch = tokio::select! {
            batch = self.follower.next_within(idle) => batch,
            Ok(()) = self.doubts.changed() => return Input::Recheck,
        };
        let batch = match batch {
            Ok(batch) => batch.unwrap_or_default(),
            Err(ReadError::OtherPast { position, id }) => {
                return Input::OtherPast(Cursor::At { position, id });
            }
            Err(error) => return self.failed(&error),
        };
        self.more = batch.len() == BATCH_EVENTS as usize;
        for entry in &batch {
            self.unkept.extend(self.tree.push(leaf(&entry.recorded.body)));
            if let Some(finding) = self.passes() {
                return Input::Misfit(finding);
            }
        }
        let due = Instant::now() >= self.due_at;
        match batch.last() {
            Some(last) => Input::Read { to: Cursor::at(&last.recorded.event), due },
            None => Input::Idle { due },
        }
    }

    /// What is outside of the tree that this one has just become, if that is another one: records may have been changed since
    /// the past was looked at.
    fn passes(&self) -> Option<Finding> {
        let here = self.ahead.iter().filter(|one| one.size == self.tree.size());
        let mut wrong = here.filter(|one| one.root.is_some_and(|root| root != self.tree.root()));
        wrong.next().map(Outside::others)
    }
}
