//! Connections with the settings that the log relies on.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, PgPool};

use super::session;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reader waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How to reach the database of `url`, with this service's session settings whatever the role's defaults are:
/// a dead client is noticed within some seconds, no statement is cut short, a commit is a durable one.
///
/// # Errors
/// The URL is not one of `PostgreSQL`. It is not repeated: it may hold a password.
pub fn options(url: &str, application: &str) -> Result<PgConnectOptions, sqlx::Error> {
    // The driver takes any scheme, and would then look for a server where none is meant to be.
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("postgres" | "postgresql")) {
        let needed = "not an address such as postgres://user:password@host:5432/database";
        return Err(sqlx::Error::Configuration(needed.into()));
    }
    Ok(PgConnectOptions::from_str(url)?
        .application_name(application)
        // The driver's own parameter of that name is one that poolers refuse.
        .extra_float_digits(None)
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
        .disable_statement_logging())
}

/// A pool for readers, made without connecting.
#[must_use]
pub fn pool(options: PgConnectOptions, max_connections: u32) -> PgPool {
    let settings = session::settings(&options);
    PgPoolOptions::new()
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move { session::tell(connection, &settings).await })
        })
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(None)
        .connect_lazy_with(options)
}

/// One connection of its own, with the session settings of `options`.
///
/// # Errors
/// Whatever the driver says, or a time-out.
pub async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    in_time(async {
        let mut connection = options.connect().await?;
        session::tell(&mut connection, &session::settings(options)).await?;
        Ok(connection)
    })
    .await
}

/// One connection that is told nothing: what is there may be another client's.
///
/// # Errors
/// As [`connect`].
pub async fn connect_plain(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    in_time(options.connect()).await
}

async fn in_time<T>(connecting: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}
