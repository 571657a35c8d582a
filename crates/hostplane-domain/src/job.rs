//! State, direction and operation of a job.
//!
//! ```text
//! pending ──claimed──▶ running ──▶ completed
//!    ▲                  │ │ └────▶ failed, cancelled
//!    └──waits, retries──┘ └──────▶ needs_operator ──retry──▶ pending
//!                                         └──its site is destroyed instead──▶ failed
//! ```

use crate::text_enum::text_enum;

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
        /// A site to one that takes no new data: its disk space is used up.
        Restrict = "restrict",
        /// A restricted site to one that takes data again.
        Lift = "lift",
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
