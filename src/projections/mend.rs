//! Mending one range of the read table, in one short transaction that keeps the projector out.

use sqlx::{Connection, PgConnection};

use super::tasks::{NAME, ProjectionError, REVISION, progress};
use super::walk::{Difference, Fold};
use crate::domain::task::Task;

/// Events that are folded while the projector is kept out, at most.
const MAX_BEHIND: u64 = 512;
/// Looks at a cursor that runs away before the projector is kept out nevertheless.
const CHASES: u32 = 64;

/// What became of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mended {
    /// Its rows are what the log says, and the rebuild has come so far.
    Done(Vec<Difference>),
    /// Another process rebuilds too and was faster, or the database lost its last commits: look again.
    Elsewhere,
}

/// Mends the range of `fold`.
pub(super) async fn mend_range(
    connection: &mut PgConnection,
    mut fold: Fold,
) -> Result<Mended, ProjectionError> {
    for chase in 0.. {
        let cursor = progress(connection).await?.cursor;
        fold.catch_up(connection, cursor).await?;
        let mut transaction = connection.begin().await?;
        // The projector waits as long as this does, so it waits no longer than that.
        sqlx::raw_sql("set local lock_timeout = '1s'; set local statement_timeout = '5s'")
            .execute(&mut *transaction)
            .await?;
        lock(&mut transaction).await?;
        let now = progress(&mut transaction).await?;
        let Some(behind) = fold.behind(now.cursor) else { return Ok(Mended::Elsewhere) };
        if behind > MAX_BEHIND && chase < CHASES {
            transaction.rollback().await?;
            continue;
        }
        fold.catch_up(&mut transaction, now.cursor).await?;
        let differences = fold.compare(&mut transaction).await?;
        write(&mut transaction, &fold, &differences).await?;
        if !advance(&mut transaction, &fold).await? {
            return Ok(Mended::Elsewhere);
        }
        transaction.commit().await?;
        return Ok(Mended::Done(differences));
    }
    Ok(Mended::Elsewhere)
}

/// Keeps every projector out until the transaction ends.
pub(super) async fn lock(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("select pg_advisory_xact_lock(ledger.projection_lock($1))")
        .bind(NAME)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Notes how far the rebuild has come; false if it is not where this process thought.
async fn advance(transaction: &mut PgConnection, fold: &Fold) -> Result<bool, sqlx::Error> {
    let done = match &fold.range.to {
        Some(to) => {
            sqlx::query(
                "update ledger.projection set mended_to = $4
                 where name = $1 and mending_revision = $2 and mended_to = $3",
            )
            .bind(NAME)
            .bind(REVISION)
            .bind(&fold.range.after)
            .bind(to)
            .execute(transaction)
            .await?
        }
        None => {
            sqlx::query(
                "update ledger.projection set revision = $2, mending_revision = null, mended_to = null
                 where name = $1 and mending_revision = $2 and mended_to = $3",
            )
            .bind(NAME)
            .bind(REVISION)
            .bind(&fold.range.after)
            .execute(transaction)
            .await?
        }
    };
    Ok(done.rows_affected() == 1)
}

async fn write(
    transaction: &mut PgConnection,
    fold: &Fold,
    differences: &[Difference],
) -> Result<(), sqlx::Error> {
    let mut unexpected = Vec::new();
    let mut wanted = Vec::new();
    for difference in differences {
        match difference {
            Difference::Unexpected { vtid } => unexpected.push(vtid.as_str()),
            Difference::Missing { vtid } | Difference::Changed { vtid, .. } => {
                wanted.extend(fold.tasks.get(vtid));
            }
        }
    }
    if !unexpected.is_empty() {
        sqlx::query(r#"delete from "VtidLedger" where vtid = any($1)"#)
            .bind(unexpected)
            .execute(&mut *transaction)
            .await?;
    }
    if !wanted.is_empty() {
        free_ids(transaction, &wanted).await?;
        super::write::upsert(transaction, &wanted).await?;
    }
    Ok(())
}

/// Rows that bear the id of another task were edited. They get any other id, so that they neither block that task's
/// row nor vanish before their own turn comes.
async fn free_ids(transaction: &mut PgConnection, wanted: &[&Task]) -> Result<(), sqlx::Error> {
    let ids: Vec<String> = wanted.iter().map(|task| task.id.to_string()).collect();
    let vtids: Vec<String> = wanted.iter().map(|task| task.vtid.to_string()).collect();
    sqlx::query(
        r#"update "VtidLedger" t set id = gen_random_uuid()::text
           from unnest($1::text[], $2::text[]) as w (id, vtid) where t.id = w.id and t.vtid <> w.vtid"#,
    )
    .bind(ids)
    .bind(vtids)
    .execute(transaction)
    .await?;
    Ok(())
}
