//! `vtid-ledger audit diff`.

use std::io::Write;

use super::AuditFailure;
use super::print::{JsonList, shown};
use crate::audit::error::AuditError;
use crate::audit::snapshots::{SnapshotDifference, compare_snapshots};
use crate::audit::verify::told;
use crate::domain::json::ObjectWriter;
use crate::log::connect::connect;
use crate::log::pages::last;
use crate::log::servers::Servers;
use crate::progress::Progress;
use crate::projections::rebuild::{Difference, diff};

/// Compares the read table and the snapshots with the fold of the log, and prints each difference.
pub(super) async fn run(servers: &Servers, json: bool, out: &mut impl Write) -> Result<(), AuditFailure> {
    let mut list = json.then(|| JsonList::begin(out, r#"{"differences":["#)).transpose()?;
    let (rows, in_rows) = rows(servers, &mut list, out).await?;
    let (snapshots, in_snapshots) = snapshots(servers, &mut list, out).await?;
    let different = in_rows + in_snapshots;
    if json {
        writeln!(out, r#"],"tasks":{rows},"snapshots":{snapshots},"different":{different}}}"#)?;
    } else {
        writeln!(out, "{rows} tasks and {snapshots} snapshots compared, {different} different")?;
    }
    if different > 0 { Err(AuditFailure::Different(different)) } else { Ok(()) }
}

/// Tasks, and differences.
async fn rows(
    servers: &Servers,
    list: &mut Option<JsonList>,
    out: &mut impl Write,
) -> Result<(u64, u64), AuditFailure> {
    let mut bar = Progress::on_terminal("tasks");
    let mut printed = Ok(());
    let walked = diff(servers, |walk, differences| {
        for difference in differences {
            if printed.is_ok() {
                printed = bar.println(|| print_row(difference, list, out));
            }
        }
        bar.tell(walk.tasks, walk.total.unwrap_or(0), &format!("{} different", walk.differences()));
    })
    .await
    .map_err(AuditError::from)?;
    printed?;
    Ok((walked.tasks, walked.differences()))
}

fn print_row(
    difference: &Difference,
    list: &mut Option<JsonList>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let Some(list) = list else { return writeln!(out, "{}", shown(&told(difference))) };
    let (vtid, kind, columns): (_, _, &[&str]) = match difference {
        Difference::Missing { vtid } => (vtid, "missing", &[]),
        Difference::Unexpected { vtid } => (vtid, "unexpected", &[]),
        Difference::Changed { vtid, columns } => (vtid, "changed", columns),
    };
    let mut text = String::new();
    let mut object = ObjectWriter::new(&mut text);
    object.string("in", "read table");
    object.string("vtid", vtid);
    object.string("kind", kind);
    object.raw("columns", &serde_json::to_string(columns)?);
    object.finish();
    list.item(out, &text)
}

/// Snapshots, and differences.
async fn snapshots(
    servers: &Servers,
    list: &mut Option<JsonList>,
    out: &mut impl Write,
) -> Result<(u64, u64), AuditFailure> {
    let mut bar = Progress::on_terminal("snapshots");
    let mut connection = connect(servers).await?;
    let head = last(&mut connection).await?.position();
    let mut printed = Ok(());
    let compared = compare_snapshots(&mut connection, head, |compared, differences| {
        for difference in differences {
            if printed.is_ok() {
                printed = bar.println(|| print_snapshot(difference, list, out));
            }
        }
        bar.tell(compared.snapshots, compared.snapshots, &format!("{} different", compared.different));
    })
    .await?;
    printed?;
    Ok((compared.snapshots, compared.different))
}

fn print_snapshot(
    difference: &SnapshotDifference,
    list: &mut Option<JsonList>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let Some(list) = list else { return writeln!(out, "{}", shown(&difference.to_string())) };
    let mut text = String::new();
    let mut object = ObjectWriter::new(&mut text);
    object.string("in", "snapshot");
    object.string("vtid", &difference.vtid);
    object.raw("version", &difference.version.to_string());
    object.number("position", difference.position.get());
    object.string("what", &difference.what);
    object.finish();
    list.item(out, &text)
}
