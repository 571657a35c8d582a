//! What was found when a desired resource was compared with the world.

use serde::Serialize;

use crate::mark::Owner;

/// The result of comparing one desired resource with a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Seen to be absent.
    Absent,
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
            Self::Unknown(_) | Self::Present { owner: Owner::Ours(_), .. } => false,
        }
    }
}

/// One way in which a thing is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs: `image`, `state`, `grants`, …
    pub field: &'static str,
    /// What is wanted.
    pub wanted: String,
    /// What was found.
    pub found: String,
    /// What it takes to mend it.
    pub remedy: Remedy,
}

/// What it takes to mend a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Changed while it stays.
    InPlace,
    /// Removed and made again; it holds no data.
    Recreate,
    /// Making it again would lose data: never done by itself.
    DataLoss,
}
