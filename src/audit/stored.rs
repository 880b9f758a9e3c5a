//! What the database keeps beside the log that belongs to it: accepted losses, keys, checkpoints and their cosignatures,
//! tiles. In pages, like the log.

use std::collections::{BTreeMap, VecDeque};

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::file::{CheckpointMark, CosignatureMark, KeyMark, LossMark, MAX_MARKS};
use crate::domain::time::Timestamp;

/// Rows of a page at most.
const PAGE: i64 = 256;

fn time(row: &sqlx::postgres::PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    row.try_get::<chrono::DateTime<chrono::Utc>, _>(column).map(Timestamp::from_datetime)
}

fn count(row: &sqlx::postgres::PgRow, column: &str) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(column).map(|count| u64::try_from(count).unwrap_or(0))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

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
        "select number, first_position, last_position, accepted_by, accepted_at
         from ledger.accepted_loss order by number limit $1",
    )
    .bind(signed(MAX_MARKS))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(LossMark {
                number: count(row, "number")?,
                first_position: count(row, "first_position")?,
                last_position: count(row, "last_position")?,
                accepted_by: row.try_get("accepted_by")?,
                accepted_at: time(row, "accepted_at")?,
            })
        })
        .collect()
}

/// The keys that checkpoints were signed with; there are few.
///
/// # Errors
/// Whatever the driver says.
pub async fn keys(connection: &mut PgConnection) -> Result<Vec<KeyMark>, sqlx::Error> {
    let rows = sqlx::query(
        "select origin, verifier, first_used from ledger.audit_key order by origin, verifier limit $1",
    )
    .bind(signed(MAX_MARKS))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(KeyMark {
                origin: row.try_get("origin")?,
                verifier: row.try_get("verifier")?,
                first_used: time(row, "first_used")?,
            })
        })
        .collect()
}

/// A checkpoint with what witnesses signed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The checkpoint.
    pub checkpoint: CheckpointMark,
    /// Its root, as the column beside the note has it.
    pub root: Vec<u8>,
    /// The witnesses' lines.
    pub cosignatures: Vec<CosignatureMark>,
}

/// The checkpoints of all logs of this ledger, by size.
pub struct Checkpoints {
    logs: Vec<OneLog>,
}

struct OneLog {
    origin: String,
    /// The size of the newest one that is looked at.
    newest: i64,
    /// That of the last one in `page`.
    read_to: i64,
    page: VecDeque<Sealed>,
}

impl Checkpoints {
    /// Those that there are now.
    ///
    /// # Errors
    /// Whatever the driver says.
    pub async fn begin(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "with recursive logs (origin) as (
                 (select origin from ledger.checkpoint order by origin limit 1)
                 union all
                 select (select c.origin from ledger.checkpoint c where c.origin > logs.origin order by c.origin limit 1)
                 from logs where logs.origin is not null
             )
             select k.origin, c.size from logs k
             cross join lateral (
                 select size from ledger.checkpoint where origin = k.origin order by size desc limit 1
             ) c
             where k.origin is not null order by k.origin",
        )
        .fetch_all(connection)
        .await?;
        let logs = rows.into_iter().map(|(origin, newest)| OneLog {
            origin,
            newest,
            read_to: 0,
            page: VecDeque::new(),
        });
        Ok(Self { logs: logs.collect() })
    }

    /// The logs' names.
    #[must_use]
    pub fn origins(&self) -> Vec<String> {
        self.logs.iter().map(|log| log.origin.clone()).collect()
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
        let next = |log: &OneLog| {
            let ahead = log.page.front().map(|sealed| sealed.checkpoint.size);
            // Not read yet: at the next position at the earliest.
            ahead.or_else(|| (log.read_to < log.newest).then_some(0))
        };
        self.logs.iter().filter_map(next).min()
    }
}

impl OneLog {
    async fn fill(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.page.is_empty() || self.read_to >= self.newest {
            return Ok(());
        }
        let rows = sqlx::query(
            "select size, previous, event_id, root, note, signed_at from ledger.checkpoint
             where origin = $1 and size > $2 and size <= $3 order by size limit $4",
        )
        .bind(&self.origin)
        .bind(self.read_to)
        .bind(self.newest)
        .bind(PAGE)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            let checkpoint = CheckpointMark {
                origin: self.origin.clone(),
                size: count(row, "size")?,
                previous: count(row, "previous")?,
                event_id: row.try_get::<Uuid, _>("event_id")?,
                signed_at: time(row, "signed_at")?,
                note: row.try_get("note")?,
            };
            self.read_to = row.try_get("size")?;
            let root = row.try_get("root")?;
            self.page.push_back(Sealed { checkpoint, root, cosignatures: Vec::new() });
        }
        if rows.is_empty() {
            self.read_to = self.newest;
        }
        self.cosignatures(connection).await
    }

    async fn cosignatures(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let sizes: Vec<i64> = self.page.iter().map(|sealed| signed(sealed.checkpoint.size)).collect();
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "select size, witness, line from ledger.cosignature where origin = $1 and size = any($2)
             order by size, witness",
        )
        .bind(&self.origin)
        .bind(sizes)
        .fetch_all(connection)
        .await?;
        for (size, witness, line) in rows {
            let size = u64::try_from(size).unwrap_or(0);
            let sealed = self.page.iter_mut().find(|sealed| sealed.checkpoint.size == size);
            if let Some(sealed) = sealed {
                let origin = self.origin.clone();
                sealed.cosignatures.push(CosignatureMark { origin, size, witness, line });
            }
        }
        Ok(())
    }
}

/// A stored tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTile {
    /// Its root.
    pub root: Vec<u8>,
    /// Its hashes.
    pub hashes: Vec<u8>,
}

/// The tiles in one place of the trees of these logs, as far as they are there.
///
/// # Errors
/// Whatever the driver says.
pub async fn tiles(
    connection: &mut PgConnection,
    origins: &[&str],
    level: u8,
    number: u64,
) -> Result<BTreeMap<String, StoredTile>, sqlx::Error> {
    let rows = sqlx::query(
        "select origin, root, hashes from ledger.tile where origin = any($1) and level = $2 and number = $3",
    )
    .bind(origins)
    .bind(i16::from(level))
    .bind(signed(number))
    .fetch_all(connection)
    .await?;
    let tile = |row: &sqlx::postgres::PgRow| {
        Ok((
            row.try_get("origin")?,
            StoredTile { root: row.try_get("root")?, hashes: row.try_get("hashes")? },
        ))
    };
    rows.iter().map(tile).collect()
}
