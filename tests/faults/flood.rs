//! Many more requests at once than the ledger takes: it says so in so many words, stays small, and is quick again after.

use std::time::Duration;

use super::callers::Callers;
use super::history::Told;
use super::stage::Stage;
use crate::support::eventually;

/// What a stage that is to be flooded takes at once.
pub(crate) const SERVED_AT_ONCE: u64 = 60;
const FLOOD: u64 = 10 * SERVED_AT_ONCE;
const MEMORY_KB: u64 = 200 << 10;
/// So many of the last answers tell how long one takes.
const SAMPLE: usize = 40;
/// A machine that has just come out of it may still be a bit slower.
const SLOWER: u32 = 4;
const QUICK: Duration = Duration::from_millis(150);

/// Lets loose as many callers.
pub(crate) fn begin(callers: &mut Callers) {
    let before = callers.scene.latency(SAMPLE);
    callers.flood(FLOOD, before);
}

/// Waits until they have their answers.
pub(crate) async fn end(callers: &mut Callers) {
    callers.ebb().await;
}

/// Some were turned away, its memory stayed within its limit, and answers are as quick as they were.
pub(crate) async fn has_struck(stage: &Stage, callers: &Callers) {
    let turned_away = callers.flooded(|told| matches!(told, Told::NotWritten | Told::NotShown));
    let (silence, all) = (callers.flooded(|told| *told == Told::Silence), callers.flooded(|_| true));
    println!("    of the flood's {all} requests {turned_away} were turned away, {silence} not answered");
    assert!(silence == 0 || !stage.is_first_process(), "{silence} were not answered at all");
    assert!(turned_away > 0, "nobody was turned away: it was no flood");
    if let Some(peak) = peak_kb(stage) {
        println!("    the ledger's memory at its peak: {} MiB", peak >> 10);
        assert!(peak < MEMORY_KB, "{peak} kB");
    }
    let before = callers.before_flood();
    callers.scene.further(SAMPLE).await;
    eventually("answers are as quick as before", async || {
        let now = callers.scene.latency(SAMPLE);
        (now <= QUICK.max(before * SLOWER)).then_some(())
    })
    .await;
}

/// The most that the process has had in memory; none where the system does not tell.
fn peak_kb(stage: &Stage) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", stage.service().pid())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
