//! A job's state and direction, and the operations.
//!
//! ```text
//! pending ──claimed──▶ running ──▶ completed
//!    ▲                  │ │ └────▶ failed, cancelled
//!    └──waits, retries──┘ └──────▶ needs_operator ──retry──▶ pending
//!                                         └──its site is destroyed instead──▶ failed
//! ```

use crate::text_enum::text_enum;

text_enum!(
    /// The state of a job.
    JobState, "job state" {
        /// Waits for a worker, for its time, or for a dependency.
        Pending = "pending",
        /// A worker has claimed it.
        Running = "running",
        /// Reached its goal.
        Completed = "completed",
        /// Did not reach its goal; the site is as it was before.
        Failed = "failed",
        /// Ended by request; the site is as it was before.
        Cancelled = "cancelled",
        /// Can neither go on nor roll back without an operator; the site is locked until the operator retries it.
        NeedsOperator = "needs_operator",
    }
);

text_enum!(
    /// The end that a job converges on.
    Direction, "direction" {
        /// The desired state that the job carries.
        Forward = "forward",
        /// The desired state that the site had before.
        Back = "back",
    }
);

text_enum!(
    /// The operations.
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
        /// A site to itself: drifts are repaired.
        Repair = "repair",
        /// Nothing to nothing: objects that appeared after their own job had ended are removed.
        Collect = "collect",
    }
);

text_enum!(
    /// The outcome of a step that was begun.
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
