//! A group of commands, decided one after another on one head, to be appended at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::io::{Attempt, Ticket};
use crate::domain::command::{Action, Command, ParentRef};
use crate::domain::cursor::Cursor;
use crate::domain::decide::{Known, Refusal, decide};
use crate::domain::event::{Event, EventData, IdSeed};
use crate::domain::evolve::evolve;
use crate::domain::position::Version;
use crate::domain::record::{LedgerId, Recorded};
use crate::domain::task::Task;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;
use crate::log::entry::{Entry, Transition};
use crate::log::head::Head;
use crate::log::load::{Earlier, KeyOf, Loaded, Wanted};
use crate::writer::answer::{Accepted, WriteError};

/// A command that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    pub(super) command: Arc<Command>,
    pub(super) seed: IdSeed,
    pub(super) deadline_ms: u64,
    pub(super) bytes: usize,
    /// Its deadline has passed and it was answered, while its fate was not known yet.
    pub(super) answered: bool,
}

/// What the log knew at the head of the tasks, parents and keys that a group names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Knowledge {
    tasks: BTreeMap<Vtid, Arc<Task>>,
    parents: BTreeSet<Vtid>,
    keys: BTreeMap<KeyOf, Earlier>,
    unreadable: BTreeSet<Vtid>,
    unreadable_keys: BTreeSet<KeyOf>,
}

impl Knowledge {
    /// What memory holds; the rest is loaded.
    pub(super) fn of_tasks(tasks: BTreeMap<Vtid, Arc<Task>>) -> Self {
        Self { tasks, ..Self::default() }
    }

    pub(super) fn add(&mut self, loaded: Loaded) {
        self.tasks.extend(loaded.tasks);
        self.parents.extend(loaded.parents);
        self.keys.extend(loaded.keys);
        self.unreadable.extend(loaded.unreadable);
        self.unreadable_keys.extend(loaded.unreadable_keys);
    }
}

impl Known for Knowledge {
    fn task(&self, vtid: Vtid) -> Option<&Task> {
        self.tasks.get(&vtid).map(AsRef::as_ref)
    }

    fn exists(&self, vtid: Vtid) -> bool {
        self.tasks.contains_key(&vtid) || self.parents.contains(&vtid)
    }
}

/// What a command's caller will be told once the group is settled.
pub(super) type Verdict = Result<Accepted, WriteError>;

/// A decided group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Decided {
    pub(super) verdicts: Vec<(Pending, Verdict)>,
    /// What is to be appended after `head`; empty where every command was refused or is a replay.
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) head: Cursor,
    /// The head once the entries are in.
    pub(super) next_head: Head,
    /// An append of these very entries had no answer: it may be in, or may yet go in. Stays true until a turn has
    /// shown that another append took their place.
    pub(super) maybe_sent: bool,
}

impl Decided {
    /// The commands, without their verdicts.
    pub(super) fn into_group(self) -> Vec<Pending> {
        self.verdicts.into_iter().map(|(pending, _)| pending).collect()
    }

    /// Each command, and what its caller is told should its deadline pass now. `sent`: the events may be in the log.
    pub(super) fn pendings(&mut self, sent: bool) -> Vec<(&mut Pending, WriteError)> {
        let told = |verdict: &Verdict| match verdict {
            Ok(accepted) if sent && !accepted.replayed => WriteError::OutcomeUnknown,
            _ => WriteError::Unavailable,
        };
        self.verdicts.iter_mut().map(|(pending, verdict)| (pending, told(verdict))).collect()
    }

    /// The whole group is answered with `error`, save those whose events may be in the log or yet go in.
    pub(super) fn refused(self, error: &WriteError) -> Vec<(Pending, Verdict)> {
        let maybe_sent = self.maybe_sent;
        let told = |verdict: Verdict| match verdict {
            Ok(accepted) if maybe_sent && !accepted.replayed => Err(WriteError::OutcomeUnknown),
            _ => Err(error.clone()),
        };
        self.verdicts.into_iter().map(|(pending, verdict)| (pending, told(verdict))).collect()
    }
}

/// Commands of which nothing was sent, and what their callers are told should their deadline pass now.
pub(super) fn unsent(group: &mut [Pending]) -> Vec<(&mut Pending, WriteError)> {
    group.iter_mut().map(|pending| (pending, WriteError::Unavailable)).collect()
}

