//! A page of a list as it was at a position.
//!
//! Which tasks there were, and in what order, the read table still tells, by the filters that never change. A row whose
//! last event is not past the position is right as it stands; the others are folded from the log. What may have changed
//! is filtered after that, so that a page can take many rows: it ends early, with a cursor, once it has cost enough.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{FromRow, PgConnection};

use super::connections::Planning;
use super::list::{CHUNK, Filling, read_rows};
use super::page::{Filters, PageCursor, PageLimit};
use super::question::Question;
use super::read::{Page, ReadFailure, Shown};
use super::row::TaskRow;
use crate::domain::moment::Place;
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::log::load::{SNAPSHOT_EVERY, load_past_tasks};
use crate::log::read::ReadError;

/// What a page may cost: a row is one, an event that is folded too.
const COST_MAX: u64 = 5_000;

/// One page of a list as it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PastQuery {
    /// Which tasks: those that matched then.
    pub filters: Filters,
    /// How many at most.
    pub limit: PageLimit,
    /// The position that is shown.
    pub position: Position,
    /// After which task the page begins.
    after: PageCursor,
}

impl PastQuery {
    /// The first page, as of `place`.
    #[must_use]
    pub fn first(filters: Filters, limit: PageLimit, place: Place) -> Self {
        Self { filters, limit, position: place.position, after: PageCursor::past(place) }
    }

    /// A further page of the walk on `position`.
    #[must_use]
    pub fn further(filters: Filters, limit: PageLimit, position: Position, after: PageCursor) -> Self {
        Self { filters, limit, position, after }
    }

    /// The filters whose fields never change.
    fn lasting(&self) -> Filters {
        Filters { status: None, assigned_to: None, ..self.filters.clone() }
    }

    fn matches(&self, task: &Task) -> bool {
        let Filters { status, assigned_to, .. } = &self.filters;
        status.is_none_or(|status| task.status == status)
            && (assigned_to.is_none() || *assigned_to == task.assigned_to)
    }
}

impl Question for PastQuery {
    type Answer = Page;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Page>, ReadFailure> {
        read_past(connection, self).await
    }

    fn planning(&self) -> Planning {
        if self.lasting().count() > 1 { Planning::EachTime } else { Planning::Once }
    }
}

/// Chunk by chunk, each by short statements of their own: as of a position that the read table has come to, every
/// snapshot gives the same tasks.
async fn read_past(connection: &mut PgConnection, query: &PastQuery) -> Result<Shown<Page>, ReadFailure> {
    let (lasting, limit) = (query.lasting(), query.limit.get());
    let (mut page, mut after, mut cost) = (Filling::default(), query.after, 0);
    loop {
        // Where nothing is filtered afterwards, one row more than the page may have tells whether there is another page.
        let chunk = if lasting == query.filters { (limit + 1 - page.count()).min(CHUNK) } else { CHUNK };
        let (rows, position) = read_rows(connection, &lasting, Some(after), chunk).await?;
        if position < query.position {
            return Ok(Shown { value: Page::default(), position });
        }
        let is_last = rows.len() < usize::from(chunk);
        let rows = rows
            .iter()
            .map(|row| Ok(TaskRow::from_row(row)?.task()?))
            .collect::<Result<Vec<Task>, ReadFailure>>()?;
        cost += as_they_were(connection, rows, query.position, |task| {
            after = PageCursor::after(task);
            if query.matches(task) {
                page.push(task);
            }
        })
        .await?;
        let is_filled = !page.wants(limit + 1);
        if is_filled || is_last || cost >= COST_MAX {
            let mut page = page.finish(limit);
            if !is_filled && !is_last {
                page.next = Some(after);
            }
            return Ok(Shown { value: page, position });
        }
    }
}

/// Gives each of `rows`, in their order, as it was at `position`; says what it cost.
async fn as_they_were(
    connection: &mut PgConnection,
    rows: Vec<Task>,
    position: Position,
    mut give: impl FnMut(&Task) + Send,
) -> Result<u64, ReadFailure> {
    let later = |task: &&Task| task.position > position;
    let changed: BTreeSet<_> = rows.iter().filter(later).map(|task| task.vtid).collect();
    let folded = if changed.is_empty() {
        BTreeMap::new()
    } else {
        load_past_tasks(connection, &changed, position).await?
    };
    let mut cost = 0;
    for row in &rows {
        let was = match folded.get(&row.vtid) {
            Some(was) => was,
            None if row.position <= position => row,
            None => return Err(ReadError::Damaged(row.created_position).into()),
        };
        cost += 1 + if row.position > position { was.version.get() % SNAPSHOT_EVERY } else { 0 };
        give(was);
    }
    Ok(cost)
}
