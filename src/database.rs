//! The database that a process is given: whether it can be used, and bringing its schema up to date.

pub mod pooler;

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::log::connect;
use crate::log::hosts::Wanted;
use crate::log::schema::{self, SchemaError};
use crate::log::servers::Servers;
use crate::projections::tasks::{self, ProjectionError};
use pooler::PoolerError;

/// How long a database that does not answer is waited for at start.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two tries.
const RETRY: Duration = Duration::from_millis(500);
/// The oldest `PostgreSQL` that the ledger supports, as `server_version_num` has it.
const OLDEST_SERVER: i32 = 150_000;

/// Why the database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address is not one.
    #[error("DATABASE_URL can't be used: {0}")]
    Url(sqlx::Error),
    /// The reads' address is none.
    #[error("DATABASE_READ_URL can't be used: {0}")]
    ReadUrl(sqlx::Error),
    /// It did not answer.
    #[error("the database can't be reached: {0}")]
    Away(#[from] sqlx::Error),
    /// It would lose acknowledged writes, or can't hold the ledger.
    #[error(
        "the database has {setting} = {found}, and the ledger needs {needed}: it would lose or garble what it acknowledged"
    )]
    Setting {
        /// Which setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        needed: &'static str,
    },
    /// The address is a pooler's that shares sessions.
    #[error(transparent)]
    Pooler(#[from] PoolerError),
    /// The login lacks rights that the service needs.
    #[error(
        "the login {0} may not write the ledger: make it a member of vtid_ledger_writer and vtid_ledger_projector, as \
         setup/roles.sql does, and run `vtid-ledger migrate` as the database's owner"
    )]
    Login(String),
    /// The schema is not the one that this version knows.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The read table is not the one that this version knows.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
}

/// How to reach the database of `url`.
///
/// # Errors
/// [`DatabaseError::Url`].
pub fn options(url: &str, application: &str) -> Result<Servers, DatabaseError> {
    connect::options(url, application).map_err(DatabaseError::Url)
}

/// How to reach the servers of `url` for reads.
///
/// # Errors
/// [`DatabaseError::ReadUrl`].
pub fn read_options(url: &str, application: &str) -> Result<Servers, DatabaseError> {
    connect::read_options(url, application).map_err(DatabaseError::ReadUrl)
}

/// Applies the migrations and the projections' SQL.
///
/// # Errors
/// [`DatabaseError`]; what was applied before the error stays.
pub async fn migrate(url: &str) -> Result<(), DatabaseError> {
    let mut connection = reach(&options(url, "vtid-ledger migrate")?).await?;
    schema::migrate(&mut connection).await?;
    tasks::apply_sql(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Waits for the database, and refuses an address behind which sessions are shared.
///
/// # Errors
/// [`DatabaseError`], naming what is wrong.
pub async fn check_sessions(servers: &Servers) -> Result<(), DatabaseError> {
    reach(servers).await?.close().await?;
    Ok(())
}

/// Waits for the database, and refuses one that is not migrated or not durable, or a login that may not write.
///
/// # Errors
/// [`DatabaseError`], naming what is wrong.
pub async fn check(url: &str, servers: &Servers) -> Result<(), DatabaseError> {
    let mut connection = reach(servers).await?;
    check_settings(url).await?;
    check_login(&mut connection).await?;
    schema::check(&mut connection).await?;
    tasks::check(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// A connection, once there is one and it is known to lead to sessions of our own.
async fn reach(servers: &Servers) -> Result<PgConnection, DatabaseError> {
    let (first, server) = first(servers).await?;
    // Before any session is given settings: it may be another client's.
    pooler::refuse(first, &server).await?;
    Ok(connect::connect(servers).await?)
}

/// The first that is the primary, told nothing, and how to reach that one again.
async fn first(servers: &Servers) -> Result<(PgConnection, PgConnectOptions), DatabaseError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        servers.look_around().await;
        match servers.connect_untold().await {
            Ok(first) => return Ok(first),
            // It answered: no use in asking again.
            Err(error @ sqlx::Error::Database(_)) if !is_starting(&error) => {
                return Err(pooler::explain(error).into());
            }
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "waiting for the database"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn is_starting(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "57P03")
}

/// Looks at what the server does by itself, without this service's own session settings.
async fn check_settings(url: &str) -> Result<(), DatabaseError> {
    let plain = Servers::parse(url, Wanted::Primary).map_err(DatabaseError::Url)?;
    plain.look_around().await;
    let mut plain = connect::connect(&plain).await?;
    let (fsync, synchronous_commit, encoding, version): (String, String, String, String) = sqlx::query_as(
        "select current_setting('fsync'), current_setting('synchronous_commit'),
                current_setting('server_encoding'), current_setting('server_version_num')",
    )
    .fetch_one(&mut plain)
    .await?;
    plain.close().await?;
    let refuse = |setting, found: &str, needed| {
        Err(DatabaseError::Setting { setting, found: found.to_owned(), needed })
    };
    if fsync != "on" {
        return refuse("fsync", &fsync, "on");
    }
    if matches!(synchronous_commit.as_str(), "off") {
        return refuse("synchronous_commit", &synchronous_commit, "on, local, remote_write or remote_apply");
    }
    if encoding != "UTF8" {
        return refuse("server_encoding", &encoding, "UTF8");
    }
    if version.parse::<i32>().is_ok_and(|version| version < OLDEST_SERVER) {
        return refuse("server_version_num", &version, "150000 or later");
    }
    Ok(())
}

/// Looks whether the login may do what the service does, and warns if it may do more: the rules that the database holds
/// are held against everybody but their owner.
async fn check_login(connection: &mut PgConnection) -> Result<(), DatabaseError> {
    // By name in the catalogs: whoever may not look into a schema can't name its tables otherwise. Null where there is
    // no table yet.
    let (login, may_write, owns): (String, Option<bool>, Option<bool>) = sqlx::query_as(
        "select current_user::text, bool_and(has_table_privilege(c.oid, 'insert')), bool_or(pg_has_role(c.relowner, 'usage'))
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where (n.nspname, c.relname) in (('ledger', 'event'), ('public', 'VtidLedger'))",
    )
    .fetch_one(connection)
    .await?;
    if may_write == Some(false) {
        return Err(DatabaseError::Login(login));
    }
    if owns == Some(true) {
        tracing::warn!(
            %login,
            "the login is a superuser's or owns the ledger's tables; setup/roles.sql makes one with the service's rights alone"
        );
    }
    Ok(())
}
