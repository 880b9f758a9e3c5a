//! The hold: one row that stops the appends of every replica, because the ledger lost history.

use sqlx::{PgConnection, Row};

use crate::domain::position::Position;

/// Why nothing is appended until an operator decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hold {
    /// What was found, for people.
    pub reason: String,
    /// The first position at which the ledger differs from what it was.
    pub position: Position,
}

/// The hold that stands, if one does.
///
/// # Errors
/// Whatever the driver says.
pub async fn read_hold(connection: &mut PgConnection) -> Result<Option<Hold>, sqlx::Error> {
    let row = sqlx::query("select reason, position from ledger.hold").fetch_optional(connection).await?;
    row.map(|row| {
        Ok(Hold { reason: row.try_get("reason")?, position: Position::from_i64(row.try_get("position")?) })
    })
    .transpose()
}

/// Sets the hold, or lowers its position where one stands. Call it under the exclusive append lock.
///
/// # Errors
/// Whatever the driver says.
pub async fn set_hold(connection: &mut PgConnection, hold: &Hold) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.hold (reason, position) values ($1, $2)
         on conflict (only_row) do update set position = least(hold.position, excluded.position)",
    )
    .bind(&hold.reason)
    .bind(hold.position.to_i64())
    .execute(connection)
    .await?;
    Ok(())
}
