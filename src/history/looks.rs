//! What is asked of the log by one connection, each in some short statements.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::PgConnection;

use crate::domain::moment::{Moment, Place};
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;
use crate::log::load::load_past_tasks;
use crate::log::search::{end, place_at, position_at, position_before};
use crate::projections::question::Question;
use crate::projections::read::{ReadFailure, Shown};

/// Where the log ends, and where a moment lies in it.
pub(super) struct Ends {
    pub(super) moment: Option<Moment>,
}

/// The answer.
pub(super) struct Located {
    pub(super) head: Place,
    /// None where it is past the end, or nothing was asked for.
    pub(super) found: Option<Place>,
}

impl Question for Ends {
    type Answer = Located;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Located>, ReadFailure> {
        let head = end(connection).await?;
        let position = match self.moment {
            None => None,
            Some(Moment::Position(position)) => Some(position),
            Some(Moment::At(time)) => Some(position_at(connection, time, head.position).await?),
        };
        let found = match position.filter(|position| *position <= head.position) {
            Some(position) => place_at(connection, position).await?,
            None => None,
        };
        Ok(Shown { value: Located { head, found }, position: head.position })
    }
}

/// Tasks as they were at a position; whichever is not in the answer was not there.
pub(super) struct States {
    pub(super) vtids: BTreeSet<Vtid>,
    pub(super) position: Position,
}

impl Question for States {
    type Answer = BTreeMap<Vtid, Arc<Task>>;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Self::Answer>, ReadFailure> {
        let value = load_past_tasks(connection, &self.vtids, self.position).await?;
        Ok(Shown { value, position: self.position })
    }
}

/// The positions between two times.
pub(super) struct Between {
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) head: Position,
}

impl Question for Between {
    /// The one before the first of them, and the last.
    type Answer = (Position, Position);

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Self::Answer>, ReadFailure> {
        let after = match self.since {
            Some(since) => position_before(connection, since, self.head).await?,
            None => Position::ZERO,
        };
        let to = match self.until {
            Some(until) => position_at(connection, until, self.head).await?,
            None => self.head,
        };
        Ok(Shown { value: (after, to), position: self.head })
    }
}
