//! Whether every answer is explained by one order that respects real time. The log is that order: what was answered before
//! something else was sent stands in front of it, and a read shows the state at its place.

use std::collections::BTreeMap;

use super::checker::Written;
use super::folded::Folded;
use super::history::{Asked, Call, Moment, Seen, Told};
use super::objection::Objection;

/// For each moment the highest value that was told before it, and by whom.
#[derive(Default)]
struct Highest<'a>(Vec<(Moment, u64, &'a str)>);

impl<'a> Highest<'a> {
    /// Of answers with their values.
    fn of(mut told: Vec<(Moment, u64, &'a str)>) -> Self {
        told.sort_unstable();
        let mut highest: Vec<(Moment, u64, &str)> = Vec::with_capacity(told.len());
        for (moment, value, request) in told {
            let (value, request) = match highest.last() {
                Some((_, higher, by)) if *higher >= value => (*higher, *by),
                _ => (value, request),
            };
            highest.push((moment, value, request));
        }
        Self(highest)
    }

    fn before(&self, moment: Moment) -> Option<(u64, &'a str)> {
        let count = self.0.partition_point(|(told, _, _)| *told < moment);
        count.checked_sub(1).map(|last| (self.0[last].1, self.0[last].2))
    }
}

/// Finds the answers that no such order explains.
pub(crate) fn check(history: &[Call], written: &Written, folded: &Folded, found: &mut Vec<Objection>) {
    let told = history.iter().filter_map(|call| Some((call.answered, call.acknowledged()?, &*call.request)));
    let acknowledged = Highest::of(told.collect());
    let sent = Sent::of(history, written);
    writes_follow_what_was_answered(history, written, &acknowledged, found);
    for call in history {
        match (&call.asked, &call.told) {
            (_, Told::Written { seen, replayed }) => {
                if *replayed && written.contains_key(&*call.request) {
                    found.push(Objection::WrongAnswer(call.request.clone()));
                }
                answer_is_of_the_log(call, seen, written, folded, found);
            }
            (Asked::Patch { vtid }, Told::Refused { from: Some(from), .. }) => {
                let known = acknowledged.before(call.sent).map_or(0, |(position, _)| position);
                let since = folded.at(vtid, known).map_or(0, |state| state.version);
                let could_be = |position: u64| sent.before(position).is_some_and(|at| at < call.answered);
                let mut states = folded.states(vtid).iter().filter(|state| state.version >= since);
                if !states.any(|state| state.status == *from && could_be(state.position)) {
                    found.push(Objection::WrongRefusal(call.request.clone()));
                }
            }
            // It was acknowledged before anybody asked for it.
            (Asked::Patch { .. }, Told::Refused { status: 404, .. }) => {
                found.push(Objection::WrongRefusal(call.request.clone()));
            }
            _ => {}
        }
    }
    reads_show_their_place(history, folded, &sent, found);
    reads_do_not_go_back(history, found);
}

/// When everything up to a position had been sent.
struct Sent(Vec<(u64, Moment)>);

impl Sent {
    fn of(history: &[Call], written: &Written) -> Self {
        let mut sent: Vec<(u64, Moment)> = history
            .iter()
            .flat_map(|call| {
                let events = written.get(call.request.as_str()).into_iter().flatten();
                events.map(|recorded| (recorded.event.position.get(), call.sent))
            })
            .collect();
        sent.sort_unstable();
        let mut latest = Moment::ZERO;
        for (_, moment) in &mut sent {
            latest = latest.max(*moment);
            *moment = latest;
        }
        Self(sent)
    }

