//! The ledger's records in order, by filter, a page at a time.

use sqlx::PgConnection;

use super::looks::Between;
use super::{History, HistoryFailure};
use crate::domain::position::Position;
use crate::domain::time::Timestamp;
use crate::log::records::{Looked, Most, RecordFilter, Stored, WINDOW, look};
use crate::projections::page::PageLimit;
use crate::projections::question::Question;
use crate::projections::read::{ReadFailure, Shown};

/// Bytes of records that one statement fetches, and one record more.
pub(super) const LOOK_BYTES: u32 = 1 << 20;
/// Bytes of records of a page at most, though always one record.
const PAGE_BYTES: usize = 4 << 20;
/// Positions that a page looks through at most: a request is short, however rare what it asks for is.
pub const PAGE_POSITIONS: u64 = 5 * WINDOW;

/// Which records are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordQuery {
    /// From this position on.
    pub from: Position,
    /// Recorded then or later.
    pub since: Option<Timestamp>,
    /// Recorded then or earlier.
    pub until: Option<Timestamp>,
    /// And matching this.
    pub filter: Wanted,
}

/// Which records match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Those of this filter.
    Of(RecordFilter),
    /// None: a task is asked for that there can't be.
    Nothing,
}

/// Some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// In order.
    pub records: Vec<Stored>,
    /// Up to here there are no others: whoever has seen these goes on after it.
    pub looked_to: Position,
    /// Where to go on; none where the log was looked through to its end.
    pub next: Option<Position>,
}

/// The positions to look at, as of some head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) filter: RecordFilter,
    pub(super) after: Position,
    pub(super) to: Position,
    pub(super) head: Position,
}

impl History {
    /// The next records, as many as fit into a page. Shows `at_least` and all that this process acknowledged before.
    ///
    /// # Errors
    /// [`HistoryFailure`]; [`HistoryFailure::BeyondTheEnd`] where `from` is more than one past the end: whoever has seen
    /// what comes before has seen another ledger.
    pub async fn records(
        &self,
        query: &RecordQuery,
        limit: PageLimit,
        at_least: Position,
    ) -> Result<Records, HistoryFailure> {
        let stretch = self.stretch(query, at_least).await?;
        Ok(self.look(&PageOf { stretch, limit }).await?)
    }

    pub(super) async fn stretch(
        &self,
        query: &RecordQuery,
        at_least: Position,
    ) -> Result<Stretch, HistoryFailure> {
        let head = self.head(at_least).await?.position;
        if query.from > head.next() {
            return Err(HistoryFailure::BeyondTheEnd(head));
        }
        let before = Position::new(query.from.get().saturating_sub(1));
        let (after, to) = match &query.filter {
            Wanted::Nothing => (head, head),
            Wanted::Of(_) if query.since.is_none() && query.until.is_none() => (before, head),
            Wanted::Of(_) => self.look(&Between { since: query.since, until: query.until, head }).await?,
        };
        let filter = match &query.filter {
            Wanted::Of(filter) => filter.clone(),
            Wanted::Nothing => RecordFilter::default(),
        };
        Ok(Stretch { filter, after: after.max(before), to, head })
    }
}

/// What a statement finds.
pub(super) struct Next<'a> {
    pub(super) stretch: &'a Stretch,
    pub(super) most: Most,
}

impl Question for Next<'_> {
    type Answer = Looked;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Looked>, ReadFailure> {
        let Stretch { filter, after, to, .. } = self.stretch;
        let value = look(connection, filter, *after, *to, self.most).await?;
        Ok(Shown { position: value.to, value })
    }
}

struct PageOf {
    stretch: Stretch,
    limit: PageLimit,
}

impl Question for PageOf {
    type Answer = Records;

    async fn ask(&self, connection: &mut PgConnection) -> Result<Shown<Records>, ReadFailure> {
        let Stretch { filter, after, to, head } = &self.stretch;
        let (mut records, mut bytes, mut looked_to) = (Vec::new(), 0, *after);
        let enough = after.plus(PAGE_POSITIONS);
        while looked_to < *to && looked_to < enough && bytes < PAGE_BYTES {
            let left = u32::from(self.limit.get()) - u32::try_from(records.len()).unwrap_or(u32::MAX);
            if left == 0 {
                break;
            }
            let looked =
                look(connection, filter, looked_to, *to, Most { records: left, bytes: LOOK_BYTES }).await?;
            bytes += looked.records.iter().map(|record| record.body.len()).sum::<usize>();
            records.extend(looked.records);
            looked_to = looked.to;
        }
        let next = (looked_to < *to).then(|| looked_to.next());
        // What comes after the stretch was recorded too late.
        let looked_to = if next.is_some() { looked_to } else { *head };
        Ok(Shown { value: Records { records, looked_to, next }, position: *head })
    }
}
