//! Pool of private subnets, one for each site's network.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

/// Prefix length of a site's subnet: 8 addresses, of which 5 are free for containers after network,
/// broadcast and gateway; a site needs 2, and 3 are left for a replacement during a repair.
pub const SITE_PREFIX: u8 = 29;

/// A private IPv4 range that is cut into subnets of [`SITE_PREFIX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubnetPool(Ipv4Net);

/// The text can't be a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPool {
    /// Not `a.b.c.d/n` with only network bits set.
    #[error("a subnet pool is written like 10.213.0.0/16, without host bits")]
    Syntax,
    /// Outside the private ranges.
    #[error("a subnet pool lies within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10")]
    NotPrivate,
    /// Smaller than one site's subnet, or larger than could be meant.
    #[error("a subnet pool is between /8 and /29")]
    Size,
}

impl Default for SubnetPool {
    fn default() -> Self {
        Self(Ipv4Net::new_assert(Ipv4Addr::new(10, 213, 0, 0), 16))
    }
}

impl SubnetPool {
    /// The subnets, in ascending order.
    pub fn subnets(self) -> impl Iterator<Item = Ipv4Net> {
        self.0.subnets(SITE_PREFIX).into_iter().flatten()
    }

    /// The whole range.
    #[must_use]
    pub fn range(self) -> Ipv4Net {
        self.0
    }
}

/// True if two ranges share an address.
#[must_use]
pub fn overlap(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(b) || b.contains(a)
}

impl FromStr for SubnetPool {
    type Err = BadPool;
    fn from_str(text: &str) -> Result<Self, BadPool> {
        let net: Ipv4Net = text.parse().map_err(|_| BadPool::Syntax)?;
        if net.trunc() != net {
            return Err(BadPool::Syntax);
        }
        if !(8..=SITE_PREFIX).contains(&net.prefix_len()) {
            return Err(BadPool::Size);
        }
        let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];
        let inside = private.iter().any(|range| range.parse().is_ok_and(|range: Ipv4Net| range.contains(&net)));
        if inside { Ok(Self(net)) } else { Err(BadPool::NotPrivate) }
    }
}

impl fmt::Display for SubnetPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for SubnetPool {
    type Error = BadPool;
    fn try_from(text: String) -> Result<Self, BadPool> {
        text.parse()
    }
}

impl From<SubnetPool> for String {
    fn from(pool: SubnetPool) -> Self {
        pool.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_cut_into_disjoint_subnets() {
        let pool: SubnetPool = "10.9.0.0/28".parse().unwrap();
        let subnets: Vec<_> = pool.subnets().map(|net| net.to_string()).collect();
        assert_eq!(subnets, ["10.9.0.0/29", "10.9.0.8/29"]);
        assert_eq!("10.213.0.0/16".parse::<SubnetPool>().unwrap().subnets().count(), 8192);
    }

    #[test]
    fn pools_are_checked() {
        for (bad, why) in [
            ("x", BadPool::Syntax),
            ("10.0.0.1/16", BadPool::Syntax),
            ("10.0.0.0/30", BadPool::Size),
            ("0.0.0.0/0", BadPool::Size),
            ("8.8.0.0/16", BadPool::NotPrivate),
            ("172.0.0.0/8", BadPool::NotPrivate),
        ] {
            assert_eq!(bad.parse::<SubnetPool>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn overlap_is_symmetric() {
        let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
        assert!(overlap(&net("10.0.0.0/8"), &net("10.1.0.0/16")));
        assert!(overlap(&net("10.1.0.0/16"), &net("10.0.0.0/8")));
        assert!(!overlap(&net("10.1.0.0/16"), &net("10.2.0.0/16")));
    }

    #[test]
    fn a_pool_prints_as_it_was_given() {
        let pool: SubnetPool = "10.213.0.0/16".parse().unwrap();
        assert_eq!(pool.to_string(), "10.213.0.0/16");
        assert_eq!(String::from(pool), "10.213.0.0/16");
        assert_eq!(pool.range().to_string(), "10.213.0.0/16");
    }
}
