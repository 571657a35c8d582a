//! How many wrong tokens one client may show.
//!
//! A token has 256 random bits, so guessing is hopeless at any speed; what this bounds is what somebody who
//! tries all the same makes us log and look up. Right tokens are never counted, so they are never slowed,
//! whatever else comes from their address. A crate such as `governor` would do the arithmetic, but keeps an
//! entry for each address that ever came.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong tokens at once.
const BURST: u32 = 20;
/// One more is allowed each.
const EVERY: Duration = Duration::from_secs(3);
/// Addresses that are told apart. Beyond that all others count as one.
const ADDRESSES: usize = 4096;

/// When each address will have been forgiven everything. Most have been, and are not in here.
#[derive(Default)]
pub(super) struct AuthThrottle(Mutex<Allowances>);

#[derive(Default)]
struct Allowances {
    of: HashMap<IpAddr, Instant>,
    of_others: Option<Instant>,
}

impl AuthThrottle {
    /// Counts one, unless there were too many: then it says how long to wait.
    pub fn count(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        // What a panic left behind is a count like any other.
        let mut allowances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = subscriber(from);
        if allowances.of.len() >= ADDRESSES && !allowances.of.contains_key(&from) {
            allowances.of.retain(|_, at| *at > now);
        }
        let known = allowances.of.contains_key(&from) || allowances.of.len() < ADDRESSES;
        let at = if known { allowances.of.get(&from).copied() } else { allowances.of_others };
        let at = at.map_or(now, |at| at.max(now)) + EVERY;
        let too_early = (at - now).saturating_sub(EVERY * BURST);
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

/// What one subscriber has: an address of version 4, or a /64 of version 6.
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

    /// How many are let pass before the first that is not.
    fn passing(wrong: &AuthThrottle, from: &str, now: Instant) -> u32 {
        let mut passed = 0;
        while wrong.count(ip(from), now).is_ok() {
            passed += 1;
            assert!(passed <= BURST, "there is an end");
        }
        passed
    }

    #[test]
    fn after_a_burst_each_takes_its_time() {
        let (wrong, now) = (AuthThrottle::default(), Instant::now());
        assert_eq!(passing(&wrong, "192.0.2.1", now), BURST);
        assert_eq!(wrong.count(ip("192.0.2.1"), now), Err(EVERY));
        let almost = now + EVERY - Duration::from_millis(1);
        assert_eq!(wrong.count(ip("192.0.2.1"), almost), Err(Duration::from_millis(1)), "asking costs nothing");
        assert_eq!(passing(&wrong, "192.0.2.1", now + EVERY), 1);
        assert_eq!(passing(&wrong, "192.0.2.1", now + EVERY * 100), BURST, "all is forgiven");
    }

    #[test]
    fn one_address_is_not_another() {
        let (wrong, now) = (AuthThrottle::default(), Instant::now());
        assert_eq!(passing(&wrong, "192.0.2.1", now), BURST);
        assert_eq!(passing(&wrong, "192.0.2.2", now), BURST);
        assert_eq!(passing(&wrong, "::ffff:192.0.2.1", now), 0, "the same, written otherwise");
        assert_eq!(passing(&wrong, "2001:db8::1", now), BURST);
        assert_eq!(passing(&wrong, "2001:db8::2", now), 0, "whoever has one has all of the /64");
        assert_eq!(passing(&wrong, "2001:db8:0:1::1", now), BURST);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_lets_nobody_through() {
        let (wrong, now) = (AuthThrottle::default(), Instant::now());
        let address = |n: usize| IpAddr::from(std::net::Ipv4Addr::from_bits(u32::try_from(n).unwrap()));
        assert_eq!(passing(&wrong, "192.0.2.1", now), BURST);
        let passed = (0..3 * ADDRESSES).filter(|n| wrong.count(address(*n), now).is_ok()).count();
        assert_eq!(passed, ADDRESSES - 1 + BURST as usize, "each that is known, and a burst of all others");
        assert_eq!(wrong.0.lock().unwrap().of.len(), ADDRESSES);
        assert_eq!(passing(&wrong, "192.0.2.1", now), 0, "who was over the limit is not forgotten for it");
        assert!(wrong.count(address(3 * ADDRESSES), now + EVERY * BURST).is_ok(), "the allowances make room");
        assert_eq!(wrong.0.lock().unwrap().of.len(), 1);
    }
}
