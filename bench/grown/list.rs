//! Lists of 50 by tenant and status beside the same SQL by `pgbench`.

use std::time::Duration;

use sqlx::Connection as _;

use crate::lines::told;
use crate::pgbench::Work;
use crate::report::Report;
use crate::row::{Goal, Runs};
use crate::seed::{STATUSES, TENANTS};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

/// For a look at what the ledger sends.
const LOOK: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// A page of 50, and one row more that tells whether there is another page.
const ROWS: &str = "51";

/// The statement is the one that the ledger sends under that very load.
pub(crate) async fn measure(bench: &Bench, report: &mut Report, stand: &Stand) -> Result<(), BenchError> {
    let statement = tokio::select! {
        statement = overheard(stand) => statement?,
        lists = stand.lists(MANY, LOOK) => {
            lists?;
            return Err(BenchError::Statement("none was seen".to_owned()));
        }
    };
    stand.lists(MANY, Duration::from_secs(1)).await?;
    let scripts =
        STATUSES.iter().map(|status| script(&statement, status.as_str())).collect::<Result<Vec<_>, _>>()?;
    let work = Work { database: stand.ledger.owner_url(), scripts: &scripts, variables: &[] };
    let mut runs = Runs::default();
    for _ in 0..bench.settings.rounds {
        runs.ledger.push(stand.lists(MANY, bench.settings.run).await?);
        let rows = bench.yardstick.run(&work, MANY, bench.settings.run).await?;
        runs.yardstick.push(told("pgbench, the same SQL", rows));
    }
    let scale = format!("{} tasks, 40 tenants, 4 statuses", stand.tasks.count);
    let what = "list of 50 by tenant and status, 64";
    report.row(runs.rates(what, &scale, "the same SQL by pgbench", Goal::AtLeast(0.5))?);
    Ok(())
}

/// What the ledger sends for a list, from PostgreSQL's view of its sessions.
async fn overheard(stand: &Stand) -> Result<String, BenchError> {
    let mut connection = stand.ledger.connect().await?;
    loop {
        let seen: Option<String> = sqlx::query_scalar(
            "select query from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and query like '%\"VtidLedger\"%'
                 and query like '%tenant = $%' and query like '%status = $%'
             limit 1",
        )
        .fetch_optional(&mut connection)
        .await?;
        if let Some(seen) = seen {
            connection.close().await?;
            return Ok(seen);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same for `pgbench`: a tenant at random, this status, as many rows.
fn script(statement: &str, status: &str) -> Result<String, BenchError> {
    let tenant = "'tenant-' || :tenant::bigint::text";
    let status = format!("'{status}'");
    let mut text = statement.to_owned();
    for (place, value) in [("tenant = ", tenant), ("status = ", status.as_str()), ("limit ", ROWS)] {
        text = placed(&text, place, value).ok_or_else(|| BenchError::Statement(statement.to_owned()))?;
    }
    if text.contains('$') {
        return Err(BenchError::Statement(text));
    }
    Ok(format!("\\set tenant random({}, {})\n{text};\n", TENANTS.start(), TENANTS.end()))
}

/// Puts a value in the place of the parameter after these words.
fn placed(statement: &str, words: &str, value: &str) -> Option<String> {
    let (before, after) = statement.split_once(&format!("{words}$"))?;
    let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
    Some(format!("{before}{words}{value}{after}"))
}
