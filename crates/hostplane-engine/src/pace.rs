//! Timing of the background work: its pauses, and its numbers of tries.

use std::time::Duration;

use hostplane_infra::containers::CREATE_DEADLINE;
use hostplane_infra::wordpress::UPDATE_PATIENCE;

use crate::background::backoff::Backoff;

/// Tries of a job before its failure counts as permanent.
pub const JOB_ATTEMPTS: u32 = 4;
/// Tries of a step within one attempt of its job.
pub const STEP_TRIES: u32 = 5;

/// The pauses of the background work. Tests have shorter ones; operators have no reason to change them.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// First ceiling of the random pause between tries; it doubles up to `backoff_ceiling`.
    pub backoff_base: Duration,
    /// Last ceiling of the random pause between tries.
    pub backoff_ceiling: Duration,
    /// Pause of a job that waits for a dependency, before the dependency is asked again.
    pub dependency_pause: Duration,
    /// Time after a lost reply in which an effect may still land: the longest deadline of a call that makes a
    /// container, a volume or a network. Absence that was seen earlier proves nothing.
    pub settle: Duration,
    /// Time for which a subnet that something else uses is not chosen.
    pub subnet_block: Duration,
    /// Time that a site may take from its first container to its first whole page.
    pub serving_patience: Duration,
    /// Pause between two requests for that page.
    pub serving_pause: Duration,
    /// Time that jobs wait for an update that a site's own WordPress runs.
    pub update_patience: Duration,
    /// Pause between two full scans.
    pub scan_interval: Duration,
    /// Age at which Hostplane removes an orphan without data.
    pub orphan_grace: Duration,
    /// Pause before a site is repaired once more for the same reason; it doubles each time.
    pub repair_backoff: Duration,
    /// Pause after a removal of an orphan that achieved nothing.
    pub collect_backoff: Duration,
    /// Longest pause between two scans for due events.
    pub wp_cron_tick: Duration,
    /// Shortest pause between two runs of one site's events.
    pub wp_cron_backoff: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            backoff_base: Duration::from_millis(100),
            backoff_ceiling: Duration::from_secs(10),
            dependency_pause: Duration::from_secs(1),
            settle: CREATE_DEADLINE,
            subnet_block: Duration::from_hours(1),
            serving_patience: Duration::from_secs(30),
            serving_pause: Duration::from_millis(50),
            update_patience: UPDATE_PATIENCE,
            scan_interval: Duration::from_mins(1),
            orphan_grace: Duration::from_mins(5),
            repair_backoff: Duration::from_secs(5),
            wp_cron_tick: Duration::from_secs(30),
            wp_cron_backoff: Duration::from_secs(20),
            collect_backoff: Duration::from_hours(1),
        }
    }
}

impl Pace {
    /// The ceiling of the random pause before try number `tried + 1`.
    #[must_use]
    pub fn backoff(&self, tried: u32) -> Duration {
        Backoff { first: self.backoff_base, longest: self.backoff_ceiling }.pause(tried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_ceiling() {
        let pace = Pace::default();
        assert_eq!(pace.backoff(0), Duration::from_millis(100));
        assert_eq!(pace.backoff(3), Duration::from_millis(800));
        assert_eq!(pace.backoff(60), pace.backoff_ceiling);
    }
}
