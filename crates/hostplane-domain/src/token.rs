//! Scope and name of an API token.

use std::fmt;
use std::str::FromStr;

use crate::text_enum::text_enum;

text_enum!(
    /// Scope of a token. Each scope includes those before it.
    TokenScope, "scope" {
        /// Read everything but secrets.
        Read = "read",
        /// Also order every operation, and read sites' credentials.
        Operate = "operate",
        /// Also make, list and revoke tokens.
        Admin = "admin",
    }
);

impl TokenScope {
    /// True if a token of this scope may do what needs `needed`.
    #[must_use]
    pub fn includes(self, needed: Self) -> bool {
        self >= needed
    }
}

/// The text is no name of a token. The message is for the caller who sent the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token's name has 1 to 64 characters, no control characters and no space at either end")]
pub struct BadTokenName;

/// Name of a token: its holder or its purpose. Names need not be unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

impl TokenName {
    /// Checks and wraps.
    ///
    /// # Errors
    /// [`BadTokenName`].
    pub fn parse(text: &str) -> Result<Self, BadTokenName> {
        let fits = (1..=64).contains(&text.chars().count());
        let shown = text.trim() == text && !text.chars().any(char::is_control);
        if fits && shown { Ok(Self(text.to_owned())) } else { Err(BadTokenName) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = BadTokenName;
    fn from_str(text: &str) -> Result<Self, BadTokenName> {
        Self::parse(text)
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_include_only_those_before_them() {
        for (at, scope) in TokenScope::ALL.iter().enumerate() {
            for (needed_at, needed) in TokenScope::ALL.iter().enumerate() {
                assert_eq!(scope.includes(*needed), needed_at <= at, "{scope} for {needed}");
            }
        }
    }

    #[test]
    fn names_can_be_printed_on_one_line() {
        for good in ["ci", "Jane's laptop", "ä", &"x".repeat(64)] {
            assert_eq!(TokenName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", " ci", "ci ", "a\nb", "a\u{9b}b", "a\u{0}", &"x".repeat(65)] {
            assert_eq!(TokenName::parse(bad), Err(BadTokenName), "{bad:?}");
        }
    }
}
