//! What one run gives, and the middle one of several.

use std::time::Duration;

use crate::BenchError;

/// What one run, or the median of several, gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// Requests or transactions a second.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// The median of each column by itself.
pub(crate) fn median(runs: &[Figure]) -> Result<Figure, BenchError> {
    Ok(Figure {
        rate: middle(runs.iter().map(|run| run.rate), f64::total_cmp)?,
        p50: middle(runs.iter().map(|run| run.p50), Duration::cmp)?,
        p99: middle(runs.iter().map(|run| run.p99), Duration::cmp)?,
    })
}

/// The middle one; of an even number, the upper one of the two.
pub(crate) fn middle<T: Copy>(
    values: impl Iterator<Item = T>,
    order: fn(&T, &T) -> std::cmp::Ordering,
) -> Result<T, BenchError> {
    let mut values: Vec<T> = values.collect();
    values.sort_by(order);
    values.get(values.len() / 2).copied().ok_or(BenchError::NoRounds)
}

/// The middle one of some times.
pub(crate) fn middle_time(times: &[Duration]) -> Result<Duration, BenchError> {
    middle(times.iter().copied(), Duration::cmp)
}

/// The time that so many of a hundred stay below; sorts them.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Result<Duration, BenchError> {
    times.sort_unstable();
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).copied().ok_or(BenchError::NoRounds)
}

/// How many a second.
pub(crate) fn rate(count: u64, time: Duration) -> f64 {
    as_f64(count) / time.as_secs_f64().max(1e-9)
}

/// A count as a number to divide.
#[expect(clippy::cast_precision_loss, reason = "what is counted here is far below 2⁵²")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
