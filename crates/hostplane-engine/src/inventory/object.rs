//! Something that carries the installation's mark.

use std::fmt;

use hostplane_domain::mark::Mark;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_domain::resource_kind::ResourceKind;

/// ObjectKind sort of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
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

impl ObjectKind {
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

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something with a mark, where it was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObjectRef<'a> {
    pub kind: ObjectKind,
    /// Under which name.
    pub name: &'a str,
    /// Its mark.
    pub mark: &'a Mark,
}

/// The same, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedObject {
    pub kind: ObjectKind,
    /// Under which name.
    pub name: String,
    /// Its mark.
    pub mark: Mark,
}

impl ObjectRef<'_> {
    /// Which resource of the site it is, if it has the name of one.
    pub fn kind_at(&self, site: &SiteName) -> Option<ResourceKind> {
        let kinds: &[ResourceKind] = match self.kind {
            ObjectKind::Container if self.name == naming::writer_container(site) => {
                return Some(ResourceKind::Settings);
            }
            ObjectKind::Container => &[ResourceKind::PhpContainer, ResourceKind::NginxContainer],
            ObjectKind::Volume => &[ResourceKind::FilesVolume, ResourceKind::PhpVolume, ResourceKind::NginxVolume],
            ObjectKind::Network => &[ResourceKind::Network],
            ObjectKind::Database => &[ResourceKind::Database],
            ObjectKind::Route => &[ResourceKind::Route],
        };
        kinds.iter().copied().find(|kind| naming::of(*kind, site) == self.name)
    }

    /// A copy of it.
    pub fn keep(&self) -> OwnedObject {
        OwnedObject { kind: self.kind, name: self.name.to_owned(), mark: self.mark.clone() }
    }
}

impl OwnedObject {
    pub fn as_ref(&self) -> ObjectRef<'_> {
        ObjectRef { kind: self.kind, name: &self.name, mark: &self.mark }
    }
}

impl fmt::Display for OwnedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
