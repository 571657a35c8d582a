//! What was found when a desired resource was compared with the world.

use std::fmt;

use serde::Serialize;

use crate::drift::Reason;
use crate::mark::Owner;

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
