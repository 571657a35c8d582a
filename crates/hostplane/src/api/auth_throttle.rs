//! Limits on the requests of one client that show no right token.
//!
//! A token has 256 random bits, so guessing is hopeless at any speed; the limits bound the database reads that guesses
//! cost, and the work for requests without a token. Right tokens are never counted, so no other traffic of their
//! address slows them. A crate such as `governor` would do the arithmetic, but keeps an entry for each address that
//! ever came.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Addresses with a count of their own; all others share one.
const ADDRESSES: usize = 4096;

/// Counts of requests per address.
pub(super) struct AuthThrottle {
    /// Requests that are allowed at once.
    burst: u32,
    /// Time after which one more is allowed.
    every: Duration,
    counts: Mutex<Allowances>,
}

#[derive(Default)]
struct Allowances {
    /// Time at which each address has its whole allowance again; an address without an entry has it.
    of: HashMap<IpAddr, Instant>,
    of_others: Option<Instant>,
}

impl AuthThrottle {
    /// Limit on wrong tokens.
    pub fn of_wrong_tokens() -> Self {
        Self { burst: 20, every: Duration::from_secs(3), counts: Mutex::default() }
    }

    /// Limit on requests without a token. Health checks of several watchers fit in.
    pub fn of_anonymous_requests() -> Self {
        Self { burst: 100, every: Duration::from_millis(50), counts: Mutex::default() }
    }

    /// Counts a request, or returns the time to wait if there were too many.
    pub fn count(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        // A count that a panic left behind is as good as any.
        let mut allowances = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let from = subscriber(from);
        if allowances.of.len() >= ADDRESSES && !allowances.of.contains_key(&from) {
            allowances.of.retain(|_, at| *at > now);
        }
        let known = allowances.of.contains_key(&from) || allowances.of.len() < ADDRESSES;
        let at = if known { allowances.of.get(&from).copied() } else { allowances.of_others };
        let at = at.map_or(now, |at| at.max(now)) + self.every;
        let too_early = (at - now).saturating_sub(self.every * self.burst);
        if !too_early.is_zero() {
            return Err(too_early);
        }
        if known {
            allowances.of.insert(from, at);
        } else {
            allowances.of_others = Some(at);
        }
        Ok(())
    }
}

/// Key of one subscriber: an IPv4 address, or an IPv6 /64.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const BURST: u32 = 20;
    const EVERY: Duration = Duration::from_secs(3);

    /// Wrong tokens before the first refusal.
    fn passing(throttle: &AuthThrottle, from: &str, now: Instant) -> u32 {
        let mut passed = 0;
        while throttle.count(ip(from), now).is_ok() {
            passed += 1;
            assert!(passed <= BURST, "there is an end");
        }
        passed
    }

    #[test]
    fn after_a_burst_tokens_are_paced() {
        let (throttle, now) = (AuthThrottle::of_wrong_tokens(), Instant::now());
        assert_eq!(passing(&throttle, "192.0.2.1", now), BURST);
        assert_eq!(throttle.count(ip("192.0.2.1"), now), Err(EVERY));
        let almost = now + EVERY - Duration::from_millis(1);
        assert_eq!(throttle.count(ip("192.0.2.1"), almost), Err(Duration::from_millis(1)), "asking costs nothing");
        assert_eq!(passing(&throttle, "192.0.2.1", now + EVERY), 1);
        assert_eq!(passing(&throttle, "192.0.2.1", now + EVERY * 100), BURST, "the allowance is whole again");
    }

    #[test]
    fn one_address_is_not_another() {
        let (throttle, now) = (AuthThrottle::of_wrong_tokens(), Instant::now());
        assert_eq!(passing(&throttle, "192.0.2.1", now), BURST);
        assert_eq!(passing(&throttle, "192.0.2.2", now), BURST);
        assert_eq!(passing(&throttle, "::ffff:192.0.2.1", now), 0, "the same, written otherwise");
        assert_eq!(passing(&throttle, "2001:db8::1", now), BURST);
        assert_eq!(passing(&throttle, "2001:db8::2", now), 0, "a subscriber has all of the /64");
        assert_eq!(passing(&throttle, "2001:db8:0:1::1", now), BURST);
    }

    #[test]
    fn memory_is_bounded_and_no_offender_is_forgotten() {
        let (throttle, now) = (AuthThrottle::of_wrong_tokens(), Instant::now());
        let address = |n: usize| IpAddr::from(std::net::Ipv4Addr::from_bits(u32::try_from(n).unwrap()));
        assert_eq!(passing(&throttle, "192.0.2.1", now), BURST);
        let passed = (0..3 * ADDRESSES).filter(|n| throttle.count(address(*n), now).is_ok()).count();
        assert_eq!(passed, ADDRESSES - 1 + BURST as usize, "each that is known, and a burst of all others");
        assert_eq!(throttle.counts.lock().unwrap().of.len(), ADDRESSES);
        assert_eq!(passing(&throttle, "192.0.2.1", now), 0, "an address over the limit is not forgotten");
        assert!(throttle.count(address(3 * ADDRESSES), now + EVERY * BURST).is_ok(), "an expired entry makes room");
        assert_eq!(throttle.counts.lock().unwrap().of.len(), 1);
    }
}
