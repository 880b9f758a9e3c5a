//! The verifier keys that checkpoints were signed with.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use crate::domain::time::Timestamp;
use crate::tlog::key::{KeyName, PublicKey};

/// Puts a verifier key on record, if it is not.
///
/// # Errors
/// Whatever the driver says.
pub async fn keep_key(
    connection: &mut PgConnection,
    origin: &KeyName,
    key: &PublicKey,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.audit_key (origin, verifier) values ($1, $2) on conflict (origin, verifier) do nothing",
    )
    .bind(origin.as_str())
    .bind(key.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// The verifier keys of an origin, oldest first, as they are on record.
///
/// # Errors
/// Whatever the driver says.
pub async fn keys(connection: &mut PgConnection, origin: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select verifier from ledger.audit_key where origin = $1 order by first_used, verifier",
    )
    .bind(origin)
    .fetch_all(connection)
    .await
}

/// A verifier key, as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOnRecord {
    /// The log's name.
    pub origin: String,
    /// The key, as `signed-note` prints it.
    pub verifier: String,
    /// Since when.
    pub first_used: Timestamp,
}

/// The verifier keys of all origins, `max` of them at most.
///
/// # Errors
/// Whatever the driver says.
pub async fn all_keys(connection: &mut PgConnection, max: u32) -> Result<Vec<KeyOnRecord>, sqlx::Error> {
    let rows = sqlx::query(
        "select origin, verifier,
            least(greatest(first_used, '0001-01-01 00:00:00Z'), '9999-12-31 23:59:59.999Z') as first_used
         from ledger.audit_key order by origin, verifier limit $1",
    )
    .bind(i64::from(max))
    .fetch_all(connection)
    .await?;
    let key = |row: &PgRow| {
        let (origin, verifier) = (row.try_get("origin")?, row.try_get("verifier")?);
        Ok(KeyOnRecord { origin, verifier, first_used: Timestamp::from_datetime(row.try_get("first_used")?) })
    };
    rows.iter().map(key).collect()
}
