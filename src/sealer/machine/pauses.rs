//! How long to wait, after what.

use std::time::Duration;

/// The pause after a first failure; it doubles with each further one.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause after a failure.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// While the past does not fit, it is looked at again so often at most.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A look that takes long, up to what somebody outside has seen of millions of events, is followed by a pause so many times as
/// long.
const LOOK_SHARE: u32 = 4;
/// The longest pause after a look.
const LOOK_AGAIN_MAX: Duration = Duration::from_mins(5);

/// How long to wait before the past, which did not fit, is looked at again, where the last look `took` so long.
#[must_use]
pub fn look_again(took: Duration) -> Duration {
    took.saturating_mul(LOOK_SHARE).clamp(LOOK_AGAIN, LOOK_AGAIN_MAX)
}

/// The pause after so many failures in a row, and one more.
pub(super) fn after_failures(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE)
}
