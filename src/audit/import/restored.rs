//! Puts on record what an export has beside the records, as the database had it that was exported. What is there already
//! stays.

use sqlx::PgConnection;

use crate::audit::file::{CheckpointMark, CosignatureMark, KeyMark, LossMark};
use crate::tlog::checkpoint::Checkpoint;

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Puts a loss on record as another database had it, if it is not.
///
/// # Errors
/// Whatever the driver says.
pub(super) async fn keep_loss(connection: &mut PgConnection, loss: &LossMark) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.accepted_loss (number, first_position, last_position, accepted_by, accepted_at)
         values ($1, $2, $3, $4, $5) on conflict do nothing",
    )
    .bind(signed(loss.number))
    .bind(signed(loss.first_position))
    .bind(signed(loss.last_position))
    .bind(&loss.accepted_by)
    .bind(loss.accepted_at.to_datetime())
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts a key on record as another database had it, if it is not.
///
/// # Errors
/// Whatever the driver says.
pub(super) async fn keep_key(connection: &mut PgConnection, key: &KeyMark) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.audit_key (origin, verifier, first_used) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(&key.origin)
    .bind(&key.verifier)
    .bind(key.first_used.to_datetime())
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts a checkpoint on record as another database had it, if it is not.
///
/// # Errors
/// Whatever the driver says; [`sqlx::Error::Encode`] where the note is none.
pub(super) async fn keep_checkpoint(
    connection: &mut PgConnection,
    mark: &CheckpointMark,
) -> Result<(), sqlx::Error> {
    let parsed =
        Checkpoint::parse(mark.note.as_bytes()).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query(
        "insert into ledger.checkpoint (origin, size, previous, event_id, root, note, signed_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
    )
    .bind(&mark.origin)
    .bind(signed(mark.size))
    .bind(signed(mark.previous))
    .bind(mark.event_id)
    .bind(parsed.root.0.as_slice())
    .bind(&mark.note)
    .bind(mark.signed_at.to_datetime())
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts a witness's signature on record, if it is not.
///
/// # Errors
/// Whatever the driver says.
pub(super) async fn keep_cosignature(
    connection: &mut PgConnection,
    mark: &CosignatureMark,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.cosignature (origin, size, witness, line) values ($1, $2, $3, $4) on conflict do nothing",
    )
    .bind(&mark.origin)
    .bind(signed(mark.size))
    .bind(&mark.witness)
    .bind(&mark.line)
    .execute(connection)
    .await?;
    Ok(())
}
