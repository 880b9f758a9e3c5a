//! The database ends what the ledger has under way in it, as an administrator would.

use std::time::Duration;

use fastrand::Rng;
use sqlx::AssertSqlSafe;

use super::stage::Stage;

/// Calls `function` on each of the ledger's connections, a few times; gives how often it was done.
pub(crate) async fn strike(stage: &Stage, function: &'static str, random: &mut Rng) -> usize {
    let mut owner = stage.owner().await;
    let sql = format!(
        "select count(*) filter (where {function}(pid)) from pg_stat_activity
         where datname = current_database() and usename = 'vtid_ledger_service'"
    );
    let mut struck = 0;
    for _ in 0..random.usize(3..12) {
        let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql.clone()));
        struck += usize::try_from(count.fetch_one(&mut owner).await.unwrap()).unwrap();
        tokio::time::sleep(Duration::from_millis(random.u64(20..250))).await;
    }
    struck
}
