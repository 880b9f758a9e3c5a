//! How much the HTTP side takes on, and for how long it waits.

use std::time::Duration;

use super::rate::RateLimit;

/// The limits; the defaults are for one process of a few cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections at a time; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Requests at a time; further ones are answered with 503 at once. `/vtid/health` and `/readyz` don't count.
    pub requests_max: usize,
    /// How often one caller may ask; none: as often as it likes.
    pub rate: Option<RateLimit>,
    /// Within this time a request's head must come whole, and an idle connection its next one.
    pub head_read_timeout: Duration,
    /// Within this time a body must come whole.
    pub body_read_timeout: Duration,
    /// A caller that takes nothing of its answer for so long is dropped.
    pub write_stall_timeout: Duration,
    /// For so long what a caller still sends after its last answer is read and thrown away, so that the answer
    /// reaches it.
    pub linger: Duration,
    /// For so long requests under way may go on once the process is told to stop.
    pub shutdown_grace: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            requests_max: 1024,
            rate: None,
            head_read_timeout: Duration::from_secs(10),
            body_read_timeout: Duration::from_secs(30),
            write_stall_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

/// Bytes that a request's head may have.
pub(super) const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Headers that a request may have.
pub(super) const HEADERS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_requests_have_ten_and_thirty_seconds() {
        let HttpLimits { head_read_timeout, body_read_timeout, rate, .. } = HttpLimits::default();
        assert_eq!(
            (head_read_timeout, body_read_timeout),
            (Duration::from_secs(10), Duration::from_secs(30))
        );
        assert_eq!(rate, None, "nobody is limited unless it is asked for");
    }
}
