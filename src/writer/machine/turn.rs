//! The writer's turn: what it does with what the log shows while nobody can append.

use std::sync::Arc;

use super::group::{Decided, Knowledge, Pending, decide_group, wanted};
use super::io::{Alarm, Closing, Failure, Now, Output};
use super::turning::{After, Turning, Unsettled};
use super::{Phase, Writer, answer_all};
use crate::domain::cursor::Cursor;
use crate::domain::evolve::evolve;
use crate::domain::record::Recorded;
use crate::log::entry::Entry;
use crate::log::hold::Hold;
use crate::log::load::Loaded;
use crate::log::view::{TailView, TurnView};
use crate::writer::answer::WriteError;

/// The pause before a turn that follows a failed one, doubled with each failure.
const PAUSE_MS: u64 = 25;
/// The longest such pause.
const PAUSE_MAX_MS: u64 = 1_000;

impl Writer {
    pub(super) fn open_turn(&mut self, unsettled: Unsettled, out: &mut Vec<Output>) {
        let attempt = self.next_attempt();
        let head = self.head.map(|head| head.cursor);
        let delay_ms = match self.failures {
            0 => 0,
            n => PAUSE_MAX_MS.min(PAUSE_MS << n.min(16)),
        };
        let last = match &unsettled {
            Unsettled::Undecided(_) => None,
            Unsettled::Append(decided, _) => {
                decided.entries.last().map(|entry| Cursor::at(&entry.recorded.event))
            }
        };
        self.phase = Phase::Turning(Turning::Opening(unsettled));
        out.push(Output::OpenTurn { attempt, head, unsettled: last, delay_ms, compare: self.suspect });
    }

    fn reopen_turn(&mut self, unsettled: Unsettled, out: &mut Vec<Output>) {
        self.failures = self.failures.saturating_add(1);
        self.open_turn(unsettled, out);
    }

