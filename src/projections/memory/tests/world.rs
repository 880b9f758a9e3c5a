//! A log that loses its newest events now and then, two writers, a table, and the memory of the first writer's process,
//! driven as the shell does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Op;
use super::logs::{Log, as_read, end, fold, next, vtid};
use crate::domain::cursor::Cursor;
use crate::domain::position::Position;
use crate::domain::task::Task;
use crate::log::TailMark;
use crate::log::entry::Entry;
use crate::log::hold::Losses;
use crate::log::tail::Tail;
use crate::projections::memory::machine::{FRESH_FOR, Memory, MemoryLimits, TailView};
use crate::projections::read::Shown;

/// What the follower has read.
enum Arriving {
    Head(Duration, Cursor, TailMark),
    Batch(Duration, Vec<Arc<Entry>>),
}

pub(super) struct World {
    memory: Memory,
    now: Duration,
    /// When the memory's process last saw the log.
    seen: Option<Duration>,
    log: Log,
    /// The log up to each event that there ever was.
    pasts: BTreeMap<Uuid, Log>,
    tail: Tail,
    mark: TailMark,
    /// The own writer's head.
    head: Cursor,
    acknowledged: Cursor,
    follower: Option<Cursor>,
    arriving: Option<Arriving>,
    /// How often the tail had been forgotten when the memory last began.
    begun_at: u64,
    rows: Vec<(Arc<Task>, Cursor)>,
    ids: u128,
    pub(super) shown: usize,
    pub(super) happened: BTreeMap<&'static str, usize>,
}

impl World {
    /// What must have happened now and then, or the test shows little.
    pub(super) const KINDS: [&str; 7] =
        ["loss", "own loss found", "other past", "row offered", "far behind", "evicted or unknown", "stale"];

    pub(super) fn new(state_bytes: usize, recent_events: usize) -> Self {
        Self {
            memory: Memory::new(MemoryLimits { state_bytes, recent_events }),
            now: Duration::ZERO,
            seen: None,
            log: Log::new(),
            pasts: BTreeMap::new(),
            tail: Tail::new(1 << 20),
            mark: TailMark::default(),
            head: Cursor::Start,
            acknowledged: Cursor::Start,
            follower: None,
            arriving: None,
            begun_at: 0,
            rows: Vec::new(),
            ids: 0,
            shown: 0,
            happened: BTreeMap::new(),
        }
    }

    /// With a memory that stands at an empty log.
    pub(super) fn standing() -> Self {
        Self::standing_on(0)
    }

    /// With a memory that stands at a log of `events` of the first task.
    pub(super) fn standing_on(events: usize) -> Self {
        let mut world = Self::new(1 << 20, 64);
        (0..events).for_each(|_| world.others_write(0));
        world.head = end(&world.log);
        world.look();
        world
    }

