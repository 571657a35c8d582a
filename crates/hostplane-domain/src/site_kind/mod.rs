//! The kinds of site, and the data that only one kind has.
//!
//! A new kind adds a variant to each enum of this file and a blueprint to the engine's `sites`.

#[cfg(feature = "tiny")]
pub mod tiny;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text_enum::BadText;
use crate::wordpress::{MailRelay, SiteImages, WordpressDetails, WordpressSpec};
#[cfg(feature = "tiny")]
use tiny::TinySpec;

/// A kind of site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SiteKind {
    /// WordPress with a database, PHP-FPM and nginx.
    Wordpress,
    /// A kind for tests: one volume, one container, one route.
    #[cfg(feature = "tiny")]
    Tiny,
}

impl SiteKind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::Wordpress,
        #[cfg(feature = "tiny")]
        Self::Tiny,
    ];

    /// The stable text form, used in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wordpress => "wordpress",
            #[cfg(feature = "tiny")]
            Self::Tiny => "tiny",
        }
    }
}

impl fmt::Display for SiteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SiteKind {
    type Err = BadText;
    fn from_str(text: &str) -> Result<Self, BadText> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(BadText("kind of site"))
    }
}

/// The details that are given when a site is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteDetails {
    /// Title and first administrator.
    Wordpress(WordpressDetails),
    /// None.
    #[cfg(feature = "tiny")]
    Tiny,
}

impl SiteDetails {
    /// The kind of site that they are for.
    #[must_use]
    pub const fn kind(&self) -> SiteKind {
        match self {
            Self::Wordpress(_) => SiteKind::Wordpress,
            #[cfg(feature = "tiny")]
            Self::Tiny => SiteKind::Tiny,
        }
    }

    /// The details of a WordPress site.
    #[must_use]
    pub const fn wordpress(&self) -> Option<&WordpressDetails> {
        match self {
            Self::Wordpress(details) => Some(details),
            #[cfg(feature = "tiny")]
            Self::Tiny => None,
        }
    }

    /// The stored form, which the kind is stored beside.
    ///
    /// # Errors
    /// Never for the details of this crate.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Wordpress(details) => serde_json::to_string(details),
            #[cfg(feature = "tiny")]
            Self::Tiny => Ok("{}".to_owned()),
        }
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When the text is none of that kind.
    pub fn from_json(kind: SiteKind, json: &str) -> Result<Self, serde_json::Error> {
        match kind {
            SiteKind::Wordpress => serde_json::from_str(json).map(Self::Wordpress),
            #[cfg(feature = "tiny")]
            SiteKind::Tiny => Ok(Self::Tiny),
        }
    }
}

/// The part of a desired site that only sites of its kind have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "nearly every site has the large variant, so a box would save nothing")]
pub enum KindSpec {
    /// The part of a WordPress site.
    Wordpress(WordpressSpec),
    /// The part of a tiny site.
    #[cfg(feature = "tiny")]
    Tiny(TinySpec),
}

impl KindSpec {
    /// The kind of site.
    #[must_use]
    pub const fn kind(&self) -> SiteKind {
        match self {
            Self::Wordpress(_) => SiteKind::Wordpress,
            #[cfg(feature = "tiny")]
            Self::Tiny(_) => SiteKind::Tiny,
        }
    }

    /// The WordPress part, of a WordPress site.
    #[must_use]
    pub const fn wordpress(&self) -> Option<&WordpressSpec> {
        match self {
            Self::Wordpress(spec) => Some(spec),
            #[cfg(feature = "tiny")]
            Self::Tiny(_) => None,
        }
    }

    /// The WordPress part, to be changed.
    pub const fn wordpress_mut(&mut self) -> Option<&mut WordpressSpec> {
        match self {
            Self::Wordpress(spec) => Some(spec),
            #[cfg(feature = "tiny")]
            Self::Tiny(_) => None,
        }
    }

    /// Takes over the images and the mail server that new sites get.
    pub fn upgrade(&mut self, images: &SiteImages, mail: Option<&MailRelay>) {
        match self {
            Self::Wordpress(spec) => (spec.images, spec.mail) = (images.clone(), mail.cloned()),
            #[cfg(feature = "tiny")]
            Self::Tiny(spec) => spec.image.clone_from(&images.nginx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::wordpress;

    #[test]
    fn details_are_stored_and_read_back() {
        let details = SiteDetails::Wordpress(wordpress().details);
        assert_eq!(details.wordpress(), Some(&wordpress().details));
        let stored = details.to_json().unwrap();
        assert_eq!(SiteDetails::from_json(SiteKind::Wordpress, &stored).unwrap(), details);
        assert!(SiteDetails::from_json(SiteKind::Wordpress, "{}").is_err());
    }

    #[test]
    fn kinds_are_read_back() {
        assert_eq!(SiteKind::Wordpress.to_string(), "wordpress");
        for kind in SiteKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("nonsense".parse::<SiteKind>().is_err());
    }
}
