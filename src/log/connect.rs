//! Connections with the settings that the log relies on.

use sqlx::PgConnection;

use super::hosts::Wanted;
use super::pool::Pool;
use super::servers::Servers;

/// How to reach the database of `url`, with this service's session settings whatever the role's defaults are:
/// a dead client is noticed within some seconds, no statement is cut short, a commit is a durable one.
///
/// # Errors
/// The URL is not one of `PostgreSQL`. It is not repeated: it may hold a password.
pub fn options(url: &str, application: &str) -> Result<Servers, sqlx::Error> {
    Ok(with_settings(&Servers::parse(url, Wanted::Primary)?, application))
}

/// The same for reads, which any server of `url` may answer, a standby too.
///
/// # Errors
/// As [`options`].
pub fn read_options(url: &str, application: &str) -> Result<Servers, sqlx::Error> {
    Ok(with_settings(&Servers::parse(url, Wanted::Any)?, application))
}

fn with_settings(servers: &Servers, application: &str) -> Servers {
    servers
        .application_name(application)
        .options([
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
            ("statement_timeout", "0"),
            ("synchronous_commit", "on"),
            // Each statement of ledger.append must see what was committed while it waited.
            ("default_transaction_isolation", "read committed"),
            ("default_transaction_read_only", "off"),
            ("lock_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
            ("idle_session_timeout", "0"),
            ("search_path", "public"),
            ("timezone", "UTC"),
        ])
        .disable_statement_logging()
}

/// A pool for readers, made without connecting.
#[must_use]
pub fn pool(servers: Servers, max_connections: u32) -> Pool {
    Pool::new(servers, max_connections)
}

/// One connection of its own, to the primary.
///
/// # Errors
/// Whatever the driver says, or a time-out.
pub async fn connect(servers: &Servers) -> Result<PgConnection, sqlx::Error> {
    servers.connect().await.map(|(connection, _)| connection)
}

/// Whether the database refuses to write, as a standby does, or a primary that has become one: such a connection is of no
/// use any more.
#[must_use]
pub fn is_read_only(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "25006")
}
