//! Something that carries the installation's mark.

use std::fmt;

use hostplane_domain::kind::Kind;
use hostplane_domain::mark::Mark;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;

/// What sort of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A container.
    Container,
    /// A volume.
    Volume,
    /// A network.
    Network,
    /// A database with its user and its row in the ledger, or one or two of these.
    Database,
    /// A snippet of Caddy's.
    Route,
}

impl What {
    /// The stable text form, used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::Database => "database",
            Self::Route => "route",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something with a mark, where it was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting<'a> {
    pub what: What,
    /// Under which name.
    pub name: &'a str,
    /// Its mark.
    pub mark: &'a Mark,
}

/// The same, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub what: What,
    /// Under which name.
    pub name: String,
    /// Its mark.
    pub mark: Mark,
}

impl Sighting<'_> {
    /// Which resource of the site it is, if it has the name of one.
    pub fn kind_at(&self, site: &SiteName) -> Option<Kind> {
        let kinds: &[Kind] = match self.what {
            What::Container if self.name == naming::writer_container(site) => return Some(Kind::Settings),
            What::Container => &[Kind::PhpContainer, Kind::NginxContainer],
            What::Volume => &[Kind::FilesVolume, Kind::PhpVolume, Kind::NginxVolume],
            What::Network => &[Kind::Network],
            What::Database => &[Kind::Database],
            What::Route => &[Kind::Route],
        };
        kinds.iter().copied().find(|kind| naming::of(*kind, site) == self.name)
    }

    /// A copy of it.
    pub fn keep(&self) -> Found {
        Found { what: self.what, name: self.name.to_owned(), mark: self.mark.clone() }
    }
}

impl Found {
    pub fn sighting(&self) -> Sighting<'_> {
        Sighting { what: self.what, name: &self.name, mark: &self.mark }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.name)
    }
}
