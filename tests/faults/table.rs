//! What a run has shown, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::objection::Objection;
use super::rounds::{Round, Struck};
use super::strikes::Fault;

/// One fault's row; a round with two faults counts in both.
#[derive(Debug, Default)]
struct Tally {
    rounds: usize,
    fired: usize,
    acknowledged: usize,
    lost: usize,
    doubled: usize,
    ready: Vec<Duration>,
    whole: Vec<Duration>,
}

/// The middle one and the longest, in seconds.
fn seconds(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    format!("{:.2} | {:.2}", median.as_secs_f64(), worst.as_secs_f64())
}

/// What is counted over a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    tallies: BTreeMap<Fault, Tally>,
    /// Whatever else the checker objected to.
    others: usize,
    skipped: Vec<(Fault, String)>,
}

impl Report {
    /// Takes note that this machine does not let a fault strike, and why.
    pub(crate) fn skip(&mut self, fault: Fault, why: String) {
        println!("left out, for this machine does not let us: {}: {why}", fault.name());
        self.skipped.push((fault, why));
    }

    /// Counts a round.
    pub(crate) fn count(&mut self, round: &Round, struck: &Struck, acknowledged: usize, found: &[Objection]) {
        let count = |is: fn(&&Objection) -> bool| found.iter().filter(is).count();
        let lost = count(|objection| matches!(objection, Objection::Lost(_)));
        let doubled = count(|objection| matches!(objection, Objection::Doubled(_)));
        self.others += found.len() - lost - doubled;
        for (fault, fired) in round.faults.iter().zip(&struck.fired) {
            let tally = self.tallies.entry(*fault).or_default();
            tally.rounds += 1;
            tally.fired += fired;
            tally.acknowledged += acknowledged;
            tally.lost += lost;
            tally.doubled += doubled;
            tally.ready.push(struck.ready);
            tally.whole.push(struck.whole);
        }
    }

    /// Those of `faults` that never struck.
    pub(crate) fn never_fired(&self, faults: &[Fault]) -> Vec<Fault> {
        let fired = |fault: &Fault| self.tallies.get(fault).is_some_and(|tally| tally.fired > 0);
        faults.iter().copied().filter(|fault| !fired(fault)).collect()
    }

    /// The table, in Markdown.
    pub(crate) fn markdown(&self, seed: u64, rounds: usize) -> String {
        let mut text = format!(
            "{rounds} rounds, seed {seed}. A round with two faults counts in both rows. *Ready*: seconds from the end of \
             the cause until `/readyz` is 200 and a write sent since is acknowledged. *Whole*: until nothing is degraded \
             and every follower is up to date, from the end of the cause or, where the stream has to be made anew, of \
             the operator's command. What the checker objected to besides: {}.\n\n\
             | fault | rounds | times fired | writes acknowledged | lost | doubled | ready, median | worst | \
             whole, median | worst |\n|---|---|---|---|---|---|---|---|---|---|\n",
            self.others
        );
        for (fault, tally) in &self.tallies {
            let Tally { rounds, fired, acknowledged, lost, doubled, ready, whole } = tally;
            // Writing to a string can't fail.
            let _ = writeln!(
                text,
                "| {} | {rounds} | {fired} | {acknowledged} | {lost} | {doubled} | {} | {} |",
                fault.name(),
                seconds(ready),
                seconds(whole)
            );
        }
        for (fault, why) in &self.skipped {
            let _ = writeln!(text, "\nLeft out: {} ({}).", fault.name(), why.trim());
        }
        text
    }
}
