//! What was found when a desired resource was compared with the world.

use std::fmt;

use serde::Serialize;

use crate::mark::Owner;
use crate::resource_kind::ResourceKind;
use crate::text_enum::text_enum;

text_enum!(
    /// Why a resource is not as it should be.
    Reason, "reason" {
        /// It is not there.
        Absent = "absent",
        /// The container doesn't run.
        Stopped = "stopped",
        /// The container runs, and its health check fails.
        Unhealthy = "unhealthy",
        /// The container was made from another image.
        Image = "image",
        /// The container may use more, or less, than it should.
        Limits = "limits",
        /// The container is not on its networks, or there are two networks of one name.
        Network = "network",
        /// The container has other volumes than it should.
        Mounts = "mounts",
        /// A generated file was changed or is gone.
        Configuration = "configuration",
        /// The database's user is gone, or has another password, other grants or another limit.
        Grants = "grants",
        /// Caddy is not known to serve the route that is on its disk.
        NotLoaded = "not_loaded",
        /// Something that belongs beside a change that is over.
        LeftOver = "left_over",
        /// It was made by an earlier release, or from an earlier description.
        Release = "release",
        /// It holds another site's data.
        Data = "data",
        /// The front page fails or is blank.
        Page = "page",
        /// Something of somebody else's has its name.
        Foreign = "foreign",
        /// It could not be told.
        Unknown = "unknown",
    }
);

/// The result of comparing one desired resource with a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Seen to be absent.
    Absent,
    /// Nobody looked: the snapshot doesn't show it.
    NotObserved,
    /// Could not tell, and why. Never treated as absent.
    Unknown(String),
    /// There, with its owner and each difference from what is wanted.
    Present {
        /// Whose it is.
        owner: Owner,
        /// Empty when it is as wanted.
        differs: Vec<Difference>,
    },
}

impl Observed {
    /// Ours and as wanted.
    #[must_use]
    pub fn is_as_wanted(&self) -> bool {
        matches!(self, Self::Present { owner: Owner::Ours(_), differs } if differs.is_empty())
    }

    /// Nothing of this site is there: seen absent, or what is there belongs to another.
    #[must_use]
    pub fn is_none_of_ours(&self) -> bool {
        match self {
            Self::Absent | Self::Present { owner: Owner::Predecessor(_) | Owner::Foreign, .. } => true,
            Self::NotObserved | Self::Unknown(_) | Self::Present { owner: Owner::Ours(_), .. } => false,
        }
    }
}

/// One way in which a thing is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Why that is a drift, in a word.
    pub reason: Reason,
    /// What differs: `image`, `state`, `grants`, …
    pub field: &'static str,
    /// What is wanted.
    pub wanted: String,
    /// What was found.
    pub found: String,
    /// What it takes to mend it.
    pub remedy: Remedy,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} instead of {}", self.field, self.found, self.wanted)
    }
}

/// What it takes to mend a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Changed while it stays.
    InPlace,
    /// Removed and made again; it holds no data.
    Recreate,
    /// It works as it is, and is made again when somebody orders a change or an upgrade of its site.
    Upgrade,
    /// Nothing of ours can mend it.
    Operator,
    /// Making it again would lose data: never done by itself.
    DataLoss,
}

/// One resource of a site with what was observed of it: the input of drift detection and of the planner.
#[derive(Debug, Clone)]
pub struct Node {
    /// Which.
    pub kind: ResourceKind,
    /// What has to be there before it. In a removal it goes before these.
    pub needs: &'static [ResourceKind],
    /// The resource whose removal takes this one along, if it has no removal of its own.
    pub within: Option<ResourceKind>,
    /// Its content can't be made again.
    pub holds_data: bool,
    /// It shows the site as visitors see it: only a request can tell whether it is as wanted.
    pub is_visitors_view: bool,
    /// What was found.
    pub observed: Observed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::tests::mark;

    fn ours(differs: Vec<Difference>) -> Observed {
        Observed::Present { owner: Owner::Ours(mark()), differs }
    }

    #[test]
    fn only_what_is_ours_and_differs_in_nothing_is_as_wanted() {
        let differs =
            |remedy| Difference { reason: Reason::Stopped, field: "x", wanted: "y".into(), found: "z".into(), remedy };
        assert!(ours(vec![]).is_as_wanted());
        assert!(!ours(vec![differs(Remedy::InPlace)]).is_as_wanted());
        let foreign = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        assert!(!foreign.is_as_wanted() && !Observed::Absent.is_as_wanted());
    }

    #[test]
    fn unknown_is_never_taken_for_nothing() {
        assert!(Observed::Absent.is_none_of_ours());
        assert!(Observed::Present { owner: Owner::Foreign, differs: vec![] }.is_none_of_ours());
        assert!(!Observed::Unknown("why".into()).is_none_of_ours());
        assert!(!Observed::NotObserved.is_none_of_ours());
        assert!(!ours(vec![]).is_none_of_ours());
    }
}
