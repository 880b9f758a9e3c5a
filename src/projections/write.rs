//! One batch, written in one round trip and one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};

use super::row::print_metadata;
use super::tasks::REVISION;
use crate::domain::cursor::Cursor;
use crate::domain::row::print_snapshot;
use crate::domain::task::Task;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;
use crate::log::entry::Transition;
use crate::log::load::SNAPSHOT_EVERY;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ApplyReply {
    Moved,
    CursorElsewhere,
    NotInLog,
    Superseded,
}

/// What a batch leaves behind: each task's last state, and the states that become snapshots.
#[derive(Debug, Default)]
pub(super) struct Changes {
    rows: BTreeMap<Vtid, Arc<Task>>,
    snapshots: Vec<Arc<Task>>,
}

impl Changes {
    pub(super) fn of(transitions: Vec<Transition>) -> Self {
        let mut changes = Self::default();
        for Transition { after, .. } in transitions {
            if after.version.get() % SNAPSHOT_EVERY == 0 {
                changes.snapshots.push(Arc::clone(&after));
            }
            changes.rows.insert(after.vtid, after);
        }
        changes
    }
}

/// Moves the cursor from `from` to `to` and writes `changes`.
///
/// # Errors
/// Whatever the driver says. After an error of the connection, the batch may have gone in.
pub(super) async fn apply(
    connection: &mut PgConnection,
    from: Cursor,
    to: Cursor,
    changes: &Changes,
) -> Result<ApplyReply, sqlx::Error> {
    let rows: Vec<&Task> = changes.rows.values().map(AsRef::as_ref).collect();
    let snapshots: Vec<&Task> = changes.snapshots.iter().map(AsRef::as_ref).collect();
    let call = sqlx::query(
        "select ledger.project_vtid_ledger(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
            $16, $17, $18, $19, $20, $21, $22, $23)",
    );
    let reply = bind_rows(call, &rows)
        .bind(snapshots.iter().map(|task| task.vtid.to_string()).collect::<Vec<_>>())
        .bind(snapshots.iter().map(|task| task.version.to_i64()).collect::<Vec<_>>())
        .bind(snapshots.iter().map(|task| task.position.to_i64()).collect::<Vec<_>>())
        .bind(snapshots.iter().map(|task| print_snapshot(task)).collect::<Vec<_>>())
        .bind(REVISION)
        .bind(from.position().to_i64())
        .bind(to.position().to_i64())
        .bind(to.id())
        .fetch_one(connection)
        .await
        .and_then(|row| row.try_get::<String, _>(0))
        .or_else(lost_race)?;
    match reply.as_str() {
        "moved" => Ok(ApplyReply::Moved),
        "cursor" => Ok(ApplyReply::CursorElsewhere),
        "log" => Ok(ApplyReply::NotInLog),
        "revision" => Ok(ApplyReply::Superseded),
        other => Err(sqlx::Error::Protocol(format!("ledger.project_vtid_ledger answered {other:?}"))),
    }
}

/// Writes rows, over those of the same VTIDs.
///
/// # Errors
/// Whatever the driver says.
pub(super) async fn upsert(connection: &mut PgConnection, rows: &[&Task]) -> Result<(), sqlx::Error> {
    let call = sqlx::query(
        "select ledger.write_vtid_ledger(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)::text",
    );
    bind_rows(call, rows).execute(connection).await?;
    Ok(())
}

type Call<'q> = Query<'q, Postgres, PgArguments>;

/// Binds the fifteen arrays of the rows' columns.
fn bind_rows<'q>(call: Call<'q>, rows: &[&'q Task]) -> Call<'q> {
    let text = |f: fn(&'q Task) -> &'q str| rows.iter().map(|task| f(task)).collect::<Vec<&'q str>>();
    let owned = |f: fn(&Task) -> Option<String>| rows.iter().map(|task| f(task)).collect::<Vec<_>>();
    let number = |f: fn(&Task) -> i64| rows.iter().map(|task| f(task)).collect::<Vec<i64>>();
    let time = |f: fn(&Task) -> Timestamp| rows.iter().map(|task| f(task).to_datetime()).collect::<Vec<_>>();
    call.bind(owned(|task| Some(task.id.to_string())))
        .bind(owned(|task| Some(task.vtid.to_string())))
        .bind(text(|task| task.family.as_str()))
        .bind(text(|task| task.kind.as_str()))
        .bind(text(|task| task.description.as_str()))
        .bind(text(|task| task.status.as_str()))
        .bind(owned(|task| task.assigned_to.as_ref().map(ToString::to_string)))
        .bind(text(|task| task.tenant.as_str()))
        .bind(owned(|task| task.metadata.as_ref().map(print_metadata)))
        .bind(owned(|task| task.parent.map(|parent| parent.to_string())))
        .bind(time(|task| task.created_at))
        .bind(time(|task| task.updated_at))
        .bind(number(|task| task.version.to_i64()))
        .bind(number(|task| task.created_position.to_i64()))
        .bind(number(|task| task.position.to_i64()))
}

/// Two that move the cursor from the same place at the same time meet in an index: one of them was slower.
fn lost_race(error: sqlx::Error) -> Result<String, sqlx::Error> {
    let constraint = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
    match constraint {
        Some("progress_previous" | "progress_pkey") => Ok("cursor".to_owned()),
        _ => Err(error),
    }
}

/// The database understood the batch and refuses its rows: not a matter of trying again.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // Data exceptions, violated constraints, and values past a limit of PostgreSQL.
    code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}
