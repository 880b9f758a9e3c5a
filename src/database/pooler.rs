//! Whether the address leads to sessions of our own. A pooler in transaction or statement mode lends its clients a server's
//! session for one transaction each: settings, locks and prepared statements of one client are then another's, and an answer
//! may be too. Such a pooler is told by what it does, whatever its name.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection, PgConnection, raw_sql};
use tokio::time::timeout;

/// For all the questions: a pooler that has no second session lets us wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked: between two of our questions another client of a pooler may come in between.
const ROUNDS: usize = 5;
/// Which server process answers. It needs no right, and not even the driver's prepared statements, which such a pooler mixes up.
const WHO: &str = "select pg_backend_pid()::text || ' of ' || pg_postmaster_start_time()";
const WHO_IN_TRANSACTION: &str =
    "begin; select pg_backend_pid()::text || ' of ' || pg_postmaster_start_time()";

/// Why the address can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PoolerError {
    /// A session is not one.
    #[error(
        "DATABASE_URL leads to a pooler in transaction or statement mode ({0}), which mixes up the sessions of its clients: \
         give PostgreSQL's own address, or one of the pooler in session mode (PgBouncer: pool_mode = session; Supabase: \
         the direct connection, or port 5432 of its pooler)"
    )]
    Shared(String),
    /// There is no second session.
    #[error(
        "DATABASE_URL gave no two sessions within {} s: let its pooler have more (PgBouncer: default_pool_size), or give \
         PostgreSQL's own address",
        PATIENCE.as_secs()
    )]
    Starved,
    /// It takes no session settings when a connection is made.
    #[error(
        "DATABASE_URL leads to a pooler that can't be used as it is ({0}): in session mode let it pass the driver's \
         parameter (PgBouncer: ignore_startup_parameters = options), or give PostgreSQL's own address"
    )]
    Parameters(String),
    /// It did not answer.
    #[error("the database can't be reached: {0}")]
    Away(#[from] sqlx::Error),
}

/// What a refusal to connect means. `PostgreSQL` itself takes the parameters that poolers refuse.
#[must_use]
pub fn explain(error: sqlx::Error) -> PoolerError {
    let refused = error.as_database_error().map(|error| error.message().to_owned());
    match refused.filter(|message| message.contains("unsupported startup parameter")) {
        Some(message) => PoolerError::Parameters(message),
        None => error.into(),
    }
}

/// Refuses an address behind which sessions are shared. Takes a second connection for a moment.
///
/// # Errors
/// [`PoolerError`], naming the setting.
pub async fn refuse(first: PgConnection, options: &PgConnectOptions) -> Result<(), PoolerError> {
    let (mut first, mut second) = (first, None);
    match timeout(PATIENCE, ask(&mut first, &mut second, options)).await {
        Ok(Ok(Some(how))) => return Err(PoolerError::Shared(how)),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return Err(PoolerError::Starved),
        Ok(Ok(None)) => {}
    }
    for connection in [Some(first), second].into_iter().flatten() {
        // What it was for is done.
        let _ = connection.close().await;
    }
    Ok(())
}

/// In what two sessions differ from what they ought to be, if they do.
///
/// A pooler that lends the session given back last gives the first one's to the second, which then keeps it. One that lends
/// them in turn gives the first another one when asked again at once.
async fn ask(
    first: &mut PgConnection,
    second: &mut Option<PgConnection>,
    options: &PgConnectOptions,
) -> Result<Option<String>, sqlx::Error> {
    let own = who(first, WHO).await?;
    let second = second.insert(options.connect().await?);
    for _ in 0..ROUNDS {
        let before = who(first, WHO).await?;
        let other = match who(second, WHO_IN_TRANSACTION).await {
            Ok(other) => other,
            Err(error @ sqlx::Error::Database(_)) => {
                return Ok(Some(format!("no transaction can be begun: {error}")));
            }
            Err(error) => return Err(error),
        };
        if other == own || other == before {
            return Ok(Some(format!("two sessions are served by one process, {other}")));
        }
        let after = who(first, WHO).await?;
        if let Some(now) = [before, after].into_iter().find(|now| *now != own) {
            return Ok(Some(format!("one session is served by process {own}, then by process {now}")));
        }
        raw_sql("rollback").execute(&mut *second).await?;
    }
    Ok(None)
}

async fn who(connection: &mut PgConnection, question: &'static str) -> Result<String, sqlx::Error> {
    use sqlx::Row as _;
    raw_sql(question).fetch_one(connection).await?.try_get(0)
}
