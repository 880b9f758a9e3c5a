//! What was measured, for people: one table, what came round by round, further tables, and what it was measured on.
//! A full run's page is kept as it grows, so that a line that fails takes nothing with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::circumstances::Circumstances;
use crate::figures::{Figure, median};
use crate::row::{Goal, Row, Runs};
use crate::settings::{Scale, Settings};
use crate::{BenchError, records};

const NOTES: &str = "Each figure is the median of its rounds; in a round ledger and yardstick take turns on the same \
PostgreSQL. The load generators (`wrk`, `pgbench`, and for the OASIS line clients within the benchmark's own process) \
share the cores with what they measure. The ledger is the release binary as `serve` runs it: log at info into a file, \
projector with all its indexes, relay and JetStream; the servers have their default settings, and PostgreSQL the files \
         of its write-ahead log, as after some hours. A run with any answer \
other than 200, or whose log grew by less than was answered, counts as failed. `pgbench` runs with `-M prepared` and \
`synchronous_commit=on`; its insert is one row with an event's record as its body, under a primary key, a transaction each. \
Seeded logs are written by `COPY` past the ledger, then `VACUUM (ANALYZE)` and `CHECKPOINT`; relay and projector have \
caught up before anything is measured.";

/// The page.
pub(crate) struct Report {
    circumstances: Circumstances,
    scale: Scale,
    settings: String,
    path: Option<PathBuf>,
    rows: Vec<Row>,
    sections: Vec<(String, String)>,
    failed: Vec<(String, String)>,
}

impl Report {
    /// An empty page, to be kept in a file if every line is measured.
    pub(crate) fn new(settings: &Settings, circumstances: Circumstances) -> Self {
        let file = settings.by_scale("RESULTS-quick.md", "RESULTS.md");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench").join(file);
        let told = format!(
            "{} rounds of {} s, a snapshot open for {} s, {} events in the largest log",
            settings.rounds,
            settings.run.as_secs(),
            settings.snapshot.as_secs(),
            settings.events
        );
        Self {
            circumstances,
            scale: settings.scale,
            settings: told,
            path: settings.wants_all().then_some(path),
            rows: Vec::new(),
            sections: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, row: Row) {
        eprintln!("{row}");
        self.rows.push(row);
    }

    /// Adds a part of its own, below the table.
    pub(crate) fn section(&mut self, title: &str, text: String) {
        eprintln!("{title}\n{text}");
        self.sections.push((title.to_owned(), text));
    }

    /// A part is done, or failed: the rest goes on. Only an interruption, or a page that can't be written, ends it all.
    pub(crate) fn settle(&mut self, name: &str, outcome: Result<(), BenchError>) -> Result<(), BenchError> {
        if let Err(error) = outcome {
            eprintln!("{name} failed: {error}");
            self.failed.push((name.to_owned(), error.to_string()));
        }
        let Some(path) = &self.path else { return Ok(()) };
        std::fs::write(path, self.page()).map_err(|error| BenchError::File { path: path.clone(), error })
    }

    /// Says which lines failed.
    pub(crate) fn verdict(&self) -> Result<(), BenchError> {
        let failed: Vec<&str> = self.failed.iter().map(|(name, _)| name.as_str()).collect();
        if failed.is_empty() { Ok(()) } else { Err(BenchError::Lines(failed.join(", "))) }
    }

    /// The whole page.
    pub(crate) fn page(&self) -> String {
        let mut page = String::from("# What the ledger does a second\n\n");
        let (command, warning) = match self.scale {
            Scale::Full => ("make bench-full", ""),
            Scale::Quick => (
                "make bench",
                " **A quick run: where the scale says less than the goal does, its scale is smaller than the goal's.**",
            ),
        };
        put(&mut page, format_args!("Written by `{command}` ({}).{warning}\n\n", self.settings));
        page.push_str("| what | scale | ledger | yardstick | ratio | goal | met? |\n");
        page.push_str("|---|---|--:|--:|--:|--:|---|\n");
        for row in &self.rows {
            put(&mut page, format_args!("{row}\n"));
        }
        for (name, error) in &self.failed {
            let error = error.replace(['\n', '|'], " ");
            put(&mut page, format_args!("| {name} | | failed: {error:.300} | | | | **no** |\n"));
        }
        put(&mut page, format_args!("\n{}\n\n", summary(&self.rows)));
        put(&mut page, format_args!("{NOTES} The record has {} bytes.\n\n", records::sample_record().len()));
        page.push_str(&self.circumstances.lines());
        for (title, text) in &self.sections {
            put(&mut page, format_args!("\n## {title}\n\n{}\n", text.trim_end()));
        }
        put(&mut page, format_args!("\n## Round by round\n\n{}", rounds(&self.rows)));
        page
    }
}

fn summary(rows: &[Row]) -> String {
    let goals = rows.iter().filter(|row| row.goal != Goal::None).count();
    let met = rows.iter().filter(|row| row.is_met() == Some(true)).count();
    format!("{met} of {goals} goals are met.")
}

fn rounds(rows: &[Row]) -> String {
    let mut table = String::from(
        "| what | ledger /s | p50 ms | p99 ms | yardstick /s | p50 ms | p99 ms |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for (row, Runs { ledger, yardstick }) in rows.iter().filter_map(|row| Some((row, row.rounds.as_ref()?))) {
        put(&mut table, format_args!("| {} | {} | {} |\n", row.what, cells(ledger), cells(yardstick)));
    }
    table
}

fn cells(figures: &[Figure]) -> String {
    let Ok(Figure { p50, p99, .. }) = median(figures) else { return "– | – | –".to_owned() };
    let rates: Vec<String> = figures.iter().map(|figure| format!("{:.0}", figure.rate)).collect();
    format!("{} | {:.2} | {:.2}", rates.join(", "), millis(p50), millis(p99))
}

/// For a table's cell.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Writes to a string.
pub(crate) fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    #[expect(clippy::expect_used, reason = "a String takes whatever is written")]
    page.write_fmt(text).expect("a String can be written to");
}
