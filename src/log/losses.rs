//! What a follower does when the log lacks an event that it should hold.

use super::connect::connect;
use super::hold::{Hold, Losses};
use super::servers::Servers;
use super::turn::Turn;
use crate::domain::cursor::Cursor;

/// Sets the hold, if the log, looked at while nothing can be appended, does not hold the event at `cursor`, and that was
/// not given up since `known` losses had been.
///
/// # Errors
/// Whatever the driver says.
pub async fn confirm_and_hold(servers: &Servers, cursor: Cursor, known: Losses) -> Result<(), sqlx::Error> {
    let mut turn = Turn::open(connect(&servers.options([("synchronous_commit", "on")])).await?).await?;
    if turn.has_lost(cursor, known).await? {
        let position = cursor.position();
        let reason = format!("the log does not hold the event that was at position {position}");
        tracing::error!(reason, "the ledger lost history: nothing is written until an operator decides");
        turn.hold(&Hold::at(position, reason)).await?;
    } else {
        turn.end().await?;
    }
    Ok(())
}
