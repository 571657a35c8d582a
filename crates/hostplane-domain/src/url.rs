//! Address of a site.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::SiteName;

/// The domain under which every site gets a host name: lower-case labels of letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseDomain(String);

/// The text can't be a base domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a base domain consists of labels of a-z, 0-9 and - joined by dots and has at most 200 characters, such as sites.example.com"
)]
pub struct BadBaseDomain;

impl BaseDomain {
    /// Checks and wraps. 200 characters leave room for the site's name within the 253 of a host name.
    ///
    /// # Errors
    /// [`BadBaseDomain`].
    pub fn parse(text: &str) -> Result<Self, BadBaseDomain> {
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        if text.len() <= 200 && text.split('.').all(label_ok) { Ok(Self(text.to_owned())) } else { Err(BadBaseDomain) }
    }

    /// The host name of a site under this domain.
    #[must_use]
    pub fn host_of(&self, site: &SiteName) -> String {
        format!("{site}.{}", self.0)
    }
}

impl TryFrom<String> for BaseDomain {
    type Error = BadBaseDomain;
    fn try_from(text: String) -> Result<Self, BadBaseDomain> {
        Self::parse(&text)
    }
}

impl From<BaseDomain> for String {
    fn from(domain: BaseDomain) -> Self {
        domain.0
    }
}

impl std::str::FromStr for BaseDomain {
    type Err = BadBaseDomain;
    fn from_str(text: &str) -> Result<Self, BadBaseDomain> {
        Self::parse(text)
    }
}

/// A site's address, without a path. The scheme is `http` until TLS is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteUrl {
    /// Host name, without the port.
    pub host: String,
    /// The port that visitors use.
    pub port: u16,
}

impl SiteUrl {
    /// The value of the `Host` header: browsers leave out the scheme's own port.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == 80 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for SiteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_domains_are_checked() {
        for good in ["localhost", "sites.example.com"] {
            assert!(BaseDomain::parse(good).is_ok());
        }
        for bad in ["", ".", "a.", "A.b", "a b", "{env.X}", "-a.b", "a/b", "a.b:80", &"a".repeat(64)] {
            assert_eq!(BaseDomain::parse(bad), Err(BadBaseDomain), "{bad:?}");
        }
    }

    #[test]
    fn the_scheme_s_own_port_is_left_out() {
        let url = |port| SiteUrl { host: "a.localhost".into(), port }.to_string();
        assert_eq!(url(80), "http://a.localhost");
        assert_eq!(url(8080), "http://a.localhost:8080");
    }

    #[test]
    fn a_site_is_below_its_domain() {
        let domain = BaseDomain::parse("sites.example").unwrap();
        assert_eq!(domain.host_of(&SiteName::parse("hello").unwrap()), "hello.sites.example");
        assert_eq!(String::from(domain), "sites.example");
    }
}
