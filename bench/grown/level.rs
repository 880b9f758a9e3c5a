//! What everything costs at each size of the log.

use std::time::Duration;

use crate::figures::{Figure, median, rate};
use crate::proc::memory;
use crate::report::{Report, millis, put};
use crate::service::CaughtUp;
use crate::stand::Stand;
use crate::{Bench, BenchError, MANY};

/// A seed that took less tells nothing of a rate.
const TELLING: u64 = 50_000;

/// One size of the log.
#[derive(Default)]
struct Level {
    events: u64,
    seeded: u64,
    seeding: Duration,
    caught_up: Option<CaughtUp>,
    creates: Vec<Figure>,
    gets: Vec<Figure>,
    lists: Vec<Figure>,
    memory: u64,
}

/// All sizes so far.
#[derive(Default)]
pub(crate) struct Levels {
    levels: Vec<Level>,
}

impl Levels {
    /// A log of so many events was seeded, and its followers have caught up.
    pub(crate) fn begin(&mut self, events: u64, seeded: u64, seeding: Duration, caught_up: CaughtUp) {
        let [copied, projected, relayed] =
            [seeding, caught_up.projector, caught_up.relay].map(|time| rate(seeded, time));
        eprintln!(
            "  {events} events, {seeded} of them just seeded: copied {copied:.0}/s, projected {projected:.0}/s, \
             relayed {relayed:.0}/s"
        );
        let level = Level { events, seeded, seeding, caught_up: Some(caught_up), ..Level::default() };
        self.levels.push(level);
    }

    /// The whole table, if anything was measured.
    pub(crate) fn tell(&self, report: &mut Report) {
        if self.levels.is_empty() {
            return;
        }
        let mut table = String::from(
            "64 connections. The memory is the most that the process ever had, catching up included; a tenth of the \
             largest log's events create a task, the others patch these.\n\n\
             | events | creates/s | p99 ms | GET/s | p99 ms | list/s | p99 ms | memory MB | seeded | COPY events/s | \
             relay caught up, events/s | projector |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for level in &self.levels {
            let memory =
                if level.memory == 0 { "–".to_owned() } else { format!("{}", level.memory / 1_000_000) };
            let [creates, gets, lists] =
                [&level.creates, &level.gets, &level.lists].map(|figures| cells(figures));
            put(
                &mut table,
                format_args!(
                    "| {} | {creates} | {gets} | {lists} | {memory} | {} |\n",
                    level.events,
                    level.seed()
                ),
            );
        }
        report.section("As the log grows", table);
    }

    fn last(&mut self) -> Result<&mut Level, BenchError> {
        self.levels.last_mut().ok_or(BenchError::NoRounds)
    }
}

impl Level {
    fn seed(&self) -> String {
        let Some(caught_up) = self.caught_up.filter(|_| self.seeded >= TELLING) else {
            return format!("{} | – | – | –", self.seeded);
        };
        let [copied, relayed, projected] =
            [self.seeding, caught_up.relay, caught_up.projector].map(|time| rate(self.seeded, time));
        format!("{} | {copied:.0} | {relayed:.0} | {projected:.0}", self.seeded)
    }
}

/// Measures creates for the size that was begun last.
pub(crate) async fn creates(bench: &Bench, stand: &Stand, levels: &mut Levels) -> Result<(), BenchError> {
    let level = levels.last()?;
    for _ in 0..bench.settings.rounds {
        level.creates.push(stand.creates(MANY, bench.settings.run).await?);
    }
    level.memory = level.memory.max(memory(stand.service.pid()?)?.most);
    Ok(())
}

/// Measures reads.
pub(crate) async fn reads(bench: &Bench, stand: &Stand, levels: &mut Levels) -> Result<(), BenchError> {
    let level = levels.last()?;
    for _ in 0..bench.settings.rounds {
        level.gets.push(stand.gets(MANY, bench.settings.run).await?);
        level.lists.push(stand.lists(MANY, bench.settings.run).await?);
    }
    level.memory = level.memory.max(memory(stand.service.pid()?)?.most);
    Ok(())
}

fn cells(figures: &[Figure]) -> String {
    let Ok(figure) = median(figures) else { return "– | –".to_owned() };
    format!("{:.0} | {:.2}", figure.rate, millis(figure.p99))
}
