//! How far a long command is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Tells on standard error how far a command is; gone without a trace once it is dropped.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    /// Whether a line is printed now and then where there is no terminal.
    lines: bool,
    told: Instant,
}

impl Progress {
    /// Counts `what`.
    #[must_use]
    pub fn new(what: &'static str) -> Self {
        Self { bar: std::io::stderr().is_terminal().then(bar), what, lines: true, told: Instant::now() }
    }

    /// Counts `what`, and tells nothing where there is no terminal.
    #[must_use]
    pub fn on_terminal(what: &'static str) -> Self {
        let mut progress = Self::new(what);
        progress.lines = false;
        progress
    }

    /// So much is done, of about so much. `note`: whatever else there is to say.
    pub fn tell(&mut self, done: u64, total: u64, note: &str) {
        let (what, total) = (self.what, total.max(done));
        let message = if note.is_empty() { what.to_owned() } else { format!("{what}, {note}") };
        match &self.bar {
            // An estimate: the bar never shows more done than there is.
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(message);
            }
            None if self.lines && self.told.elapsed() >= LINE_EVERY => {
                self.told = Instant::now();
                eprintln!("{done} of about {total} {message}");
            }
            None => {}
        }
    }

    /// Prints to standard output without tearing the bar.
    ///
    /// # Errors
    /// Whatever `print` says.
    pub fn println(&self, print: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} ({eta} left)") {
        bar.set_style(style);
    }
    bar
}
