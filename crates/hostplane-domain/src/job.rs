//! State, direction and operation of a job.
//!
//! ```text
//! pending ──claimed──▶ running ──▶ completed
//!    ▲                  │ │ └────▶ failed, cancelled
//!    └──waits, retries──┘ └──────▶ needs_operator ──retry──▶ pending
//!                                         └──its site is destroyed instead──▶ failed
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident, $bad:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable text form, used in the database and the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = BadText;
            fn from_str(text: &str) -> Result<Self, BadText> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or(BadText($bad))
            }
        }
    };
}

pub(crate) use text_enum;

/// The text names no value of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct BadText(pub(crate) &'static str);

text_enum!(
    /// Lifecycle state of a job.
    JobState, "job state" {
        /// Waits for a worker, for its time, or for a dependency.
        Pending = "pending",
        /// A worker has claimed it.
        Running = "running",
        /// Reached its goal.
        Completed = "completed",
        /// Did not reach its goal; the site is as before.
        Failed = "failed",
        /// Ended by request; the site is as before.
        Cancelled = "cancelled",
        /// Operator required: the job can neither go on nor roll back alone. The site is locked until a retry.
        NeedsOperator = "needs_operator",
    }
);

text_enum!(
    /// End that a job converges on.
    Direction, "direction" {
        /// The desired state that the job carries.
        Forward = "forward",
        /// The desired state that the site had before.
        Back = "back",
    }
);

text_enum!(
    /// Name of an operation.
    OperationName, "operation" {
        /// Nothing to a site.
        Provision = "provision",
        /// A site to nothing.
        Destroy = "destroy",
        /// A site to the same with other limits.
        Update = "update",
        /// A site to the same from other images.
        Upgrade = "upgrade",
        /// A site to a maintenance page in its place.
        Suspend = "suspend",
        /// A maintenance page to the site.
        Resume = "resume",
        /// A site to the same with new passwords and keys.
        Rotate = "rotate",
        /// A site to itself: repairs drift.
        Repair = "repair",
        /// Nothing to nothing: removes resources that landed after their job had ended.
        Collect = "collect",
    }
);

text_enum!(
    /// Outcome of a step that was begun.
    StepState, "step state" {
        /// Written before its first effect.
        Intended = "intended",
        /// Confirmed.
        Done = "done",
        /// Ended with an error.
        Failed = "failed",
        /// The process ended before the outcome was written, or a reply was lost.
        Unknown = "unknown",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_agree_with_the_serialised_ones() {
        for state in JobState::ALL {
            assert_eq!(serde_json::to_string(state).unwrap(), format!("\"{state}\""));
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
    }
}