/// What the group needs to know, of which `cached` is known already.
pub(super) fn wanted(group: &[Pending], mut cached: impl FnMut(Vtid) -> bool) -> Wanted {
    let mut wanted = Wanted::default();
    for pending in group {
        match &pending.command.action {
            Action::Patch(vtid, ..) if !cached(*vtid) => {
                wanted.tasks.insert(*vtid);
            }
            Action::Create(create) => match create.parent {
                Some(ParentRef::Task(parent)) if !cached(parent) => {
                    wanted.parents.insert(parent);
                }
                _ => {}
            },
            Action::Patch(..) | Action::Refuse(_) => {}
        }
        wanted.keys.extend(key_of(&pending.command));
    }
    wanted
}

fn key_of(command: &Command) -> Option<KeyOf> {
    let idempotency = command.origin.idempotency.as_ref()?;
    Some((command.origin.actor.id.clone(), idempotency.key.clone()))
}

/// Decides `group` on `head`, at `time`, with event ids of `attempt`.
pub(super) fn decide_group(
    group: Vec<Pending>,
    head: Head,
    time: Timestamp,
    attempt: Attempt,
    ledger: LedgerId,
    knowledge: Knowledge,
) -> Decided {
    let time = time.max(head.time);
    let mut run = Run { knowledge, head, time, attempt, ledger, entries: Vec::new() };
    let verdicts = group.into_iter().map(|pending| {
        let verdict = run.verdict(&pending);
        (pending, verdict)
    });
    let verdicts = verdicts.collect();
    Decided { verdicts, entries: run.entries, head: head.cursor, next_head: run.head, maybe_sent: false }
}

struct Run {
    knowledge: Knowledge,
    head: Head,
    time: Timestamp,
    attempt: Attempt,
    ledger: LedgerId,
    entries: Vec<Arc<Entry>>,
}

impl Run {
    fn verdict(&mut self, pending: &Pending) -> Verdict {
        let command = pending.command.as_ref();
        let key = key_of(command);
        if let (Some(key), Some(idempotency)) = (&key, &command.origin.idempotency)
            && let Some(earlier) = self.knowledge.keys.get(key)
        {
            let same = earlier.hash == idempotency.hash;
            return if same {
                Ok(Accepted { task: Arc::clone(&earlier.task), replayed: true })
            } else {
                Err(WriteError::KeyReused)
            };
        }
        let unreadable = match &command.action {
            Action::Patch(vtid, ..) => self.knowledge.unreadable.contains(vtid),
            Action::Create(_) | Action::Refuse(_) => false,
        };
        if unreadable || key.as_ref().is_some_and(|key| self.knowledge.unreadable_keys.contains(key)) {
            return Err(WriteError::Internal);
        }
        let task = self.append(pending, decide(&self.knowledge, &command.origin.actor, &command.action)?)?;
        if let (Some(key), Some(idempotency)) = (key, &command.origin.idempotency) {
            self.knowledge.keys.insert(key, Earlier { hash: idempotency.hash, task: Arc::clone(&task) });
        }
        Ok(Accepted { task, replayed: false })
    }

    /// Adds a command's events, all of them or none, and gives the task after the last.
    fn append(&mut self, pending: &Pending, events: Vec<EventData>) -> Result<Arc<Task>, WriteError> {
        let command = pending.command.as_ref();
        let mut head = self.head;
        let (vtid, mut before, tenant) = match &command.action {
            Action::Create(create) => (head.numbering.give_out(self.time), None, create.tenant.clone()),
            Action::Refuse(refusal) => return Err(refusal.clone().into()),
            Action::Patch(vtid, ..) => {
                let task = self.knowledge.tasks.get(vtid).ok_or(Refusal::TaskNotFound)?;
                (*vtid, Some(Arc::clone(task)), task.tenant.clone())
            }
        };
        let count = events.len();
        let mut entries = Vec::with_capacity(count);
        for (index, data) in (0u8..).zip(events) {
            let mut origin = command.origin.clone();
            if usize::from(index) + 1 < count {
                origin.idempotency = None;
            }
            let event = Event {
                position: head.cursor.position().next(),
                id: pending.seed.event_id(self.time, self.attempt, index),
                vtid,
                version: before.as_ref().map_or(Version::ZERO, |task| task.version).next(),
                tenant: tenant.clone(),
                recorded_at: self.time,
                origin,
                data,
            };
            let after = evolve(before.as_deref().cloned(), &event).map_err(|_| WriteError::Internal)?;
            let transition = Transition { before: before.take(), after: Arc::new(after) };
            head.advance(&event);
            before = Some(Arc::clone(&transition.after));
            let recorded = Recorded::print(event, self.ledger);
            entries.push(Arc::new(Entry { recorded, transition: Some(transition) }));
        }
        // Invariant: a decision gives one event at least.
        let task = before.ok_or(WriteError::Internal)?;
        self.head = head;
        self.entries.extend(entries);
        self.knowledge.tasks.insert(vtid, Arc::clone(&task));
        Ok(task)
    }
}
