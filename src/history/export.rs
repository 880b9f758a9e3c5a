//! All records to the log's end, piece by piece: never one transaction, and never more than a piece in memory.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::records::{LOOK_BYTES, Next, RecordQuery, Stretch};
use super::{History, HistoryFailure};
use crate::domain::position::Position;
use crate::log::records::Most;
use crate::projections::read::ReadFailure;

/// Records of a piece at most.
const PIECE_RECORDS: u32 = 2048;
/// How long a piece may take: an export that waits for a connection is better than one that breaks off.
const PATIENCE: Duration = Duration::from_secs(20);

/// An export under way. Whoever drops it ends it: between two pieces it holds no connection.
pub struct Export {
    history: History,
    stretch: Stretch,
    _place: OwnedSemaphorePermit,
}

impl History {
    /// Begins an export, up to the log's end as it is now. Shows `at_least` and all that this process acknowledged
    /// before.
    ///
    /// # Errors
    /// [`HistoryFailure`].
    pub async fn export(&self, query: &RecordQuery, at_least: Position) -> Result<Export, HistoryFailure> {
        let place = self.exports.clone().try_acquire_owned().map_err(|_| HistoryFailure::Busy)?;
        let stretch = self.stretch(query, at_least).await?;
        Ok(Export { history: self.clone(), stretch, _place: place })
    }
}

impl Export {
    /// Up to here it goes: whoever has got it whole goes on after it.
    #[must_use]
    pub fn end(&self) -> Position {
        self.stretch.head
    }

    /// The next lines, each with its line feed: those that one statement finds, so that there may be none yet. None
    /// once all were given.
    ///
    /// # Errors
    /// [`ReadFailure`]; it can be asked again.
    pub async fn next(&mut self) -> Result<Option<String>, ReadFailure> {
        if self.stretch.after >= self.stretch.to {
            return Ok(None);
        }
        let most = Most { records: PIECE_RECORDS, bytes: LOOK_BYTES };
        let looked = self.history.look_within(PATIENCE, &Next { stretch: &self.stretch, most }).await?;
        self.stretch.after = looked.to;
        let bytes = looked.records.iter().map(|record| record.body.len() + 1).sum();
        let mut lines = String::with_capacity(bytes);
        for record in &looked.records {
            lines.push_str(&record.body);
            lines.push('\n');
        }
        Ok(Some(lines))
    }
}
