//! Auditing: the rules, the quick look, exports, and the commands as an auditor types them.

mod checkpoints;
mod commands;
mod exports;
mod found;
mod glances;
mod hostile;
mod live;
mod logs;
mod offline;
mod rules;
mod sealed;
mod transfer;

use serde_json::Value;

use crate::support::eventually;
use crate::support::service::Platform;

/// Waits until the read table shows everything and the stream holds it.
async fn caught_up(platform: &Platform, events: u64) {
    let mut connection = platform.connection().await;
    eventually("the projection", async || {
        let at: Option<i64> = sqlx::query_scalar("select max(position) from ledger.progress")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        (at == i64::try_from(events).ok()).then_some(())
    })
    .await;
    eventually("the stream", async || (platform.stream_length().await == events).then_some(())).await;
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The VTID so many numbers further.
fn next(vtid: &str, further: u64) -> String {
    let (front, number) = vtid.rsplit_once('-').unwrap();
    format!("{front}-{:04}", number.parse::<u64>().unwrap() + further)
}
