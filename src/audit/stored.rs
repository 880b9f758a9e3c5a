//! What the database keeps beside the log that belongs to it, as an export has it: accepted losses, keys, checkpoints with
//! their cosignatures. In pages, like the log. The tables are the sealer's, and so are the statements.

use std::collections::VecDeque;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::file::{CheckpointMark, CosignatureMark, KeyMark, LossMark, MAX_MARKS};
use crate::domain::position::Position;
use crate::domain::time::Timestamp;
use crate::sealer::table::{self, Cosignature, Log, Stored};
use crate::tlog::Hash;

/// Checkpoints of a page.
const PAGE: u32 = 256;

/// Whether the tables of the transparency log are there.
///
/// # Errors
/// Whatever the driver says.
pub async fn has_tables(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass('ledger.cosignature') is not null").fetch_one(connection).await
}

/// The losses that operators accepted; there are few.
///
/// # Errors
/// Whatever the driver says.
pub async fn losses(connection: &mut PgConnection) -> Result<Vec<LossMark>, sqlx::Error> {
    let rows = sqlx::query(
        "select number, first_position, last_position, accepted_by,
            least(greatest(accepted_at, '0001-01-01 00:00:00Z'), '9999-12-31 23:59:59.999Z') as accepted_at
         from ledger.accepted_loss order by number limit $1",
    )
    .bind(i64::from(MAX_MARKS))
    .fetch_all(connection)
    .await?;
    rows.iter().map(loss).collect()
}

fn loss(row: &PgRow) -> Result<LossMark, sqlx::Error> {
    let count = |column| row.try_get(column).map(|count| Position::from_i64(count).get());
    Ok(LossMark {
        number: count("number")?,
        first_position: count("first_position")?,
        last_position: count("last_position")?,
        accepted_by: row.try_get("accepted_by")?,
        accepted_at: Timestamp::from_datetime(row.try_get("accepted_at")?),
    })
}

/// The keys that checkpoints were signed with; there are few.
///
/// # Errors
/// Whatever the driver says.
pub async fn keys(connection: &mut PgConnection) -> Result<Vec<KeyMark>, sqlx::Error> {
    let keys = table::all_keys(connection, MAX_MARKS).await?;
    let mark = |table::KeyOnRecord { origin, verifier, first_used }| KeyMark { origin, verifier, first_used };
    Ok(keys.into_iter().map(mark).collect())
}

/// A checkpoint with what witnesses signed for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    /// The checkpoint.
    pub checkpoint: CheckpointMark,
    /// Its root, as the column beside the note has it.
    pub root: Hash,
    /// The witnesses' lines.
    pub cosignatures: Vec<CosignatureMark>,
}

/// The checkpoints of all logs of this ledger, by size.
pub struct Checkpoints {
    logs: Vec<OneLog>,
}

struct OneLog {
    /// With the newest one that is looked at.
    log: Log,
    /// The size of the last one in `page`.
    read_to: Position,
    page: VecDeque<Sealed>,
}

impl Checkpoints {
    /// Those that there are now.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn begin(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let logs = table::logs(connection).await?;
        let begin = |log| OneLog { log, read_to: Position::ZERO, page: VecDeque::new() };
        Ok(Self { logs: logs.into_iter().map(begin).collect() })
    }

    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self { logs: Vec::new() }
    }

    /// The logs' names.
    #[must_use]
    pub fn origins(&self) -> Vec<String> {
        self.logs.iter().map(|one| one.log.origin.clone()).collect()
    }

    /// The next one of `size` at most.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn next_up_to(
        &mut self,
        connection: &mut PgConnection,
        size: u64,
    ) -> Result<Option<Sealed>, sqlx::Error> {
        for log in &mut self.logs {
            log.fill(connection).await?;
        }
        let of = |log: &OneLog| log.page.front().map(|sealed| sealed.checkpoint.size);
        let next = self
            .logs
            .iter_mut()
            .filter(|log| of(log).is_some_and(|next| next <= size))
            .min_by_key(|log| of(log));
        Ok(next.and_then(|log| log.page.pop_front()))
    }

    /// The size of the next one; none after the last.
    #[must_use]
    pub fn next_size(&self) -> Option<u64> {
        let next = |one: &OneLog| {
            let ahead = one.page.front().map(|sealed| sealed.checkpoint.size);
            // Not read yet: at the next position at the earliest.
            ahead.or_else(|| (one.read_to < one.log.newest).then_some(0))
        };
        self.logs.iter().filter_map(next).min()
    }
}

impl OneLog {
    async fn fill(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let Log { origin, newest } = &self.log;
        if !self.page.is_empty() || self.read_to >= *newest {
            return Ok(());
        }
        let mut page = table::page(connection, origin, self.read_to, PAGE).await?;
        page.retain(|stored| stored.size <= *newest);
        let sizes: Vec<Position> = page.iter().map(|stored| stored.size).collect();
        // Where those are gone that there were, there is nothing more to come.
        self.read_to = sizes.last().copied().unwrap_or(*newest);
        let lines = table::cosignatures(connection, origin, &sizes).await?;
        self.page = page.into_iter().filter_map(|stored| sealed(origin, stored, &lines)).collect();
        Ok(())
    }
}

fn sealed(origin: &str, stored: Stored, lines: &[Cosignature]) -> Option<Sealed> {
    let Stored { note, size, previous, last, root, signed_at } = stored;
    let of_it = lines.iter().filter(|line| line.size == size);
    let cosignatures = of_it.map(|Cosignature { witness, line, .. }| CosignatureMark {
        origin: origin.to_owned(),
        size: size.get(),
        witness: witness.clone(),
        line: line.clone(),
    });
    let cosignatures = cosignatures.collect();
    let checkpoint = CheckpointMark {
        origin: origin.to_owned(),
        size: size.get(),
        previous: previous.get(),
        // No row is without one.
        event_id: last.id()?,
        signed_at,
        note,
    };
    Some(Sealed { checkpoint, root, cosignatures })
}
