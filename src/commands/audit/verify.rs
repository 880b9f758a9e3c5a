//! `vtid-ledger audit verify`.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::AuditFailure;
use super::print::{Table, shown};
use crate::audit::verify::{
    Check, CheckName, Finding, Outcome, Report, Trusted, verify_file, verify_ledger, verify_stream,
};
use crate::domain::json::ObjectWriter;
use crate::log::servers::Servers;
use crate::oasis::recover::Site;
use crate::progress::Progress;

/// One bar after the other.
#[derive(Default)]
struct Bars(Option<(&'static str, Progress)>);

impl Bars {
    fn tell(&mut self, what: &'static str, done: u64, total: u64) {
        if self.0.as_ref().is_none_or(|(shown, _)| *shown != what) {
            self.0 = Some((what, Progress::on_terminal(what)));
        }
        if let Some((_, bar)) = &mut self.0 {
            bar.tell(done, total, "");
        }
    }
}

/// Verifies an export.
pub(super) fn of_file(path: &Path, trusted: Trusted) -> Result<Report, AuditFailure> {
    let at = |error| AuditFailure::File(path.to_owned(), error);
    let file = File::open(path).map_err(at)?;
    let bytes = file.metadata().map_err(at)?.len();
    let mut bars = Bars::default();
    verify_file(file, trusted, |done| bars.tell("bytes", done, bytes)).map_err(at)
}

/// Verifies a ledger where it stands; with a `site` its stream too.
pub(super) async fn of_ledger(
    servers: &Servers,
    site: Result<Option<Site>, AuditFailure>,
    trusted: Trusted,
) -> Result<Report, AuditFailure> {
    let mut bars = Bars::default();
    let mut progress = |what, done, total| bars.tell(what, done, total);
    let mut report = verify_ledger(servers, trusted, &mut progress).await?;
    match site {
        Ok(Some(site)) => verify_stream(&site, &mut report, &mut progress).await,
        Ok(None) => report.checks.push(Check::left_out(CheckName::Stream, "NATS_URL is not set")),
        Err(error) => {
            let mut check = Check::new(CheckName::Stream);
            check.unfinished(&error);
            report.checks.push(check);
        }
    }
    Ok(report)
}

/// Prints a report; fails if anything is wrong.
pub(super) fn print(report: &Report, json: bool, out: &mut impl Write) -> Result<(), AuditFailure> {
    if json {
        print_json(report, out)?;
    } else {
        print_table(report, out)?;
    }
    match report.first_wrong() {
        Some((check, finding)) => {
            Err(AuditFailure::Wrong(format!("{}{check}: {}", finding.place(), shown(&finding.what))))
        }
        None => Ok(()),
    }
}

fn print_table(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let table = Table::begin(out, [("check", 16), ("looked at", 10), ("result", 6)])?;
    for Check { name, looked_at, outcome } in &report.checks {
        let result = match outcome {
            Outcome::Good => "good".to_owned(),
            Outcome::LeftOut(why) => format!("left out: {why}"),
            Outcome::Bad(finding, 1) => format!("WRONG: {}{}", finding.place(), shown(&finding.what)),
            Outcome::Bad(finding, count) => {
                format!("WRONG: {}{} (the first of {count})", finding.place(), shown(&finding.what))
            }
        };
        table.row(out, &[name.to_string(), looked_at.to_string(), result])?;
    }
    writeln!(out, "{} events, root {}", report.events, report.root)?;
    for note in &report.notes {
        writeln!(out, "note: {}", shown(note))?;
    }
    Ok(())
}

fn print_json(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let mut text = String::new();
    let mut object = ObjectWriter::new(&mut text);
    object.raw("ok", if report.is_bad() { "false" } else { "true" });
    object.number("events", report.events);
    object.plain("root", report.root);
    object.print("first_wrong", |out| match report.first_wrong() {
        Some((check, finding)) => write_finding(out, Some(check), finding),
        None => out.push_str("null"),
    });
    object.print("checks", |out| {
        out.push('[');
        for (index, check) in report.checks.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_check(out, check);
        }
        out.push(']');
    });
    object.raw("notes", &serde_json::to_string(&report.notes)?);
    object.finish();
    writeln!(out, "{text}")
}

fn write_check(out: &mut String, check: &Check) {
    let mut object = ObjectWriter::new(out);
    object.string("check", check.name.as_str());
    object.number("looked_at", check.looked_at);
    match &check.outcome {
        Outcome::Good => object.string("result", "good"),
        Outcome::LeftOut(why) => {
            object.string("result", "left_out");
            object.string("why", why);
        }
        Outcome::Bad(finding, count) => {
            object.string("result", "wrong");
            object.number("wrong", *count);
            object.print("first", |out| write_finding(out, None, finding));
        }
    }
    object.finish();
}

fn write_finding(out: &mut String, check: Option<CheckName>, finding: &Finding) {
    let mut object = ObjectWriter::new(out);
    object.string_if_some("check", check.map(CheckName::as_str));
    match finding.position {
        Some(position) => object.number("position", position.get()),
        None => object.null("position"),
    }
    // Only where it can't be told exactly.
    if let Some(last) = finding.up_to {
        object.number("up_to", last.get());
    }
    match finding.line {
        Some(line) => object.number("line", line),
        None => object.null("line"),
    }
    object.string("what", &finding.what);
    object.finish();
}
