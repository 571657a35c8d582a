//! Objects outside with the installation's mark, in the form in which orphans are classified.

use std::fmt;

use hostplane_domain::mark::Mark;

/// The sort of an object outside.
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

    /// The noun in messages about a name that is taken.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Database => "database or database user",
            Self::Route => "Caddy snippet",
            Self::Container | Self::Volume | Self::Network => self.as_str(),
        }
    }

    /// True for volumes and databases. Once its site is gone, the content of one is unknown, so only an operator
    /// removes it.
    #[must_use]
    pub const fn may_hold_data(self) -> bool {
        matches!(self, Self::Volume | Self::Database)
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A marked object in a scan's result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObjectRef<'a> {
    pub kind: ObjectKind,
    pub name: &'a str,
    pub mark: &'a Mark,
}

/// A marked object that outlives the scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedObject {
    pub kind: ObjectKind,
    pub name: String,
    pub mark: Mark,
}

impl ObjectRef<'_> {
    /// A copy that outlives the scan.
    pub fn to_owned(self) -> OwnedObject {
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
