//! Random steps for log and model alike: right ones, and every kind of wrong one.

use std::sync::Arc;

use fastrand::Rng;
use uuid::Uuid;
use vtid_ledger::domain::command::Action;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::event::{Event, EventData, IdSeed};
use vtid_ledger::domain::origin::Origin;
use vtid_ledger::domain::position::{Position, Version};
use vtid_ledger::domain::record::{LedgerId, Recorded};
use vtid_ledger::domain::text::Tenant;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::entry::Entry;
use vtid_ledger::log::hold::Losses;
use vtid_ledger::log::load::Wanted;

use super::commands::{Ask, Patch, command};
use super::database::Database;

/// Whose cursor it is.
pub(super) const NAME: &str = "conformance";
const HOUR_MS: i64 = 3_600_000;

pub(super) type Entries = Vec<Arc<Entry>>;

#[derive(Debug)]
pub(super) enum Step {
    Append {
        head: Cursor,
        losses: Losses,
        entries: Entries,
        any_time: bool,
    },
    Turn {
        head: Option<Cursor>,
        unsettled: Option<Cursor>,
        wanted: Wanted,
        at: Position,
        closing: Option<(Cursor, Entries)>,
    },
    Load(Wanted, Position),
    Read(Cursor, usize),
    Head(Cursor),
    Move(Cursor, Cursor),
    Hold(Position),
    Lift {
        accept: bool,
    },
    /// An append while a turn is open, and once more while only a shared lock is held.
    Lock(Cursor, Entries),
}

/// What may be wrong with an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Nothing,
    Head,
    OlderHead,
    Version,
    Predecessor,
    Tenant,
    UsedKey,
    Poison,
    TooFarAhead,
    Backwards,
}

const WRONGS: [Wrong; 9] = [
    Wrong::Head,
    Wrong::OlderHead,
    Wrong::Version,
    Wrong::Predecessor,
    Wrong::Tenant,
    Wrong::UsedKey,
    Wrong::Poison,
    Wrong::TooFarAhead,
    Wrong::Backwards,
];

pub(super) struct Steps {
    rng: Rng,
    count: u64,
    ids: u128,
    clock: Timestamp,
    time: Timestamp,
    /// Cursors that were right once.
    known: Vec<Cursor>,
}

impl Steps {
    pub(super) fn new(rng: Rng) -> Self {
        let yesterday = vtid_ledger::clock::Clock::system().now().millis() - 24 * HOUR_MS;
        let time = Timestamp::from_millis(yesterday);
        Self { rng, count: 0, ids: 0, clock: time, time, known: vec![Cursor::Start] }
    }

    pub(super) fn next(&mut self, database: &Database) -> Step {
        self.count += 1;
        let head = database.log.head().cursor;
        if self.known.last() != Some(&head) {
            self.known.push(head);
        }
        match self.rng.u32(..40) {
            0..=15 => self.append(database),
            16..=21 => self.turn(database),
            22..=24 => Step::Load(self.wanted(database), self.some_position(database)),
            25..=27 => Step::Read(self.some_cursor(), self.rng.usize(1..40)),
            28..=29 => Step::Head(self.some_cursor()),
            30..=33 => self.step_of_cursor(database),
            34 if database.log.hold.is_none() => Step::Hold(self.some_position(database)),
            35 => Step::Hold(self.some_position(database)),
            36..=37 => Step::Lift { accept: self.rng.u32(..4) == 0 },
            _ if database.log.hold.is_none() => {
                Step::Lock(head, self.entries(database, head, 1, Wrong::Nothing))
            }
            _ => Step::Lift { accept: false },
        }
    }

    fn append(&mut self, database: &Database) -> Step {
        let wrong = if self.rng.bool() { Wrong::Nothing } else { WRONGS[self.rng.usize(..WRONGS.len())] };
        let count = if self.rng.u32(..8) == 0 { 260 } else { self.rng.usize(1..4) };
        let head = match wrong {
            Wrong::Head => Cursor::At { position: self.some_position(database), id: Uuid::from_u128(7) },
            Wrong::OlderHead => self.some_cursor(),
            _ => database.log.head().cursor,
        };
        let entries = self.entries(database, head, count, wrong);
        // Rarely an hour ahead goes in: then the next may be as late.
        let any_time = wrong == Wrong::TooFarAhead && self.rng.u32(..4) == 0;
        // Now and then by a writer that does not know of the last loss that was accepted.
        let mut losses = database.log.losses;
        if self.rng.u32(..6) == 0 {
            losses = Losses(losses.0.saturating_sub(1));
        }
        Step::Append { head, losses, entries, any_time }
    }

    /// Creates, and a patch as the last; something is wrong with the last.
    fn entries(&mut self, database: &Database, head: Cursor, count: usize, wrong: Wrong) -> Entries {
        let mut numbering = database.log.head().numbering;
        self.clock = Timestamp::from_millis(self.clock.millis() + 1);
        self.time = self.clock.max(database.log.head().time);
        let mut entries = Vec::with_capacity(count);
        for n in 0..count {
            let last = n + 1 == count;
            let position = Position::new(head.position().get() + n as u64 + 1);
            let vtid = numbering.give_out(self.time);
            // A group has one time.
            let of_all = matches!(wrong, Wrong::TooFarAhead | Wrong::Backwards);
            let wrong = if last || of_all { wrong } else { Wrong::Nothing };
            entries.push(self.entry(database, position, vtid, last, wrong));
        }
        entries
    }

