//! Parameters of a job whose operation doesn't converge on a state of its site.

use serde::{Deserialize, Serialize};

/// Parameters of one operation each. A converging operation has none: its site's state before and after says it all.
///
/// Stored as JSON with the variant's name under `operation`; a variant is never renamed, as old jobs keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobParams {
    /// Stands for a later operation's.
    #[cfg(test)]
    Probe {
        /// Any value.
        target: String,
    },
}
