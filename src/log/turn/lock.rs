//! Waiting for the exclusive append lock, and ending those who keep it without need.

use std::time::Duration;

use sqlx::PgConnection;

/// How long an append waits for a row of another's: with the first wait for the lock after it, a little longer than that other
/// may wait for its client, and less than a second in all, so that nobody who is frozen holds up the others for longer.
pub const APPEND_LOCK_TIMEOUT: &str = "700ms";
/// This long at first, for whoever comes here because something has blocked an append for some time already.
const SHORTLY: Duration = Duration::from_millis(100);
/// This long at first, for whoever has not waited yet: the two above together.
const FIRST: Duration = Duration::from_millis(800);
/// This long, each time, with what blocks it ended in between: whoever froze while this one was waiting already is found soon.
const AGAIN: Duration = Duration::from_millis(200);
/// How often that is tried.
const TRIES: usize = 40;

/// How long to wait for the lock, one time after the other, ending in between whoever keeps it without need. `has_waited`:
/// after an append that may have waited for [`APPEND_LOCK_TIMEOUT`].
pub(super) fn waits(has_waited: bool) -> impl Iterator<Item = Duration> {
    let first = if has_waited { SHORTLY } else { FIRST };
    std::iter::once(first).chain(std::iter::repeat_n(AGAIN, TRIES))
}

/// A wait as the database's settings have it.
pub(super) fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)
}

pub(super) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}

/// Ends sessions of this role that hold the lock and have waited for their client for over three quarters of a second: a
/// client that vanished between Execute and Sync would hold it, and its rows, without end. Within a turn a session is idle.
///
/// Found by one statement and ended by another: within one, `PostgreSQL` may call the function on a session before it
/// has looked whether that session is meant.
pub(super) async fn end_blockers(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let blockers: Vec<i32> = sqlx::query_scalar(
        "select a.pid
         from pg_locks l join pg_stat_activity a on a.pid = l.pid
         where l.locktype = 'advisory' and l.granted
           and l.database = (select d.oid from pg_database d where d.datname = current_database())
           and l.classid::bigint = (ledger.append_lock() >> 32) and l.objid::bigint = (ledger.append_lock() & 4294967295)
           and l.objsubid = 1
           and a.pid <> pg_backend_pid() and a.usename = current_user
           and a.wait_event_type = 'Client'
           and a.state_change < clock_timestamp() - interval '750 milliseconds'",
    )
    .fetch_all(&mut *connection)
    .await?;
    if blockers.is_empty() {
        return Ok(());
    }
    tracing::warn!(pids = ?blockers, "ending sessions that hold the append lock while they wait for their client");
    sqlx::query("select pg_terminate_backend(blocker) from unnest($1::integer[]) blocker")
        .bind(blockers)
        .execute(connection)
        .await?;
    Ok(())
}
