//! What one run gives, and the middle one of several.

use std::time::Duration;

/// What one run, or the median of several, gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// Requests or transactions a second.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// The median of each column by itself; `None` of no runs.
pub(crate) fn median(runs: &[Figure]) -> Option<Figure> {
    Some(Figure {
        rate: middle(runs.iter().map(|run| run.rate), f64::total_cmp)?,
        p50: middle(runs.iter().map(|run| run.p50), Duration::cmp)?,
        p99: middle(runs.iter().map(|run| run.p99), Duration::cmp)?,
    })
}

fn middle<T: Copy>(values: impl Iterator<Item = T>, order: fn(&T, &T) -> std::cmp::Ordering) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_by(order);
    values.get(values.len() / 2).copied()
}
