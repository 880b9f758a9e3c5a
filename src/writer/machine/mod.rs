//! The writer as a pure state machine: no clock, no randomness, no socket, no SQL.
//!
//! ```text
//!          group              nothing to load
//!  Idle ─────────▶ Loading ──────────────────▶ Appending ──▶ answered, Idle
//!   ▲                 │                       ╱    │
//!   │                 │      (all refused)   ╱     │ anything but success
//!   │                 ▼                     ▼      ▼
//!   └──────────── Turning ◀───────────── Looking ──┘
//! ```
//! One operation is under way at a time; its outcome comes back under its attempt. Whatever comes back other than
//! success is settled in one way: by the turn (`turn.rs`), in which no append is in flight anywhere. Nothing is
//! appended and nobody is told "refused" before that.
//!
//! Where others append too, as the last turn showed, the next group begins with a turn at once: an append on a head that is
//! most likely another one by now would only be work for nothing. What comes while it waits for its turn goes in with it.

mod cache;
mod group;
mod io;
mod turn;
mod turning;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::domain::record::LedgerId;
use crate::log::entry::Entry;
use crate::log::head::Head;
use crate::log::hold::Losses;
use crate::writer::answer::WriteError;
use cache::Cache;
use group::{Decided, Knowledge, Pending, Verdict, decide_group, unsent, wanted};
pub use io::{Alarm, Attempt, Closing, Failure, Input, Now, Output, Submitted, Ticket};
use turning::{Turning, Unsettled};

/// How much the writer takes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WriterLimits {
    /// Commands that wait, at most; a further one is told to come again.
    pub queue_commands: usize,
    /// Bytes that wait, at most.
    pub queue_bytes: usize,
    /// Commands of a group at most.
    pub group_commands: usize,
    /// Bytes of a group at most (one command always fits).
    pub group_bytes: usize,
    /// Bytes of task states kept in memory.
    pub cache_bytes: usize,
}

impl Default for WriterLimits {
    fn default() -> Self {
        Self {
            queue_commands: 4096,
            queue_bytes: 64 << 20,
            group_commands: 512,
            group_bytes: 4 << 20,
            cache_bytes: 32 << 20,
        }
    }
}

/// The writer's whole state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Writer {
    limits: WriterLimits,
    ledger: LedgerId,
    /// The log's head as this writer knows it; none before the first turn.
    head: Option<Head>,
    cache: Cache,
    queue: VecDeque<Pending>,
    queued_bytes: usize,
    phase: Phase,
    /// Counts operations, and so decisions.
    attempt: Attempt,
    /// Commands of the next group at most: halved while the database refuses something, doubled when it does not.
    group_limit: usize,
    /// Turns that failed since the last one that did not, for the pause before the next.
    failures: u32,
    /// The database has just refused a key or a version that the loaded states do not know of.
    conflicted: bool,
    /// The database did not answer, or was not asked yet: behind the next connection may be one that lost history, with
    /// this writer's head in it. Nothing is appended before stream and log were compared.
    suspect: bool,
    /// The losses that had been accepted when the head was last looked at.
    losses: Losses,
    /// The last turn showed events of others: most likely there are further ones by now.
    contended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    /// Waiting for commands.
    Idle,
    /// The group's states are being loaded.
    Loading(Vec<Pending>, Knowledge),
    /// The group's events are being appended.
    Appending(Decided),
    /// The head on which everything in the group was refused is being confirmed.
    Looking(Decided),
    /// An outcome is being settled.
    Turning(Turning),
}

impl Writer {
    /// A writer that knows nothing of the log yet; give it [`Input::Start`] first.
    #[must_use]
    pub fn new(ledger: LedgerId, limits: WriterLimits) -> Self {
        let (cache, group_limit) = (Cache::new(limits.cache_bytes), limits.group_commands);
        let (queue, phase) = (VecDeque::new(), Phase::Idle);
        Self {
            limits,
            ledger,
            head: None,
            cache,
            queue,
            queued_bytes: 0,
            phase,
            attempt: 0,
            group_limit,
            failures: 0,
            conflicted: false,
            suspect: true,
            losses: Losses::default(),
            contended: false,
        }
    }

