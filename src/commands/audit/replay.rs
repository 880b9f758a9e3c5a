//! `vtid-ledger audit replay`.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Write};
use std::path::Path;

use clap::ValueEnum;

use super::AuditFailure;
use super::print::{JsonList, Table, cell};
use crate::audit::error::AuditError;
use crate::audit::replay::{Point, Replayed, replay, replay_file};
use crate::domain::metadata::Metadata;
use crate::domain::row::write_row;
use crate::domain::task::Task;
use crate::domain::text::Assignee;
use crate::log::servers::Servers;
use crate::progress::Progress;

/// What the rows are printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Into {
    /// A row's most important columns, for people
    Table,
    /// One JSON object a line: the rows that the API returns
    Ndjson,
    /// Comma-separated values, every column
    Csv,
}

impl Into {
    /// For a terminal a table, for whatever else reads it JSON.
    pub(super) fn by_default() -> Self {
        if std::io::stdout().is_terminal() { Self::Table } else { Self::Ndjson }
    }
}

/// From a database.
pub(super) async fn of_ledger(servers: &Servers, point: Point) -> Result<Replayed, AuditError> {
    let mut bar = Progress::on_terminal("events");
    replay(servers, point, |done, total| bar.tell(done, total, "")).await
}

/// From an export.
pub(super) fn of_file(path: &Path, point: Point) -> Result<Replayed, AuditError> {
    let mut bar = Progress::on_terminal("events");
    let source = BufReader::with_capacity(1 << 20, File::open(path)?);
    replay_file(source, point, |done, total| {
        if done.is_multiple_of(1024) {
            bar.tell(done, total, "");
        }
    })
}

/// Prints the rows.
pub(super) fn print(
    replayed: &Replayed,
    into: Into,
    json: bool,
    out: &mut impl Write,
) -> Result<(), AuditFailure> {
    if json {
        let begin = format!(r#"{{"position":{},"count":{},"tasks":["#, replayed.to, replayed.tasks.len());
        let mut list = JsonList::begin(out, &begin)?;
        for task in replayed.tasks.values() {
            list.item(out, &row(task))?;
        }
        writeln!(out, "]}}")?;
        return Ok(());
    }
    match into {
        Into::Ndjson => {
            for task in replayed.tasks.values() {
                writeln!(out, "{}", row(task))?;
            }
        }
        Into::Csv => csv(replayed, out)?,
        Into::Table => table(replayed, out)?,
    }
    Ok(())
}

fn row(task: &Task) -> String {
    let mut text = String::new();
    write_row(task, &mut text);
    text
}

fn csv(replayed: &Replayed, out: &mut impl Write) -> Result<(), AuditFailure> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "id",
        "vtid",
        "task_family",
        "task_type",
        "description",
        "status",
        "assigned_to",
        "tenant",
        "metadata",
        "parent_vtid",
        "created_at",
        "updated_at",
    ])?;
    let metadata = |metadata: &Metadata| {
        let mut text = String::new();
        metadata.object().write_compact(&mut text);
        text
    };
    for task in replayed.tasks.values() {
        let [id, vtid] = [task.id.to_string(), task.vtid.to_string()];
        let [created_at, updated_at] = [task.created_at, task.updated_at].map(|time| time.to_string());
        csv.write_record([
            id.as_str(),
            &vtid,
            task.family.as_str(),
            task.kind.as_str(),
            task.description.as_str(),
            task.status.as_str(),
            task.assigned_to.as_ref().map_or("", Assignee::as_str),
            task.tenant.as_str(),
            &task.metadata.as_ref().map_or(String::new(), metadata),
            &task.parent.map_or(String::new(), |parent| parent.to_string()),
            &created_at,
            &updated_at,
        ])?;
    }
    csv.flush()?;
    Ok(())
}

fn table(replayed: &Replayed, out: &mut impl Write) -> std::io::Result<()> {
    let heads = [
        ("vtid", 14),
        ("status", 9),
        ("assigned to", 12),
        ("tenant", 8),
        ("family", 8),
        ("type", 8),
        ("updated at", 24),
        ("description", 11),
    ];
    let table = Table::begin(out, heads)?;
    for task in replayed.tasks.values() {
        let row = [
            task.vtid.to_string(),
            task.status.to_string(),
            cell(task.assigned_to.as_ref().map_or("", Assignee::as_str)),
            task.tenant.to_string(),
            cell(task.family.as_str()),
            cell(task.kind.as_str()),
            task.updated_at.to_string(),
            cell(task.description.as_str()),
        ];
        table.row(out, &row)?;
    }
    writeln!(out, "{} tasks as of position {}", replayed.tasks.len(), replayed.to)
}
