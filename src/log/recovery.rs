//! What an operator decides after the ledger has lost history: to put events back, or to give them up.

use std::time::Duration;

use sqlx::PgConnection;

use super::append::AppendReply;
use super::hold::Hold;
use super::turn::Turn;
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::record::Recorded;

/// The events were in the log before: their times are what they are, wherever the database's clock stands.
const ANY_TIME_AHEAD: Duration = Duration::from_hours(24 * 365 * 100);

/// Why events are not put back; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The log ends elsewhere than where the events begin.
    #[error(
        "the ledger ends at position {found} by now, and not at {expected}: something was written meanwhile"
    )]
    HeadMoved {
        /// Where the events begin.
        expected: Position,
        /// Where the log ends.
        found: Position,
    },
    /// The log refuses them.
    #[error("the log refuses the events: {0:?}")]
    Refused(AppendReply),
    /// The database did not answer, or refuses them.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Appends `events` after `head` as they are, in the turn, whatever hold stands; then `hold` stands, if one is given, and
/// none otherwise, but for the sealer's, which looks at the past again by itself. Commits.
///
/// # Errors
/// [`RecoveryError`]. After an error of the connection look whether they are in.
pub async fn put_back(
    mut turn: Turn,
    head: Cursor,
    events: &[&Recorded],
    hold: Option<&Hold>,
) -> Result<PgConnection, RecoveryError> {
    let found = turn.head().await?;
    if found != head {
        turn.end().await?;
        return Err(RecoveryError::HeadMoved { expected: head.position(), found: found.position() });
    }
    turn.lift_hold().await?;
    let sealers = turn.past_hold().await?;
    turn.set_past_hold(None).await?;
    match turn.append(head, ANY_TIME_AHEAD, events).await? {
        AppendReply::Appended => {}
        refused => {
            turn.end().await?;
            return Err(RecoveryError::Refused(refused));
        }
    }
    if sealers.is_some() {
        turn.set_past_hold(sealers.as_ref()).await?;
    }
    Ok(match hold {
        Some(hold) => turn.hold(hold).await?,
        None => turn.commit().await?,
    })
}

/// Puts on record that the events from `first` to `last` are given up, while the hold stands: set so that it does, and
/// until it is removed, nothing is written and whoever looks at log and stream meanwhile does no harm. Commits.
///
/// # Errors
/// Whatever the driver says.
pub async fn give_up(mut turn: Turn, first: Position, last: Position) -> Result<PgConnection, sqlx::Error> {
    // What lies past the log's end is lost from there on, whoever noticed it first and where.
    let first = first.min(turn.head().await?.position().next());
    turn.accept_loss(first, last.max(first)).await?;
    let reason = format!("an operator is giving up what was lost from position {first} to {last}");
    turn.hold(&Hold { reason, position: first, last: last.max(first) }).await
}

/// Removes the hold that stands because history was lost. Commits.
///
/// # Errors
/// Whatever the driver says.
pub async fn let_writes_go_on(mut turn: Turn) -> Result<PgConnection, sqlx::Error> {
    turn.lift_hold().await?;
    turn.commit().await
}
