//! The lines of the table, each on a small ledger of its own.

pub(crate) mod audit;
pub(crate) mod cpu;
pub(crate) mod creates;
pub(crate) mod disk;
pub(crate) mod gets;
pub(crate) mod memory;
pub(crate) mod oasis;
pub(crate) mod patches;
pub(crate) mod replicas;
pub(crate) mod snapshot;
pub(crate) mod time_travel;
pub(crate) mod tokens;
pub(crate) mod transfer;
pub(crate) mod versions;

use crate::figures::Figure;

/// Tells a figure as it comes.
pub(crate) fn told(what: &str, figure: Figure) -> Figure {
    let [p50, p99] = [figure.p50, figure.p99].map(crate::report::millis);
    eprintln!("  {what}: {:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms", figure.rate);
    figure
}
