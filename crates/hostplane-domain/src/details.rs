//! The details given when a site is created: title, first administrator, e-mail address.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The rule that a detail breaks, in words for the person who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DetailError {
    /// The title's rule.
    #[error("a title has 1 to 200 characters and no control characters")]
    Title,
    /// The user's rule, which is WordPress's strict one.
    #[error(
        "an administrator's name has 1 to 60 of the characters a-z, A-Z, 0-9, _ . - @ and starts with a letter or digit"
    )]
    AdminUser,
    /// The address's rule, a subset of what WordPress accepts.
    #[error(
        "an e-mail address has the form name@example.com, at most 100 characters and no others than a-z, A-Z, 0-9 and . _ % + -"
    )]
    AdminEmail,
}

macro_rules! detail {
    ($(#[$doc:meta])* $name:ident, $error:expr, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps.
            ///
            /// # Errors
            /// The rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, DetailError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = DetailError;
            fn try_from(text: String) -> Result<Self, DetailError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}

detail!(
    /// The site's title: any text of 1 to 200 characters without control characters.
    SiteTitle,
    DetailError::Title,
    |text| !text.trim().is_empty() && text.chars().count() <= 200 && !text.chars().any(char::is_control)
);

detail!(
    /// The login name of WordPress's first administrator.
    AdminUser,
    DetailError::AdminUser,
    |text| {
        let bytes = text.as_bytes();
        (1..=60).contains(&bytes.len())
            && bytes[0].is_ascii_alphanumeric()
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'@'))
    }
);

detail!(
    /// The e-mail address of WordPress's first administrator.
    AdminEmail,
    DetailError::AdminEmail,
    |text| {
        let Some((local, domain)) = text.split_once('@') else { return false };
        let local_ok = !local.is_empty()
            && local.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-'));
        let label_ok = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        // WordPress drops shorter ones, and the administrator would have no address.
        (6..=100).contains(&text.len()) && local_ok && domain.contains('.') && domain.split('.').all(label_ok)
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_may_be_any_printable_text() {
        assert!(SiteTitle::parse("O'Brien & \"Söhne\" <b> \\ 日本 {env.X} $x").is_ok());
        for bad in ["", "   ", "a\nb", "a\0b", &"x".repeat(201)] {
            assert_eq!(SiteTitle::parse(bad), Err(DetailError::Title), "{bad:?}");
        }
    }

    #[test]
    fn administrators_have_names_that_wordpress_keeps() {
        assert!(AdminUser::parse("jane.doe-2@x").is_ok());
        for bad in ["", " a", ".a", "a b", "a'b", "ä", "<a>", &"x".repeat(61)] {
            assert_eq!(AdminUser::parse(bad), Err(DetailError::AdminUser), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_plain() {
        assert!(AdminEmail::parse("jane+wp@mail.example.com").is_ok());
        let long = format!("{}@example.com", "x".repeat(100));
        for bad in ["", "a", "a@b.c", "a@b", "@b.c", "a@.c", "a@b.c\n", "a b@c.d", "a@-b.c", "a@b..c", long.as_str()] {
            assert_eq!(AdminEmail::parse(bad), Err(DetailError::AdminEmail), "{bad:?}");
        }
    }
}
