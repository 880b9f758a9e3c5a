//! What creates cost on disk, measured; and what years of them would cost, computed from that.

use std::time::Duration;

use crate::figures::as_f64;
use crate::report::{Report, put};
use crate::sizes::{Size, Sizes};
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

const PATIENCE: Duration = Duration::from_mins(2);
const TERABYTE: f64 = 1e12;
/// PostgreSQL's limit of one table, at its pages of 8 KiB.
const TABLE_LIMIT: f64 = 32.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0;
const YEAR: f64 = 365.25 * 24.0 * 3600.0;

/// By creates over HTTP, one event each.
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<(), BenchError> {
    let mut stand = Stand::new(bench, "disk", 0).await?;
    let before = Sizes::of(&stand.ledger).await?;
    for _ in 0..bench.settings.rounds {
        stand.creates(MANY, bench.settings.run).await?;
    }
    stand.service.until_caught_up(PATIENCE).await?;
    let (events, after) = (stand.ledger.head().await?, Sizes::of(&stand.ledger).await?);
    let wal = after.wal - before.wal;
    let mut text = format!(
        "Measured over {events} creates at 64 connections ({} bytes of WAL each, {:.1} MB a million, checkpoints' \
         full pages included).\n\n{}\n",
        wal / events.max(1),
        as_f64(wal) / as_f64(events.max(1)),
        after.by_million(events)
    );
    years(&mut text, &after, wal, events);
    report.section("On disk", text);
    stand.end(&bench.servers).await
}

fn years(text: &mut String, sizes: &Sizes, wal: u64, events: u64) {
    let each = |bytes: u64| as_f64(bytes) / as_f64(events.max(1));
    let is_read = |name: &str| name.starts_with("VtidLedger") || name.starts_with("idx_vtid");
    let is_stream = |name: &str| name.starts_with("NATS");
    let is_log = |name: &str| name == "event";
    let table = each(sizes.bytes(is_log));
    let rows = [
        ("the log's table", table),
        ("the log's indexes", each(sizes.bytes(|name| name.starts_with("event_")))),
        ("the read table with its indexes", each(sizes.bytes(is_read))),
        ("the stream in NATS", each(sizes.bytes(is_stream))),
        ("WAL written (archived, if it is)", each(wal)),
    ];
    text.push_str("Computed from it, by the straight line:\n\n| TB | a year at 100 creates/s | a year at 1,000 creates/s |\n|---|--:|--:|\n");
    for (name, bytes) in rows {
        let year = |per_second: f64| bytes * per_second * YEAR / TERABYTE;
        put(text, format_args!("| {name} | {:.2} | {:.2} |\n", year(100.0), year(1_000.0)));
    }
    let limit = |per_second: f64| TABLE_LIMIT / (table * per_second * YEAR);
    put(
        text,
        format_args!(
            "\nThe log's table meets PostgreSQL's limit of 32 TB a table after {:.0} years at 100 creates/s, and after \
             {:.1} years at 1,000: {:.0} thousand million events of this size.\n",
            limit(100.0),
            limit(1_000.0),
            TABLE_LIMIT / table / 1e9
        ),
    );
    let Some(Size { bytes, .. }) = sizes.parts.iter().find(|part| part.name == "progress") else { return };
    put(text, format_args!("The cursors' table does not grow: {bytes} bytes.\n"));
}
