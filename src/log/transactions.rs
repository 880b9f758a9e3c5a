//! The transactions that are open on the database: an old one keeps dead rows of every table from being removed, and an
//! idle one may hold locks.

use std::time::Duration;

use sqlx::PgConnection;

/// The open transactions that the login may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTransactions {
    /// How long the oldest has been open; zero if there is none.
    pub oldest: Duration,
    /// Whether the login sees everybody's. Without the rights of `pg_read_all_stats` it sees its own, of every process
    /// that uses the login, and the prepared ones, which everybody sees.
    pub sees_all: bool,
}

/// Looks at the transactions of this database, but for the one that looks.
///
/// # Errors
/// Whatever the driver says.
pub async fn open_transactions(connection: &mut PgConnection) -> Result<OpenTransactions, sqlx::Error> {
    let (oldest_ms, sees_all): (i64, bool) = sqlx::query_as(
        "select coalesce((extract(epoch from clock_timestamp() - min(open.since)) * 1000)::bigint, 0),
                pg_has_role('pg_read_all_stats', 'usage')
         from (
             select xact_start from pg_stat_activity
             where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
             union all
             select prepared from pg_prepared_xacts where database = current_database()
         ) open (since)",
    )
    .fetch_one(connection)
    .await?;
    Ok(OpenTransactions { oldest: Duration::from_millis(u64::try_from(oldest_ms).unwrap_or(0)), sees_all })
}
