//! The hold: a row that stops the appends of every replica, because the ledger lost history; another one, apart from it,
//! because the past is not the one that was sealed; and the losses that operators have accepted.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use crate::domain::position::Position;

/// Why nothing is appended until an operator decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hold {
    /// What was found, for people.
    pub reason: String,
    /// The first position, as far as is known, at which the ledger differs from what it was.
    pub position: Position,
    /// The last position at which somebody has seen an event that the ledger no longer has, as far as is known.
    pub last: Position,
}

impl Hold {
    /// About one event that is gone.
    #[must_use]
    pub fn at(position: Position, reason: String) -> Self {
        Self { reason, position, last: position }
    }
}

/// How many losses of history operators have accepted so far. Whoever remembers an event together with this number can
/// tell, once the event is gone, a loss that was given up meanwhile (the number has grown) from one that was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Losses(pub u64);

/// The hold that stands, if one does, for whatever reason; of two, the one because history was lost.
///
/// # Errors
/// Whatever the driver says.
pub async fn read_hold(connection: &mut PgConnection) -> Result<Option<Hold>, sqlx::Error> {
    let read =
        sqlx::query("select reason, position, last_position from ledger.hold order by only_row desc limit 1");
    read.fetch_optional(connection).await?.as_ref().map(hold).transpose()
}

/// The hold that stands because history was lost.
///
/// # Errors
/// Whatever the driver says.
pub async fn read_loss_hold(connection: &mut PgConnection) -> Result<Option<Hold>, sqlx::Error> {
    let read = sqlx::query("select reason, position, last_position from ledger.hold where only_row");
    read.fetch_optional(connection).await?.as_ref().map(hold).transpose()
}

/// The hold that stands because the past is not the one that was sealed.
///
/// # Errors
/// Whatever the driver says.
pub async fn read_past_hold(connection: &mut PgConnection) -> Result<Option<Hold>, sqlx::Error> {
    let read = sqlx::query("select reason, position, last_position from ledger.hold where not only_row");
    read.fetch_optional(connection).await?.as_ref().map(hold).transpose()
}

fn hold(row: &PgRow) -> Result<Hold, sqlx::Error> {
    Ok(Hold {
        reason: row.try_get("reason")?,
        position: Position::from_i64(row.try_get("position")?),
        last: Position::from_i64(row.try_get("last_position")?),
    })
}

/// Sets the hold because the past is not the one that was sealed, in place of an earlier one of that kind; with none, lifts
/// it. Call it under the exclusive append lock.
///
/// # Errors
/// Whatever the driver says.
pub async fn set_past_hold(connection: &mut PgConnection, hold: Option<&Hold>) -> Result<(), sqlx::Error> {
    let Some(hold) = hold else {
        sqlx::query("delete from ledger.hold where not only_row").execute(connection).await?;
        return Ok(());
    };
    sqlx::query(
        "insert into ledger.hold (only_row, reason, position, last_position) values (false, $1, $2, $3)
         on conflict (only_row) do update set
            reason = excluded.reason, position = excluded.position, last_position = excluded.last_position",
    )
    .bind(&hold.reason)
    .bind(hold.position.to_i64())
    .bind(hold.last.to_i64())
    .execute(connection)
    .await?;
    Ok(())
}

/// How many losses were accepted.
///
/// # Errors
/// Whatever the driver says.
pub async fn read_losses(connection: &mut PgConnection) -> Result<Losses, sqlx::Error> {
    let number: Option<i64> =
        sqlx::query_scalar("select max(number) from ledger.accepted_loss").fetch_one(connection).await?;
    Ok(Losses(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)))
}

/// Sets the hold because history was lost; where one stands, widens it to the positions of both. Call it under the exclusive append lock.
///
/// # Errors
/// Whatever the driver says.
pub async fn set_hold(connection: &mut PgConnection, hold: &Hold) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.hold (reason, position, last_position) values ($1, $2, $3)
         on conflict (only_row) do update set
            reason = case when excluded.position < hold.position then excluded.reason else hold.reason end,
            position = least(hold.position, excluded.position),
            last_position = greatest(hold.last_position, excluded.last_position)",
    )
    .bind(&hold.reason)
    .bind(hold.position.to_i64())
    .bind(hold.last.to_i64())
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes the hold that stands because history was lost. Call it under the exclusive append lock.
///
/// # Errors
/// Whatever the driver says.
pub async fn lift_hold(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("delete from ledger.hold where only_row").execute(connection).await?;
    Ok(())
}

/// Puts on record that the events from `first` on (up to `last`, as far as is known) are given up. Call it under the
/// exclusive append lock.
///
/// # Errors
/// Whatever the driver says.
pub async fn accept_loss(
    connection: &mut PgConnection,
    first: Position,
    last: Position,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.accepted_loss (number, first_position, last_position)
         select coalesce(max(number), 0) + 1, $1, $2 from ledger.accepted_loss",
    )
    .bind(first.to_i64())
    .bind(last.to_i64())
    .execute(connection)
    .await?;
    Ok(())
}
