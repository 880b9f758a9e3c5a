//! The rows: each call is one statement, and one transaction.

use sqlx::{PgConnection, Row};

use super::{ProcessId, Role};

/// A lease as `PostgreSQL` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Who holds it, or held it last.
    pub holder: ProcessId,
    /// How often it has changed hands, or had run out.
    pub term: i64,
    /// Rises with each renewal too.
    pub number: i64,
    /// How much of it was left, in milliseconds: none, once it has run out or was given back.
    pub left_ms: u64,
}

/// Takes the lease, or renews it, for `lasts_ms` from now on, if no other process holds it. Tells who does then; what is
/// left counts from before the statement began to wait for anything, so that it is never more than is left.
///
/// Every version of this program asks for the same time.
///
/// # Errors
/// Whatever the driver says; the lease may have been taken nevertheless.
pub async fn keep(
    connection: &mut PgConnection,
    role: Role,
    process: ProcessId,
    lasts_ms: u64,
) -> Result<Standing, sqlx::Error> {
    let row = sqlx::query(
        "select lease_holder, lease_term, lease_number, left_ms from ledger.keep_lease($1, $2, $3)",
    )
    .bind(role.name())
    .bind(process.0)
    .bind(i64::try_from(lasts_ms).unwrap_or(i64::MAX))
    .fetch_one(connection)
    .await?;
    standing(&row)
}

/// Gives the lease back, if it was not renewed since it was told by that `number`; those who wait for it are notified.
///
/// # Errors
/// Whatever the driver says; it may have been given back nevertheless.
pub async fn give_back(
    connection: &mut PgConnection,
    role: Role,
    process: ProcessId,
    number: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select ledger.give_back_lease($1, $2, $3)")
        .bind(role.name())
        .bind(process.0)
        .bind(number)
        .fetch_one(connection)
        .await
}

/// Who holds the lease, without asking for it; none where nobody ever did.
///
/// # Errors
/// Whatever the driver says.
pub async fn look(connection: &mut PgConnection, role: Role) -> Result<Option<Standing>, sqlx::Error> {
    let row = sqlx::query(
        "select holder as lease_holder, term as lease_term, number as lease_number,
            floor(extract(epoch from until - clock_timestamp()) * 1000)::bigint as left_ms
         from ledger.lease where name = $1 order by number desc limit 1",
    )
    .bind(role.name())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(standing).transpose()
}

fn standing(row: &sqlx::postgres::PgRow) -> Result<Standing, sqlx::Error> {
    let left_ms: i64 = row.try_get("left_ms")?;
    Ok(Standing {
        holder: ProcessId(row.try_get("lease_holder")?),
        term: row.try_get("lease_term")?,
        number: row.try_get("lease_number")?,
        left_ms: u64::try_from(left_ms).unwrap_or(0),
    })
}