    fn entry(
        &mut self,
        database: &Database,
        position: Position,
        next: Vtid,
        may_patch: bool,
        wrong: Wrong,
    ) -> Arc<Entry> {
        let patched = self.some_task(database).filter(|_| may_patch && wrong != Wrong::Poison);
        let known = patched.and_then(|vtid| database.log.task(vtid, database.log.head().cursor.position()));
        let vtid = patched.unwrap_or(next);
        let version = known.map_or(Version::ZERO, |task| task.version).next();
        let ask = match patched {
            Some(vtid) => Ask::Patch(vtid, Patch::Note),
            None if wrong == Wrong::Poison => Ask::Poison,
            None => Ask::Create,
        };
        let key = match wrong {
            Wrong::UsedKey => Some((self.rng.u8(..6), true)),
            _ => (self.rng.u32(..60) == 0).then(|| (self.rng.u8(..6), self.rng.bool())),
        };
        let command = command(self.count, ask, key);
        let data = match &command.action {
            Action::Create(create) => EventData::Created(create.clone()),
            Action::Patch(_, patch, _) => EventData::Updated(patch.clone()),
            Action::Refuse(_) => unreachable!("nothing is refused"),
        };
        let time = match wrong {
            Wrong::TooFarAhead => Timestamp::from_millis(self.time.millis() + 25 * HOUR_MS),
            Wrong::Backwards => Timestamp::from_millis(self.time.millis() - HOUR_MS),
            _ => self.time,
        };
        let other = Tenant::parse("other").unwrap();
        let tenant = known.map_or_else(|| Tenant::parse("system").unwrap(), |task| task.tenant.clone());
        self.ids += 1;
        let event = Event {
            position,
            id: IdSeed(self.ids << 8).event_id(time, 1, 0),
            vtid,
            version: match wrong {
                Wrong::Version => Version::new(version.get().max(2) - 1),
                Wrong::Predecessor => Version::new(version.get() + 1),
                _ => version,
            },
            tenant: if wrong == Wrong::Tenant && version.get() > 1 { other } else { tenant },
            recorded_at: time,
            origin: Origin { ..command.origin.clone() },
            data,
        };
        Arc::new(Entry::read(Recorded::print(event, LedgerId(Uuid::from_u128(0xAB)))))
    }

    fn turn(&mut self, database: &Database) -> Step {
        let head = (self.rng.u32(..6) > 0).then(|| self.some_cursor());
        let unsettled = self.rng.bool().then(|| self.some_cursor()).filter(|cursor| *cursor != Cursor::Start);
        let wrong = if self.rng.bool() { Wrong::Nothing } else { WRONGS[self.rng.usize(..WRONGS.len())] };
        let right = database.log.head().cursor;
        let closing = self.rng.bool().then(|| (right, self.entries(database, right, 2, wrong)));
        let (wanted, at) = (self.wanted(database), self.some_position(database));
        Step::Turn { head, unsettled, wanted, at, closing }
    }

    fn step_of_cursor(&mut self, database: &Database) -> Step {
        let from = if self.rng.u32(..4) == 0 { self.some_cursor() } else { database.cursor };
        let to = match self.rng.u32(..5) {
            0 => Cursor::At { position: from.position().next(), id: Uuid::from_u128(7) },
            1 => {
                Cursor::At { position: Position::new(database.log.len() as u64 + 3), id: Uuid::from_u128(7) }
            }
            _ => {
                let ahead = from.position().get() + self.rng.u64(1..4);
                let row = database.log.at(Position::new(ahead));
                let unknown = Cursor::At { position: Position::new(ahead), id: Uuid::from_u128(7) };
                row.map_or(unknown, |row| Cursor::at(row.event()))
            }
        };
        Step::Move(from, to)
    }

    fn wanted(&mut self, database: &Database) -> Wanted {
        let mut wanted = Wanted::default();
        for _ in 0..self.rng.u32(1..4) {
            wanted.tasks.extend(self.some_task(database));
            wanted.parents.extend(self.some_task(database));
            wanted.tasks.insert(Vtid::first_of(1999));
            wanted.parents.insert(Vtid::first_of(1999));
            let key = command(1, Ask::Create, Some((self.rng.u8(..6), true)));
            let origin = &key.origin;
            let keys = origin.idempotency.as_ref().map(|i| (origin.actor.id.clone(), i.key.clone()));
            wanted.keys.extend(keys);
        }
        wanted
    }

    fn some_task(&mut self, database: &Database) -> Option<Vtid> {
        let rows = database.log.rows();
        (!rows.is_empty()).then(|| rows[self.rng.usize(..rows.len())].event().vtid)
    }

    fn some_position(&mut self, database: &Database) -> Position {
        Position::new(self.rng.u64(..=database.log.len() as u64 + 1))
    }

    /// Right now, or once.
    fn some_cursor(&mut self) -> Cursor {
        let known = self.known.len();
        let back = if self.rng.bool() { 1 } else { self.rng.usize(1..=known) };
        self.known[known - back]
    }
}