    pub(super) fn turn_opened(&mut self, now: Now, view: Option<TurnView>, out: &mut Vec<Output>) {
        let unsettled = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Turning(Turning::Opening(unsettled)) => unsettled,
            other => {
                self.phase = other;
                return;
            }
        };
        let Some(TurnView { held, losses, went_in, tail }) = view else {
            self.reopen_turn(unsettled, out);
            return;
        };
        self.suspect = false;
        let unsettled = match unsettled {
            Unsettled::Undecided(mut group) => {
                self.fill(&mut group);
                Unsettled::Undecided(group)
            }
            append @ Unsettled::Append(..) => append,
        };
        self.contended = self.head.is_some() && others_appended(&tail, &unsettled, went_in);
        let given_up = std::mem::replace(&mut self.losses, losses) < losses;
        match unsettled {
            // It had gone in. That holds whatever else has happened since.
            Unsettled::Append(decided, _) if went_in => {
                let after = match tail {
                    TailView::Moved(mut events) => {
                        After::Events(events.split_off(decided.entries.len().min(events.len())))
                    }
                    TailView::FarBehind { head, .. } => After::Far(head),
                    TailView::OtherPast => After::Events(Vec::new()),
                };
                self.close_turn(Turning::Confirming(decided, after), Closing::Confirm, out);
            }
            // Its first event is there and its last is not: the log was cut in the middle of what it had taken whole.
            Unsettled::Append(decided, failure) if held.is_none() && decided.came_next(tail.next()) => {
                self.lost_history(Unsettled::Append(decided, failure), given_up, out);
            }
            // What this writer remembers is lost too: the hold is about that as well.
            unsettled if held.is_some() && tail == TailView::OtherPast && !given_up => {
                self.lost_history(unsettled, false, out);
            }
            unsettled if held.is_some() => self.held(unsettled, &tail, out),
            unsettled => self.settle(now, unsettled, tail, given_up, out),
        }
    }

    /// Nothing of ours had gone in, and nothing will before an operator has decided.
    fn held(&mut self, unsettled: Unsettled, tail: &TailView, out: &mut Vec<Output>) {
        match tail {
            TailView::OtherPast => self.forget_the_log(out),
            TailView::FarBehind { head, .. } => {
                self.cache.clear();
                self.head = Some(*head);
            }
            // Folded on once the hold is gone.
            TailView::Moved(_) => {}
        }
        let verdicts = unsettled.refused(&WriteError::LedgerBehind);
        self.close_turn(Turning::Ending(verdicts), Closing::End, out);
    }

    /// Nothing of ours had gone in. `given_up`: a loss of history was accepted since the log was last looked at.
    fn settle(
        &mut self,
        now: Now,
        unsettled: Unsettled,
        tail: TailView,
        given_up: bool,
        out: &mut Vec<Output>,
    ) {
        match (tail, unsettled) {
            (TailView::OtherPast, unsettled) => self.lost_history(unsettled, given_up, out),
            (TailView::Moved(events), Unsettled::Append(decided, failure)) if events.is_empty() => {
                self.settle_unmoved(now, decided, failure, out);
            }
            (TailView::Moved(events), unsettled) => {
                self.fold_on(events, out);
                self.decide_in_turn(now, unsettled.into_group(), out);
            }
            (TailView::FarBehind { head, .. }, unsettled) => {
                self.cache.clear();
                self.head = Some(head);
                self.decide_in_turn(now, unsettled.into_group(), out);
            }
        }
    }

    /// Nothing was appended since, by us or anybody else: the failure itself says what to do.
    fn settle_unmoved(&mut self, now: Now, decided: Decided, failure: Failure, out: &mut Vec<Output>) {
        match failure {
            Failure::TimeRefused => {
                out.push(Output::Alarm(Alarm::TimeRefused));
                self.close_turn(
                    Turning::Ending(decided.refused(&WriteError::Unavailable)),
                    Closing::End,
                    out,
                );
            }
            // The old statement may still be on its way: the same events again, so that at most one of the two goes in.
            Failure::Unknown | Failure::NotWritten | Failure::NotTheHead | Failure::Held
                if decided.maybe_sent =>
            {
                self.append_in_turn(decided, out);
            }
            // Surely not written: decide anew, without those that were told so meanwhile.
            Failure::Unknown | Failure::NotWritten | Failure::NotTheHead | Failure::Held => {
                self.decide_in_turn(now, decided.into_group(), out);
            }
            Failure::Conflict if !self.conflicted => {
                // Our states do not know of what the log holds: forget them, load again.
                self.conflicted = true;
                self.cache.clear();
                self.decide_in_turn(now, decided.into_group(), out);
            }
            Failure::Conflict | Failure::Refused => self.halve(now, decided.into_group(), out),
        }
    }

    /// Something in the group is refused by the database: halve it until the culprit stands alone.
    fn halve(&mut self, now: Now, mut group: Vec<Pending>, out: &mut Vec<Output>) {
        group.retain(|pending| !pending.answered);
        if group.len() <= 1 {
            out.extend(group.first().map(|_| Output::Alarm(Alarm::CommandRefused)));
            let verdicts = group.into_iter().map(|pending| (pending, Err(WriteError::Internal))).collect();
            self.close_turn(Turning::Ending(verdicts), Closing::End, out);
            return;
        }
        self.group_limit = group.len().div_ceil(2);
        for later in group.split_off(self.group_limit).into_iter().rev() {
            self.queued_bytes += later.bytes;
            self.queue.push_front(later);
        }
        self.decide_in_turn(now, group, out);
    }

    /// The log lost what this writer remembers; `given_up`: an operator has decided so since it was last looked at.
    fn lost_history(&mut self, unsettled: Unsettled, given_up: bool, out: &mut Vec<Output>) {
        if given_up {
            self.forget_the_log(out);
            let verdicts = unsettled.refused(&WriteError::Unavailable);
            self.close_turn(Turning::Ending(verdicts), Closing::End, out);
            return;
        }
        let position = self.head.map_or(Cursor::Start, |head| head.cursor).position();
        let reason = format!("the log has no longer the event at position {position} that this writer knows");
        let hold = Hold::at(position, reason);
        out.push(Output::Alarm(Alarm::LedgerBehind(hold.clone())));
        self.close_turn(Turning::Holding(unsettled), Closing::Hold(hold), out);
    }

    fn forget_the_log(&mut self, out: &mut Vec<Output>) {
        self.head = None;
        self.cache.clear();
        out.push(Output::ForgetTail);
    }

    /// Folds others' events onto the head and onto the states in memory, and hands them to the followers.
    fn fold_on(&mut self, events: Vec<Recorded>, out: &mut Vec<Output>) {
        let Some(head) = &mut self.head else { return };
        let mut entries = Vec::with_capacity(events.len());
        for recorded in events {
            head.advance(&recorded.event);
            let vtid = recorded.event.vtid;
            if let Some(task) = self.cache.get(vtid) {
                match evolve(Some((*task).clone()), &recorded.event) {
                    Ok(task) => self.cache.put(Arc::new(task)),
                    // Loaded again, and then found to be unreadable, when a command needs it.
                    Err(_) => self.cache.forget(vtid),
                }
            }
            entries.push(Arc::new(Entry::read(recorded)));
        }
        if !entries.is_empty() {
            out.push(Output::HandOver(entries));
        }
    }

    /// Decides the group, and what has come to wait since, within the turn.
    fn decide_in_turn(&mut self, now: Now, mut group: Vec<Pending>, out: &mut Vec<Output>) {
        group.retain(|pending| !pending.answered);
        self.fill(&mut group);
        let missing = wanted(&group, |vtid| self.cache.contains(vtid));
        let knowledge = self.known(&group);
        match self.head {
            Some(head) if !missing.is_empty() => {
                let attempt = self.next_attempt();
                self.phase = Phase::Turning(Turning::Loading(group, knowledge));
                out.push(Output::LoadInTurn(attempt, missing, head.cursor.position()));
            }
            _ => self.decided_in_turn(now, group, knowledge, out),
        }
    }

    pub(super) fn loaded_in_turn(
        &mut self,
        now: Now,
        turning: Turning,
        loaded: Option<Loaded>,
        out: &mut Vec<Output>,
    ) {
        match (turning, loaded) {
            (Turning::Loading(group, mut knowledge), Some(loaded)) => {
                knowledge.add(loaded);
                self.decided_in_turn(now, group, knowledge, out);
            }
            (Turning::Loading(group, _), None) => self.reopen_turn(Unsettled::Undecided(group), out),
            (other, _) => self.phase = Phase::Turning(other),
        }
    }

    fn decided_in_turn(
        &mut self,
        now: Now,
        group: Vec<Pending>,
        knowledge: Knowledge,
        out: &mut Vec<Output>,
    ) {
        let Some(head) = self.head else {
            self.reopen_turn(Unsettled::Undecided(group), out);
            return;
        };
        let group = group.into_iter().filter(|pending| !pending.answered).collect();
        // The attempt of the closing that follows.
        let decided = decide_group(group, head, now.wall, self.attempt + 1, self.ledger, knowledge);
        if decided.entries.is_empty() {
            self.close_turn(Turning::Ending(decided.verdicts), Closing::End, out);
        } else {
            self.append_in_turn(decided, out);
        }
    }

    fn append_in_turn(&mut self, decided: Decided, out: &mut Vec<Output>) {
        let closing = Closing::Append(decided.head, decided.entries.clone());
        self.close_turn(Turning::Appending(decided), closing, out);
    }

    fn close_turn(&mut self, turning: Turning, closing: Closing, out: &mut Vec<Output>) {
        let attempt = self.next_attempt();
        self.phase = Phase::Turning(turning);
        out.push(Output::CloseTurn(attempt, closing));
    }

    pub(super) fn turn_closed(&mut self, outcome: Result<(), Failure>, out: &mut Vec<Output>) {
        let turning = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Turning(turning) => turning,
            other => {
                self.phase = other;
                return;
            }
        };
        if outcome.is_ok() {
            self.failures = 0;
        }
        match (turning, outcome) {
            (Turning::Appending(decided), Ok(())) => self.went_in(decided, out),
            // The log or the database said what stands against it: no reason to wait.
            (
                Turning::Appending(decided),
                Err(failure @ (Failure::Conflict | Failure::Refused | Failure::TimeRefused | Failure::Held)),
            ) => self.open_turn(Unsettled::append(decided, failure), out),
            (Turning::Appending(decided), Err(failure)) => {
                self.reopen_turn(Unsettled::append(decided, failure), out);
            }
            (Turning::Confirming(decided, after), Ok(())) => {
                self.went_in(decided, out);
                match after {
                    After::Events(events) => self.fold_on(events, out),
                    After::Far(head) => {
                        self.cache.clear();
                        self.head = Some(head);
                    }
                }
            }
            (Turning::Confirming(decided, _), Err(_)) => {
                self.reopen_turn(Unsettled::append(decided, Failure::Unknown), out);
            }
            (Turning::Holding(unsettled), Ok(())) => {
                self.forget_the_log(out);
                answer_all(unsettled.refused(&WriteError::LedgerBehind), out);
            }
            (Turning::Holding(unsettled), Err(_)) => self.reopen_turn(unsettled, out),
            // What was read under the lock holds, however the transaction ended.
            (Turning::Ending(verdicts), _) => {
                self.conflicted = false;
                answer_all(verdicts, out);
            }
            (turning @ (Turning::Opening(_) | Turning::Loading(..)), _) => {
                self.phase = Phase::Turning(turning);
            }
        }
    }
}

/// Whether somebody else has appended since the remembered head.
fn others_appended(tail: &TailView, unsettled: &Unsettled, went_in: bool) -> bool {
    let own = match unsettled {
        Unsettled::Append(decided, _) if went_in => decided.entries.len(),
        Unsettled::Append(..) | Unsettled::Undecided(_) => 0,
    };
    match tail {
        TailView::Moved(events) => events.len() > own,
        TailView::FarBehind { .. } => true,
        TailView::OtherPast => false,
    }
}
