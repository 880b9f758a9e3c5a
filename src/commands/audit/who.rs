//! `vtid-ledger audit who`.

use std::io::Write;

use super::AuditFailure;
use super::print::{JsonList, Table, asked, cell, write_event};
use crate::audit::who::{Question, who};
use crate::domain::json::{Json, ObjectWriter};
use crate::domain::record::Recorded;
use crate::log::servers::Servers;
use crate::progress::Progress;

/// Lists all that an actor did.
pub(super) async fn run(
    servers: &Servers,
    question: &Question,
    json: bool,
    out: &mut impl Write,
) -> Result<(), AuditFailure> {
    let bar = std::cell::RefCell::new(Progress::on_terminal("positions"));
    let progress = |done, total| bar.borrow_mut().tell(done, total, "");
    let actor = question.actor.as_str();
    let told = if json {
        let begin = format!(r#"{{"actor":{},"events":["#, Json::String(actor.to_owned()).to_compact());
        let mut list = JsonList::begin(out, &begin)?;
        let told = who(servers, question, |recorded| list.item(out, &to_json(recorded)), progress).await;
        writeln!(out, "]}}")?;
        told?
    } else {
        let heads = [
            ("position", 8),
            ("time", 24),
            ("vtid", 14),
            ("version", 7),
            ("event", 14),
            ("tenant", 8),
            ("request", 36),
            ("asked for", 9),
        ];
        let table = Table::begin(out, heads)?;
        who(
            servers,
            question,
            |recorded| bar.borrow().println(|| table.row(out, &to_row(recorded))),
            progress,
        )
        .await?
    };
    drop(bar);
    if !json {
        writeln!(out, "{told} events by {}", super::print::shown(actor))?;
    }
    Ok(())
}

fn to_row(recorded: &Recorded) -> [String; 8] {
    let event = &recorded.event;
    [
        event.position.to_string(),
        event.recorded_at.to_string(),
        event.vtid.to_string(),
        event.version.to_string(),
        event.data.event_type().as_str().to_owned(),
        event.tenant.to_string(),
        event.origin.request_id.to_string(),
        cell(&asked(recorded).unwrap_or(Json::Null).to_compact()),
    ]
}

fn to_json(recorded: &Recorded) -> String {
    let mut text = String::new();
    let mut object = ObjectWriter::new(&mut text);
    write_event(&mut object, recorded);
    object.json("asked", &asked(recorded).unwrap_or(Json::Null));
    object.finish();
    text
}
