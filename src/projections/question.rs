//! What a read asks of one snapshot: the rows, and the cursor that they belong to.

use std::sync::Arc;

use sqlx::{FromRow, PgConnection, Row};

use super::connections::{Planning, ReadConnections};
use super::list::read_page;
use super::memory::TaskMemory;
use super::page::ListQuery;
use super::read::{Page, ReadFailure, Shown};
use super::row::{TaskRow, columns};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::domain::vtid::Vtid;

/// Asks once; again by a new connection, where the one at hand turns out to have broken since it was last used.
pub(crate) async fn ask<Q: Question>(
    connections: &ReadConnections,
    question: &Q,
) -> Result<Shown<Q::Answer>, ReadFailure> {
    let mut lent = connections.lend(question.planning()).await?;
    let mut answer = question.ask(&mut lent.connection).await;
    if lent.used_before && matches!(answer, Err(ReadFailure::Unavailable(_))) {
        lent.renew().await?;
        answer = question.ask(&mut lent.connection).await;
    }
    if answer.is_ok() {
        lent.give_back();
    }
    answer
}

/// What a look asks, of one snapshot.
pub(crate) trait Question: Sync {
    type Answer: Send;

    fn ask(
        &self,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Shown<Self::Answer>, ReadFailure>> + Send;

    /// How its statements are planned.
    fn planning(&self) -> Planning {
        Planning::Once
    }

    /// The memory that may know the answer, if one may.
    fn memory(&self) -> Option<&TaskMemory> {
        None
    }

    /// The answer as the memory knows it.
    fn remembered(&self, _at_least: Position) -> Option<Shown<Self::Answer>> {
        None
    }
}

/// One task.
pub(super) struct ByNumber<'a> {
    pub(super) vtid: Vtid,
    pub(super) memory: Option<&'a TaskMemory>,
}

impl Question for ByNumber<'_> {
    type Answer = Option<Arc<Task>>;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Self::Answer>, ReadFailure> {
        let (task, cursor) = read_task(connection, self.vtid).await?;
        if let (Some(task), Some(memory)) = (&task, self.memory) {
            memory.offer(task, cursor);
        }
        Ok(Shown { value: task, position: cursor.position() })
    }

    fn memory(&self) -> Option<&TaskMemory> {
        self.memory
    }

    fn remembered(&self, at_least: Position) -> Option<Shown<Self::Answer>> {
        let Shown { value, position } = self.memory?.get(self.vtid, at_least)?;
        Some(Shown { value: Some(value), position })
    }
}

impl Question for ListQuery {
    type Answer = Page;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Page>, ReadFailure> {
        read_page(connection, self).await
    }

    /// With several filters the best index depends on their values; a plan for one filter is always its index.
    fn planning(&self) -> Planning {
        if self.filters.count() > 1 { Planning::EachTime } else { Planning::Once }
    }
}

/// The position that a statement's snapshot shows.
macro_rules! shown {
    () => {
        "coalesce((select p.position from ledger.progress p where p.name = 'vtid_ledger' \
         order by p.position desc limit 1), 0)"
    };
}
pub(super) use shown;

/// The cursor as a whole, so that the memory can tell whether it is of its own past.
const GET: &str = concat!(
    "select p.position as shown, p.event_id as shown_id, ",
    columns!(),
    r#" from (select) as one
    left join lateral (
        select position, event_id from ledger.progress where name = 'vtid_ledger' order by position desc limit 1
    ) p on true
    left join "VtidLedger" t on t.vtid = $1"#
);

async fn read_task(
    connection: &mut PgConnection,
    vtid: Vtid,
) -> Result<(Option<Arc<Task>>, Cursor), ReadFailure> {
    let row = sqlx::query(GET).bind(vtid.to_string()).fetch_one(connection).await?;
    let shown: Option<i64> = row.try_get("shown")?;
    let cursor = match shown.map(Position::from_i64) {
        Some(position) => Cursor::At { position, id: row.try_get("shown_id")? },
        None => Cursor::Start,
    };
    let found: Option<String> = row.try_get("vtid")?;
    let task = found.map(|_| TaskRow::from_row(&row)).transpose()?.map(|row| row.task()).transpose()?;
    Ok((task.map(Arc::new), cursor))
}
