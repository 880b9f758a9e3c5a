//! What witnesses added to checkpoints.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use crate::domain::position::Position;
use crate::tlog::key::KeyName;

/// Puts a witness's signature line on record.
///
/// # Errors
/// Whatever the driver says.
pub async fn keep_cosignature(
    connection: &mut PgConnection,
    origin: &KeyName,
    size: Position,
    witness: &KeyName,
    line: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into ledger.cosignature (origin, size, witness, line) values ($1, $2, $3, $4)
         on conflict (origin, size, witness) do nothing",
    )
    .bind(origin.as_str())
    .bind(size.to_i64())
    .bind(witness.as_str())
    .bind(line)
    .execute(connection)
    .await?;
    Ok(())
}

/// A witness's signature line under a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// The checkpoint's size.
    pub size: Position,
    /// Who.
    pub witness: String,
    /// The note's line.
    pub line: String,
}

/// The signature lines that witnesses added to checkpoints of these sizes, in the order of sizes and of witnesses.
///
/// # Errors
/// Whatever the driver says.
pub async fn cosignatures(
    connection: &mut PgConnection,
    origin: &str,
    sizes: &[Position],
) -> Result<Vec<Cosignature>, sqlx::Error> {
    let rows = sqlx::query(
        "select size, witness, line from ledger.cosignature where origin = $1 and size = any($2)
         order by size, witness",
    )
    .bind(origin)
    .bind(sizes.iter().map(|size| size.to_i64()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let cosignature = |row: &PgRow| {
        let size = Position::from_i64(row.try_get("size")?);
        Ok(Cosignature { size, witness: row.try_get("witness")?, line: row.try_get("line")? })
    };
    rows.iter().map(cosignature).collect()
}
