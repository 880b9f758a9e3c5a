//! What a run has shown, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::objection::Objection;
use super::rounds::Round;
use super::strikes::Fault;

/// One fault's row; a round with two faults counts in both.
#[derive(Debug, Default)]
struct Tally {
    rounds: usize,
    fired: usize,
    acknowledged: usize,
    lost: usize,
    doubled: usize,
    recovered: Vec<Duration>,
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
    pub(crate) fn count(
        &mut self,
        round: &Round,
        fired: &[usize],
        acknowledged: usize,
        recovered: Duration,
        found: &[Objection],
    ) {
        let count = |is: fn(&&Objection) -> bool| found.iter().filter(is).count();
        let lost = count(|objection| matches!(objection, Objection::Lost(_)));
        let doubled = count(|objection| matches!(objection, Objection::Doubled(_)));
        self.others += found.len() - lost - doubled;
        for (fault, fired) in round.faults.iter().zip(fired) {
            let tally = self.tallies.entry(*fault).or_default();
            tally.rounds += 1;
            tally.fired += fired;
            tally.acknowledged += acknowledged;
            tally.lost += lost;
            tally.doubled += doubled;
            tally.recovered.push(recovered);
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
            "{rounds} rounds, seed {seed}; a round with two faults counts in both rows. Objections besides lost and \
             doubled writes: {}.\n\n\
             | fault | rounds | times fired | writes acknowledged | lost | doubled | recovery, median | worst |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.others
        );
        for (fault, tally) in &self.tallies {
            let mut recovered = tally.recovered.clone();
            recovered.sort_unstable();
            let (median, worst) = (recovered[recovered.len() / 2], recovered[recovered.len() - 1]);
            let Tally { rounds, fired, acknowledged, lost, doubled, .. } = tally;
            // Writing to a string can't fail.
            let _ = writeln!(
                text,
                "| {} | {rounds} | {fired} | {acknowledged} | {lost} | {doubled} | {:.2} s | {:.2} s |",
                fault.name(),
                median.as_secs_f64(),
                worst.as_secs_f64()
            );
        }
        for (fault, why) in &self.skipped {
            let _ = writeln!(text, "\nLeft out: {} ({}).", fault.name(), why.trim());
        }
        text
    }
}
