//! The kinds of resource that a site is made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a resource is. One file in the engine's `resources` implements each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// The bridge network of the site's PHP and nginx alone.
    Network,
    /// The volume with WordPress's files.
    FilesVolume,
    /// The volume with PHP's settings and secrets.
    PhpVolume,
    /// The volume with the nginx server block.
    NginxVolume,
    /// Database, user and grants.
    Database,
    /// The generated files inside the two settings volumes.
    Settings,
    /// The PHP-FPM container.
    PhpContainer,
    /// The nginx container.
    NginxContainer,
    /// WordPress unpacked into the files volume.
    WordpressFiles,
    /// WordPress installed into the database.
    WordpressInstall,
    /// The Caddy snippet.
    Route,
    /// The front page, asked for from outside.
    Serving,
}

impl ResourceKind {
    /// Every kind, in the order in which they are declared.
    pub const ALL: &[Self] = &[
        Self::Network,
        Self::FilesVolume,
        Self::PhpVolume,
        Self::NginxVolume,
        Self::Database,
        Self::Settings,
        Self::PhpContainer,
        Self::NginxContainer,
        Self::WordpressFiles,
        Self::WordpressInstall,
        Self::Route,
        Self::Serving,
    ];

    /// The stable text form, used in labels, the journal and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::FilesVolume => "files_volume",
            Self::PhpVolume => "php_volume",
            Self::NginxVolume => "nginx_volume",
            Self::Database => "database",
            Self::Settings => "settings",
            Self::PhpContainer => "php_container",
            Self::NginxContainer => "nginx_container",
            Self::WordpressFiles => "wordpress_files",
            Self::WordpressInstall => "wordpress_install",
            Self::Route => "route",
            Self::Serving => "serving",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of resource")]
pub struct BadResourceKind;

impl FromStr for ResourceKind {
    type Err = BadResourceKind;
    fn from_str(text: &str) -> Result<Self, BadResourceKind> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(BadResourceKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_in_the_order_of_their_declaration() {
        assert!(ResourceKind::ALL.iter().enumerate().all(|(nth, kind)| *kind as usize == nth));
    }

    #[test]
    fn text_form_is_read_back_and_agrees_with_the_serialised_one() {
        for kind in ResourceKind::ALL {
            assert_eq!(kind.as_str().parse::<ResourceKind>(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
    }
}