    /// Takes what happened, and says what to do.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.suspect |= self.lost_connection(&input);
        match input {
            Input::Submit(submitted) => {
                for submitted in submitted {
                    self.submit(submitted, &mut out);
                }
            }
            Input::Loaded(attempt, loaded) if attempt == self.attempt => {
                match std::mem::replace(&mut self.phase, Phase::Idle) {
                    Phase::Loading(group, mut knowledge) => match loaded {
                        Some(loaded) => {
                            knowledge.add(loaded);
                            self.decide(now, group, knowledge, &mut out);
                        }
                        None => self.open_turn(Unsettled::Undecided(group), &mut out),
                    },
                    Phase::Turning(turning) => self.loaded_in_turn(now, turning, loaded, &mut out),
                    other => self.phase = other,
                }
            }
            Input::Appended(attempt, outcome) if attempt == self.attempt => {
                match (std::mem::replace(&mut self.phase, Phase::Idle), outcome) {
                    (Phase::Appending(decided), Ok(())) => self.went_in(decided, &mut out),
                    (Phase::Appending(decided), Err(failure)) => {
                        self.open_turn(Unsettled::append(decided, failure), &mut out);
                    }
                    (other, _) => self.phase = other,
                }
            }
            Input::HeadSeen(attempt, same) if attempt == self.attempt => {
                match std::mem::replace(&mut self.phase, Phase::Idle) {
                    Phase::Looking(decided) if same == Some(true) => answer_all(decided.verdicts, &mut out),
                    Phase::Looking(decided) => {
                        let group = decided.verdicts.into_iter().map(|(pending, _)| pending).collect();
                        self.open_turn(Unsettled::Undecided(group), &mut out);
                    }
                    other => self.phase = other,
                }
            }
            Input::TurnOpened(attempt, view) if attempt == self.attempt => {
                self.turn_opened(now, view, &mut out);
            }
            Input::TurnClosed(attempt, outcome) if attempt == self.attempt => {
                self.turn_closed(outcome, &mut out);
            }
            Input::Tick => self.expire(now, &mut out),
            // A late outcome of an attempt that was settled otherwise.
            // Nothing to do but what follows: a writer without a head looks for it.
            Input::Start
            | Input::Loaded(..)
            | Input::Appended(..)
            | Input::HeadSeen(..)
            | Input::TurnOpened(..)
            | Input::TurnClosed(..) => {}
        }
        self.begin_group(now, &mut out);
        out
    }

    /// Whether the database's answer to what is under way was lost.
    fn lost_connection(&self, input: &Input) -> bool {
        let lost =
            |outcome: &Result<(), Failure>| matches!(outcome, Err(Failure::Unknown | Failure::NotWritten));
        match input {
            Input::Loaded(attempt, loaded) => *attempt == self.attempt && loaded.is_none(),
            Input::HeadSeen(attempt, same) => *attempt == self.attempt && same.is_none(),
            Input::TurnOpened(attempt, view) => *attempt == self.attempt && view.is_none(),
            Input::Appended(attempt, outcome) | Input::TurnClosed(attempt, outcome) => {
                *attempt == self.attempt && lost(outcome)
            }
            Input::Start | Input::Submit(_) | Input::Tick => false,
        }
    }

    /// How many losses had been accepted when the head was last looked at.
    #[must_use]
    pub fn losses(&self) -> Losses {
        self.losses
    }

    /// The log's head as far as this writer knows it; none before its first look, and once history was lost.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    fn submit(&mut self, submitted: Submitted, out: &mut Vec<Output>) {
        let Submitted { ticket, command, seed, deadline_ms } = submitted;
        let bytes = command.approximate_bytes();
        let full = self.queue.len() >= self.limits.queue_commands
            || self.queued_bytes.saturating_add(bytes) > self.limits.queue_bytes;
        if full {
            out.push(Output::Answer(ticket, Err(WriteError::Unavailable)));
            return;
        }
        self.queued_bytes += bytes;
        self.queue.push_back(Pending { ticket, command, seed, deadline_ms, bytes, answered: false });
    }

    /// Takes the next group, if nothing is under way. Without a head, or after the database did not answer, looks at the
    /// log first, whether somebody waits or not. In a turn the group is taken once the turn has come.
    fn begin_group(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.phase != Phase::Idle {
            return;
        }
        let Some(head) = self.head.filter(|_| !self.suspect) else {
            self.open_turn(Unsettled::Undecided(Vec::new()), out);
            return;
        };
        if self.queue.is_empty() {
            return;
        }
        if self.contended {
            self.open_turn(Unsettled::Undecided(Vec::new()), out);
            return;
        }
        let mut group = Vec::new();
        self.fill(&mut group);
        let missing = wanted(&group, |vtid| self.cache.contains(vtid));
        let knowledge = self.known(&group);
        if missing.is_empty() {
            self.decide(now, group, knowledge, out);
        } else {
            let attempt = self.next_attempt();
            self.phase = Phase::Loading(group, knowledge);
            out.push(Output::Load(attempt, missing, head.cursor.position()));
        }
    }

    /// Adds to the group what waits, as far as it may.
    fn fill(&mut self, group: &mut Vec<Pending>) {
        let mut bytes: usize = group.iter().map(|pending| pending.bytes).sum();
        while let Some(next) = self.queue.front() {
            let fits = bytes + next.bytes <= self.limits.group_bytes && group.len() < self.group_limit;
            if !(group.is_empty() || fits) {
                break;
            }
            bytes += next.bytes;
            self.queued_bytes -= next.bytes;
            group.extend(self.queue.pop_front());
        }
    }

    /// What the cache holds of the states that the group needs.
    fn known(&mut self, group: &[Pending]) -> Knowledge {
        let needed = wanted(group, |_| false);
        let tasks = needed.tasks.iter().chain(&needed.parents);
        let tasks = tasks.filter_map(|vtid| self.cache.get(*vtid).map(|task| (*vtid, task))).collect();
        Knowledge::of_tasks(tasks)
    }

    /// Decides a group outside of a turn.
    fn decide(&mut self, now: Now, group: Vec<Pending>, knowledge: Knowledge, out: &mut Vec<Output>) {
        let Some(head) = self.head else {
            self.open_turn(Unsettled::Undecided(group), out);
            return;
        };
        let attempt = self.next_attempt();
        let group = group.into_iter().filter(|pending| !pending.answered).collect();
        let decided = decide_group(group, head, now.wall, attempt, self.ledger, knowledge);
        if !decided.entries.is_empty() {
            out.push(Output::Append(attempt, decided.head, decided.entries.clone()));
            self.phase = Phase::Appending(decided);
        } else if !decided.verdicts.is_empty() {
            // A refusal could rest on a state that another replica has changed since, or that was never committed.
            out.push(Output::LookAtHead(attempt, decided.head));
            self.phase = Phase::Looking(decided);
        }
    }

    /// The group's events stand in the log, right after the head on which they were decided.
    fn went_in(&mut self, decided: Decided, out: &mut Vec<Output>) {
        self.head = Some(decided.next_head);
        self.conflicted = false;
        self.group_limit = (self.group_limit * 2).min(self.limits.group_commands);
        for entry in &decided.entries {
            self.remember(entry);
        }
        if !decided.entries.is_empty() {
            out.push(Output::HandOver(decided.entries));
        }
        answer_all(decided.verdicts, out);
    }

    fn remember(&mut self, entry: &Entry) {
        if let Some(transition) = &entry.transition {
            self.cache.put(Arc::clone(&transition.after));
        }
    }

    /// Answers those whose deadline has passed: nothing was written where their command was never sent.
    fn expire(&mut self, now: Now, out: &mut Vec<Output>) {
        let mut freed = 0;
        self.queue.retain(|pending| {
            let keep = pending.deadline_ms > now.elapsed_ms;
            if !keep {
                freed += pending.bytes;
                out.push(Output::Answer(pending.ticket, Err(WriteError::Unavailable)));
            }
            keep
        });
        self.queued_bytes -= freed;
        let under_way = match &mut self.phase {
            Phase::Idle => Vec::new(),
            Phase::Loading(group, _) => unsent(group),
            Phase::Looking(decided) => decided.pendings(false),
            Phase::Appending(decided) => decided.pendings(true),
            Phase::Turning(turning) => turning.under_way(),
        };
        for (pending, error) in under_way {
            if !pending.answered && pending.deadline_ms <= now.elapsed_ms {
                pending.answered = true;
                out.push(Output::Answer(pending.ticket, Err(error)));
            }
        }
    }

    fn next_attempt(&mut self) -> Attempt {
        self.attempt += 1;
        self.attempt
    }
}

fn answer_all(verdicts: Vec<(Pending, Verdict)>, out: &mut Vec<Output>) {
    let open = verdicts.into_iter().filter(|(pending, _)| !pending.answered);
    out.extend(open.map(|(pending, verdict)| Output::Answer(pending.ticket, verdict)));
}