    fn count(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    pub(super) fn step(&mut self, op: Op) {
        match op {
            Op::OwnWrite { task, far } => {
                self.writer_looks(far);
                self.own_write(task);
            }
            Op::OthersWrite { task } => self.others_write(task),
            Op::Loss { events } => self.lose(events),
            Op::Follow { max, tail_first, late } => {
                let arriving = self.arriving.take().or_else(|| self.read(max, tail_first));
                if late {
                    self.arriving = arriving;
                } else {
                    self.arrive(arriving);
                }
            }
            Op::Get { task } => drop(self.get(task, self.acknowledged.position())),
            Op::ReadTable { task, behind } => self.read_table(task, behind),
            Op::Offer => self.offer(),
            Op::Wait { seconds } => self.wait(Duration::from_secs(seconds)),
            Op::DatabaseAway => self.away(),
        }
        self.memory.assert_sound();
    }

    fn append(&mut self, task: u8) -> Arc<Entry> {
        self.ids += 1;
        let entry = next(&self.log, self.ids, task);
        self.log.push(Arc::clone(&entry));
        self.pasts.insert(entry.recorded.event.id, self.log.clone());
        entry
    }

    pub(super) fn others_write(&mut self, task: u8) {
        self.append(task);
    }

    /// The writer's turn: it finds out whether its head was lost, and folds on what others have written.
    fn writer_looks(&mut self, far: bool) {
        let known = self.head.position().get();
        let here = self.log.get(..usize::try_from(known).unwrap()).map(end);
        if here != Some(self.head) {
            self.count("own loss found");
            self.tail.clear();
            self.mark.forgotten += 1;
            self.mark.changes += 1;
            self.acknowledged = Cursor::Start;
        } else if far && end(&self.log) != self.head {
            self.count("far behind");
        } else {
            let missed: Vec<_> = self.log[usize::try_from(known).unwrap()..].iter().map(as_read).collect();
            self.hand_over(missed);
        }
        self.head = end(&self.log);
    }

    pub(super) fn own_write(&mut self, task: u8) -> Position {
        let entry = self.append(task);
        self.hand_over(vec![entry]);
        self.head = end(&self.log);
        self.acknowledged = self.head;
        self.head.position()
    }

    fn hand_over(&mut self, entries: Vec<Arc<Entry>>) {
        if !entries.is_empty() {
            self.tail.push(entries, Losses(0));
            self.mark.changes += 1;
        }
    }

    pub(super) fn lose(&mut self, events: usize) {
        if !self.log.is_empty() {
            self.count("loss");
        }
        self.log.truncate(self.log.len().saturating_sub(events));
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    pub(super) fn away(&mut self) {
        self.memory.doubt();
        self.seen = None;
    }

    fn view(&self, from: Cursor) -> TailView {
        TailView { mark: self.mark, next: self.tail.after(from, 2).unwrap_or_default(), end: self.tail.end() }
    }

    fn catch_up(&mut self, at_least: Position) {
        for _ in 0..64 {
            let Some(cursor) = self.memory.cursor().filter(|_| self.memory.is_behind(self.mark, at_least))
            else {
                return;
            };
            if !self.memory.catch_up(&self.view(cursor)) {
                return;
            }
        }
    }

    /// One look of the follower at the log as it is, or at its head.
    pub(super) fn follow(&mut self, max: usize, tail_first: bool) {
        let arriving = self.read(max, tail_first);
        self.arrive(arriving);
    }

    fn read(&mut self, max: usize, tail_first: bool) -> Option<Arriving> {
        let (Some(cursor), Some(_)) = (self.follower, self.memory.cursor()) else {
            return Some(Arriving::Head(self.now, end(&self.log), self.mark));
        };
        let batch = if tail_first { self.tail.after(cursor, max).unwrap_or_default() } else { Vec::new() };
        if !batch.is_empty() {
            return Some(Arriving::Batch(self.now, batch));
        }
        let known = usize::try_from(cursor.position().get()).unwrap();
        if self.log.get(..known).map(end) != Some(cursor) {
            self.count("other past");
            self.memory.forget();
            return None;
        }
        Some(Arriving::Batch(self.now, self.log[known..].iter().take(max).map(as_read).collect()))
    }

    fn arrive(&mut self, arriving: Option<Arriving>) {
        match arriving {
            Some(Arriving::Head(began, head, mark)) => {
                self.memory.stand(began, head, mark);
                (self.follower, self.seen) = (Some(head), Some(began));
                self.begun_at = mark.forgotten;
            }
            Some(Arriving::Batch(began, batch)) => {
                let end = batch.last().map(|last| Cursor::at(&last.recorded.event));
                self.follower = end.or(self.follower);
                self.memory.apply(&batch);
                self.catch_up(Position::ZERO);
                self.memory.looked(began);
                self.seen = self.seen.max(Some(began));
            }
            None => {}
        }
    }

    /// Gives the memory all but the next event.
    pub(super) fn skip_one(&mut self) -> Option<Cursor> {
        self.memory.apply(&self.log[1..]);
        self.memory.cursor()
    }

    /// Not long ago.
    fn saw_the_log(&self) -> bool {
        self.seen.is_some_and(|seen| self.now.saturating_sub(seen) < FRESH_FOR)
    }

    /// As often as it takes to come to the log's end.
    pub(super) fn look(&mut self) {
        for _ in 0..=self.log.len() + 2 {
            self.follow(1, false);
        }
    }

    pub(super) fn read_table(&mut self, task: u8, behind: u64) {
        let shown = usize::try_from(end(&self.log).position().get().saturating_sub(behind)).unwrap();
        let log = self.log[..shown].to_vec();
        if let Some(row) = fold(&log, vtid(task)) {
            self.rows.push((Arc::new(row), end(&log)));
        }
    }

    pub(super) fn offer(&mut self) {
        if let Some((row, shown)) = self.rows.pop() {
            self.count("row offered");
            self.catch_up(shown.position());
            self.memory.offer(self.now, row, shown);
        }
    }

    /// As a read does. What is shown is the fold of the past that the memory stands in; that past has what this process
    /// has acknowledged, unless the log itself has lost it; and the log was seen not long ago.
    pub(super) fn get(&mut self, task: u8, at_least: Position) -> Option<Shown<Arc<Task>>> {
        self.catch_up(at_least);
        let Some(shown) = self.memory.get(self.now, vtid(task), at_least) else {
            let fresh = self.saw_the_log();
            self.count(if fresh { "evicted or unknown" } else { "stale" });
            return None;
        };
        self.shown += 1;
        let cursor = self.memory.cursor().unwrap();
        let past = &self.pasts[&cursor.id().unwrap()];
        assert_eq!(Some(&*shown.value), fold(past, vtid(task)).as_ref());
        assert_eq!(shown.position, cursor.position());
        assert!(shown.position >= at_least);
        let has = |log: &[Arc<Entry>]| {
            log.iter().any(|entry| Cursor::at(&entry.recorded.event) == self.acknowledged)
        };
        let acknowledged = self.acknowledged == Cursor::Start || has(past) || !has(&self.log);
        assert!(acknowledged, "it shows {cursor:?}, which lacks the acknowledged {:?}", self.acknowledged);
        assert!(self.saw_the_log());
        assert_eq!(self.begun_at, self.mark.forgotten, "the writer has found a loss since");
        Some(shown)
    }
}