    /// None for a position that the log does not have.
    fn before(&self, position: u64) -> Option<Moment> {
        let index = self.0.binary_search_by_key(&position, |(position, _)| *position);
        index.ok().map(|index| self.0[index].1)
    }
}

fn writes_follow_what_was_answered(
    history: &[Call],
    written: &Written,
    acknowledged: &Highest,
    found: &mut Vec<Objection>,
) {
    for call in history {
        let first = written.get(call.request.as_str()).and_then(|events| events.first());
        let (Some(first), Some((highest, by))) = (first, acknowledged.before(call.sent)) else { continue };
        if first.event.position.get() <= highest {
            found.push(Objection::Reordered(by.to_owned(), call.request.clone()));
        }
    }
}

/// Position, version and row are those of the write's last event; a replay's those of an earlier try.
fn answer_is_of_the_log(
    call: &Call,
    seen: &Seen,
    written: &Written,
    folded: &Folded,
    found: &mut Vec<Objection>,
) {
    let vtid = seen.row["vtid"].as_str().unwrap_or_default();
    let of_this_task = match &call.asked {
        Asked::Patch { vtid: patched } => patched == vtid,
        _ => true,
    };
    let own = written.get(call.request.as_str()).and_then(|events| events.last());
    let own = own.is_none_or(|last| last.event.position.get() == seen.position);
    let state = folded.at(vtid, seen.position);
    let shows = state.is_some_and(|state| {
        state.position == seen.position && state.version == seen.version && state.row == seen.row
    });
    // What is not in the log at all is lost, and told as such.
    let is_there = !folded.states(vtid).is_empty();
    let fits = of_this_task && own && shows;
    if is_there && !fits {
        found.push(Objection::WrongAnswer(call.request.clone()));
    }
}

fn reads_show_their_place(history: &[Call], folded: &Folded, sent: &Sent, found: &mut Vec<Objection>) {
    let mut by_process: BTreeMap<u32, Vec<(Moment, u64, &str)>> = BTreeMap::new();
    for call in history {
        if let Some(position) = call.acknowledged() {
            by_process.entry(call.process).or_default().push((call.answered, position, &call.request));
        }
    }
    // What one process has acknowledged its reads show; those of another show what they are asked for.
    let by_process: BTreeMap<u32, Highest> =
        by_process.into_iter().map(|(process, told)| (process, Highest::of(told))).collect();
    for call in history {
        let known = by_process.get(&call.process).and_then(|highest| highest.before(call.sent));
        let floor = known.map_or(0, |(position, _)| position).max(call.asked.at_least());
        let at_its_place = |position: u64| {
            if position < floor {
                Err(Objection::StaleRead(call.request.clone()))
            } else if position > 0 && sent.before(position).is_none_or(|at| at > call.answered) {
                Err(Objection::EarlyRead(call.request.clone()))
            } else {
                Ok(())
            }
        };
        match (&call.asked, &call.told) {
            (Asked::Get { vtid, .. }, Told::Shown(seen)) => {
                let state = folded.at(vtid, seen.position);
                if let Err(objection) = at_its_place(seen.position) {
                    found.push(objection);
                } else if state.is_none_or(|s| s.version != seen.version || s.row != seen.row) {
                    found.push(Objection::WrongRead(call.request.clone()));
                }
            }
            (Asked::Get { vtid, .. }, Told::Refused { .. }) if folded.at(vtid, floor).is_some() => {
                found.push(Objection::StaleRead(call.request.clone()));
            }
            (Asked::List { status, limit, .. }, Told::Listed { position, rows }) => {
                if let Err(objection) = at_its_place(*position) {
                    found.push(objection);
                } else if !folded.newest(*position, *status).take(*limit).eq(rows) {
                    found.push(Objection::WrongRead(call.request.clone()));
                }
            }
            _ => {}
        }
    }
}

/// Of one task, by one process.
fn reads_do_not_go_back(history: &[Call], found: &mut Vec<Objection>) {
    let mut reads: BTreeMap<(&str, u32), Vec<(&Call, u64)>> = BTreeMap::new();
    for call in history {
        if let (Asked::Get { vtid, .. }, Told::Shown(seen)) = (&call.asked, &call.told) {
            reads.entry((vtid, call.process)).or_default().push((call, seen.version));
        }
    }
    for reads in reads.values() {
        let told = reads.iter().map(|(call, version)| (call.answered, *version, &*call.request));
        let highest = Highest::of(told.collect());
        for (call, version) in reads {
            if let Some((_, by)) = highest.before(call.sent).filter(|(higher, _)| higher > version) {
                found.push(Objection::ReadsWentBack(by.to_owned(), call.request.clone()));
            }
        }
    }
}
