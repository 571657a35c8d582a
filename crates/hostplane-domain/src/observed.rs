//! Observed states: the results of comparing desired resources with a snapshot.

use std::fmt;

use serde::Serialize;

use crate::mark::Owner;
use crate::naming::ResourceKind;
use crate::text_enum::text_enum;

text_enum!(
    /// The reason of a drift.
    Reason, "reason" {
        /// The resource is absent.
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
        /// An object that belongs to a change is there after its end.
        LeftOver = "left_over",
        /// The resource was made by an earlier release, or from an earlier description.
        Release = "release",
        /// The data is not where the site's configuration says.
        Data = "data",
        /// The data is there and its marker of ours isn't, as after a restore by the owner.
        Marker = "marker",
        /// An update of WordPress, of a plugin or of a theme was interrupted.
        HalfUpdate = "half_update",
        /// The front page fails or is blank.
        Page = "page",
        /// Another owner's object has its name.
        Foreign = "foreign",
        /// The state could not be observed.
        Unknown = "unknown",
    }
);

/// The result of comparing one desired resource with a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Seen to be absent.
    Absent,
    /// Not observed: the snapshot doesn't show it.
    NotObserved,
    /// Observing failed, and why. Never treated as absent.
    Unknown(String),
    /// There, with its owner and each difference from the desired state.
    Present {
        /// The owner.
        owner: Owner,
        /// The differences; none when it is as wanted.
        differs: Vec<Difference>,
    },
}

impl Observed {
    /// True for a resource of ours without a difference.
    #[must_use]
    pub fn is_as_wanted(&self) -> bool {
        matches!(self, Self::Present { owner: Owner::Ours(_), differs } if differs.is_empty())
    }

    /// True when Hostplane can change nothing about it: as wanted but for what only an operator or the owner can repair.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let can_be_changed = |differs: &Difference| differs.remedy != Remedy::Operator;
        matches!(self, Self::Present { owner: Owner::Ours(_), differs } if !differs.iter().any(can_be_changed))
    }

    /// True when nothing of this site is there: seen absent, or another's.
    #[must_use]
    pub fn is_none_of_ours(&self) -> bool {
        match self {
            Self::Absent | Self::Present { owner: Owner::Predecessor(_) | Owner::Foreign, .. } => true,
            Self::NotObserved | Self::Unknown(_) | Self::Present { owner: Owner::Ours(_), .. } => false,
        }
    }
}

/// One difference between a resource and its desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The reason in a word.
    pub reason: Reason,
    /// The field that differs: `image`, `state`, `grants`, …
    pub field: &'static str,
    /// The desired value.
    pub wanted: String,
    /// The observed value.
    pub found: String,
    /// The change that repairs it.
    pub remedy: Remedy,
}

impl Difference {
    /// The difference of a resource that another release made, or that was made from an earlier description. What a
    /// release would generate otherwise waits for an upgrade, as the resource works as it is; what keeps it from working
    /// doesn't.
    #[must_use]
    pub fn of_another_release(mut self) -> Self {
        let is_generated = match self.reason {
            Reason::Image | Reason::Limits | Reason::Mounts | Reason::Configuration => true,
            // A missing network is connected without a restart; for one too many the container is made again.
            Reason::Network => self.remedy == Remedy::Recreate,
            _ => false,
        };
        if is_generated {
            self.remedy = Remedy::Upgrade;
        }
        self
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} instead of {}", self.field, self.found, self.wanted)
    }
}

/// The change that repairs a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Changes the resource in place.
    InPlace,
    /// Removes the resource and makes it again; it holds no data.
    Recreate,
    /// Makes the resource again at the next change or upgrade of its site; it works as it is.
    Upgrade,
    /// None that Hostplane can make.
    Operator,
    /// None that keeps the data: Hostplane never makes the resource again.
    DataLoss,
}

/// One resource of a site with what was observed of it: the input of drift detection and of the planner.
#[derive(Debug, Clone)]
pub struct Node {
    /// The kind of resource.
    pub kind: ResourceKind,
    /// The resources that have to be there first. A removal takes it before them.
    pub needs: &'static [ResourceKind],
    /// The resource whose removal takes this one along, if it has no removal of its own.
    pub within: Option<ResourceKind>,
    /// True when its content can't be made again.
    pub holds_data: bool,
    /// True when it shows the site as visitors see it: only a request shows if that is as wanted.
    pub is_visitors_view: bool,
    /// The observed state.
    pub observed: Observed,
}

impl Node {
    /// True for data within a place of ours. That of a site in service is its owner's.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.holds_data && self.within.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::tests::mark;

    fn ours(differs: Vec<Difference>) -> Observed {
        Observed::Present { owner: Owner::Ours(mark()), differs }
    }

    #[test]
    fn only_what_a_release_generates_waits_for_an_upgrade() {
        let after = |reason, remedy| {
            let (wanted, found) = (String::new(), String::new());
            Difference { reason, field: "x", wanted, found, remedy }.of_another_release().remedy
        };
        for reason in [Reason::Image, Reason::Limits, Reason::Mounts, Reason::Configuration, Reason::Network] {
            assert_eq!(after(reason, Remedy::Recreate), Remedy::Upgrade, "{reason}");
        }
        assert_eq!(after(Reason::Network, Remedy::InPlace), Remedy::InPlace);
        for reason in [Reason::Stopped, Reason::Unhealthy, Reason::NotLoaded, Reason::Grants, Reason::LeftOver] {
            assert_eq!(after(reason, Remedy::Recreate), Remedy::Recreate, "{reason}");
        }
        assert_eq!(after(Reason::Data, Remedy::DataLoss), Remedy::DataLoss);
    }

    #[test]
    fn only_ours_without_a_difference_is_as_wanted() {
        let differs =
            |remedy| Difference { reason: Reason::Stopped, field: "x", wanted: "y".into(), found: "z".into(), remedy };
        assert!(ours(vec![]).is_as_wanted());
        assert!(!ours(vec![differs(Remedy::InPlace)]).is_as_wanted());
        assert!(ours(vec![differs(Remedy::Operator)]).is_settled() && ours(vec![]).is_settled());
        assert!(!ours(vec![differs(Remedy::Operator), differs(Remedy::Upgrade)]).is_settled());
        let foreign = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        assert!(!foreign.is_as_wanted() && !Observed::Absent.is_as_wanted());
        assert!(!foreign.is_settled() && !Observed::Absent.is_settled());
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
