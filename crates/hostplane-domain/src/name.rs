//! Name of a site: hostile text that becomes part of container names, database names and host names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes. `wp_` + 32 stays far below the 64 of a MariaDB database name.
pub const MAX_LEN: usize = 32;

/// Host names that no site gets under the shared base domain: they belong to the platform or have a meaning for
/// mail and browser software.
pub const RESERVED: &[&str] = &[
    "admin",
    "api",
    "autoconfig",
    "autodiscover",
    "caddy",
    "hostplane",
    "localhost",
    "mail",
    "mariadb",
    "smtp",
    "status",
    "webmail",
    "wpad",
    "www",
];

/// A valid site name: 1 to 32 of `a-z 0-9 -`, starting with a letter, not ending in `-`, not beginning
/// with `xn--`, not reserved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteName(String);

/// Rule that a site name breaks. The message is for the caller who sent the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a site's name can't be empty")]
    Empty,
    /// More than [`MAX_LEN`] bytes.
    #[error("a site's name has at most 32 characters")]
    TooLong,
    /// A character outside `a-z 0-9 -`.
    #[error("a site's name consists of the characters a-z, 0-9 and - only")]
    BadCharacter,
    /// The first character is not a letter.
    #[error("a site's name starts with a letter a-z")]
    BadStart,
    /// The last character is `-`.
    #[error("a site's name doesn't end in -")]
    BadEnd,
    /// `xn--…` is the encoded form of an international name, which could imitate another.
    #[error("a site's name doesn't begin with xn--")]
    Punycode,
    /// The name is in [`RESERVED`].
    #[error("this name is reserved; choose another")]
    Reserved,
}

impl SiteName {
    /// Checks and wraps.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return Err(NameError::Empty);
        };
        if bytes.len() > MAX_LEN {
            return Err(NameError::TooLong);
        }
        if !bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
            return Err(NameError::BadCharacter);
        }
        if !first.is_ascii_lowercase() {
            return Err(NameError::BadStart);
        }
        if *last == b'-' {
            return Err(NameError::BadEnd);
        }
        if text.starts_with("xn--") {
            return Err(NameError::Punycode);
        }
        if RESERVED.contains(&text) {
            return Err(NameError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SiteName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// The beginning of a site's name: 1 to 32 of `a-z 0-9 -`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteNamePrefix(String);

impl SiteNamePrefix {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteNamePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SiteNamePrefix {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.bytes().next() {
            None => Err(NameError::Empty),
            Some(_) if text.len() > MAX_LEN => Err(NameError::TooLong),
            Some(_) if !text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) => {
                Err(NameError::BadCharacter)
            }
            Some(first) if !first.is_ascii_lowercase() => Err(NameError::BadStart),
            Some(_) => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for SiteName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<SiteName> for String {
    fn from(name: SiteName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_names_are_accepted() {
        for good in ["a", "hello", "a-b", "a--b", "z9", "abcdefghijklmnopqrstuvwxyz-01234"] {
            assert_eq!(SiteName::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn each_broken_rule_has_its_own_error() {
        let long = "a".repeat(33);
        for (bad, why) in [
            ("", NameError::Empty),
            (long.as_str(), NameError::TooLong),
            ("Hello", NameError::BadCharacter),
            ("a_b", NameError::BadCharacter),
            ("a.b", NameError::BadCharacter),
            ("a/../b", NameError::BadCharacter),
            ("a\n", NameError::BadCharacter),
            ("ä", NameError::BadCharacter),
            ("1a", NameError::BadStart),
            ("-a", NameError::BadStart),
            ("a-", NameError::BadEnd),
            ("xn--a", NameError::Punycode),
            ("www", NameError::Reserved),
        ] {
            assert_eq!(SiteName::parse(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn stored_names_are_checked_when_read() {
        assert!(serde_json::from_str::<SiteName>("\"../etc\"").is_err());
    }

    #[test]
    fn a_name_converts_to_its_text() {
        assert_eq!(String::from(SiteName::parse("hello").unwrap()), "hello");
    }
}
