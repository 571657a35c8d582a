//! A job's state, direction and the operations there are.
//!
//! ```text
//! pending ──claimed──▶ running ──▶ completed
//!    ▲                  │ │ └────▶ failed, cancelled
//!    └──waits, retries──┘ └──────▶ needs_operator ──retry──▶ pending
//!                                         └──its site is destroyed instead──▶ failed
//! ```

use crate::text_enum::text_enum;

text_enum!(
    /// Where a job is in its life.
    JobState, "job state" {
        /// Waits for a worker, for its time, or for a dependency.
        Pending = "pending",
        /// A worker has claimed it.
        Running = "running",
        /// Reached its goal.
        Completed = "completed",
        /// Did not reach its goal; all is as it was before.
        Failed = "failed",
        /// Ended by request; all is as it was before.
        Cancelled = "cancelled",
        /// Can neither go on nor back by itself; the site is locked until somebody retries it.
        NeedsOperator = "needs_operator",
    }
);

text_enum!(
    /// Which of its two ends a job is converging on.
    Direction, "direction" {
        /// On the desired state that the job carries.
        Forward = "forward",
        /// On the desired state that the site had before.
        Back = "back",
    }
);

text_enum!(
    /// The operations that can be asked for.
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
        /// A site to itself: what has drifted is mended.
        Repair = "repair",
        /// Nothing to nothing: what landed after its own job had ended is removed.
        Collect = "collect",
    }
);

text_enum!(
    /// What became of a step that was begun.
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
