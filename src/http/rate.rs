//! How many requests a second one caller may make: a token bucket each, if a limit is set.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::error::ApiError;
use crate::domain::origin::Role;
use crate::domain::text::ActorId;

/// After so many requests, buckets that are full again are thrown away.
const SWEEP_EVERY: u32 = 4_096;
/// No sooner than there are so many.
const BUCKETS_KEPT: usize = 1_024;

/// A limit for each caller, in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second, in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once, after a rest.
    pub burst: NonZeroU32,
}

/// Whose bucket it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// Whoever the token names, in its role, if the ledger knows it.
    Named(Option<Role>, ActorId),
    /// Where no tokens are asked for: whoever is at this address.
    At(IpAddr),
    /// Nothing is known of the caller.
    Unknown,
}

impl Who {
    /// Of an IPv6 address the network alone: a host has its pick of the rest.
    pub(super) fn at(address: IpAddr) -> Self {
        Self::At(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// The buckets.
pub(super) struct RateLimiter(Option<Buckets>);

struct Buckets {
    limiter: DefaultKeyedRateLimiter<Who>,
    clock: DefaultClock,
    taken: AtomicU32,
}

impl RateLimiter {
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        Self(limit.map(|limit| Buckets {
            limiter: governor::RateLimiter::keyed(
                Quota::per_second(limit.per_second).allow_burst(limit.burst),
            ),
            clock: DefaultClock::default(),
            taken: AtomicU32::new(0),
        }))
    }

    /// Takes one request out of the caller's bucket; nobody is asked for where there are none.
    ///
    /// # Errors
    /// [`ApiError::TooManyRequests`]: it is empty.
    pub(super) fn take(&self, who: impl FnOnce() -> Who) -> Result<(), ApiError> {
        let Some(buckets) = &self.0 else { return Ok(()) };
        let taken = buckets.taken.fetch_add(1, Ordering::Relaxed);
        if taken % SWEEP_EVERY == SWEEP_EVERY - 1 && buckets.limiter.len() > BUCKETS_KEPT {
            buckets.limiter.retain_recent();
            buckets.limiter.shrink_to_fit();
        }
        buckets.limiter.check_key(&who()).map_err(|until| {
            let wait = until.wait_time_from(buckets.clock.now());
            let retry_after_seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            ApiError::TooManyRequests { retry_after_seconds: retry_after_seconds.max(1) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_second: u32, burst: u32) -> RateLimiter {
        let number = |n| NonZeroU32::new(n).unwrap();
        RateLimiter::new(Some(RateLimit { per_second: number(per_second), burst: number(burst) }))
    }

    fn named(name: &str) -> Who {
        Who::Named(None, ActorId::parse(name).unwrap())
    }

    #[test]
    fn each_caller_has_a_bucket_of_its_own() {
        let limiter = limiter(1, 3);
        for _ in 0..3 {
            assert_eq!(limiter.take(|| named("a")), Ok(()));
        }
        assert_eq!(limiter.take(|| named("a")), Err(ApiError::TooManyRequests { retry_after_seconds: 1 }));
        assert_eq!(limiter.take(|| named("b")), Ok(()));
        assert_eq!(limiter.take(|| Who::Unknown), Ok(()));
    }

    #[test]
    fn without_a_limit_nobody_is_refused() {
        let limiter = RateLimiter::new(None);
        for _ in 0..10_000 {
            assert_eq!(limiter.take(|| named("a")), Ok(()));
        }
    }

    #[test]
    fn full_buckets_do_not_pile_up() {
        let limiter = limiter(1_000_000, 1_000_000);
        for n in 0..3 * SWEEP_EVERY {
            limiter.take(|| named(&n.to_string())).unwrap();
        }
        let kept = limiter.0.unwrap().limiter.len();
        assert!(kept < 2 * SWEEP_EVERY as usize, "{kept} buckets");
    }

    #[test]
    fn a_host_does_not_get_a_bucket_for_each_of_its_addresses() {
        let at = |text: &str| Who::at(text.parse().unwrap());
        assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::9"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.2"), at("192.0.2.1"));
    }
}
