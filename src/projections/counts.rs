//! How many tasks there are, by status, family and tenant.

use sqlx::{FromRow, PgConnection};

/// A number of tasks that have these in common.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TaskCount {
    /// Their status.
    pub status: String,
    /// Their family, or [`OTHER`].
    pub family: String,
    /// Their tenant, or [`OTHER`].
    pub tenant: String,
    /// How many.
    pub tasks: i64,
}

/// Stands for the families and tenants of all tasks that are not in one of the largest sets.
pub const OTHER: &str = "other";

/// Counts the tasks of the `most` largest sets one by one, and of each status what is left. Reads the whole table.
///
/// # Errors
/// Whatever the driver says.
pub async fn count_tasks(connection: &mut PgConnection, most: u16) -> Result<Vec<TaskCount>, sqlx::Error> {
    // Grouped once more at the end: a family may be named `other`.
    sqlx::query_as(
        r#"with sets as (
               select status, task_family, tenant, count(*) as tasks,
                   row_number() over (order by count(*) desc, status, task_family, tenant) as place
               from "VtidLedger" group by status, task_family, tenant
           ), named as (
               select status, case when place <= $1 then task_family else $2 end as family,
                   case when place <= $1 then tenant else $2 end as tenant, tasks
               from sets
           )
           select status, family, tenant, sum(tasks)::bigint as tasks from named
           group by status, family, tenant order by status, family, tenant"#,
    )
    .bind(i64::from(most))
    .bind(OTHER)
    .fetch_all(connection)
    .await
}
