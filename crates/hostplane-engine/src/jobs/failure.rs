//! Failures of a run.

use hostplane_domain::ids::JobId;
use hostplane_domain::naming::ResourceKind;
use hostplane_infra::error::{Dependency, EffectError, Rejection};

use crate::store::{JobError, StoreError};

/// The reason for which a run stopped before its end.
#[derive(Debug)]
pub(super) enum RunError {
    /// The attempt failed; the failure policy decides what follows.
    Failed(Failure),
    /// The journal can't be written: the run breaks off, and the job is taken up again later.
    JournalLost(StoreError),
}

impl From<Failure> for RunError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<EffectError> for RunError {
    fn from(error: EffectError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cancelled => Self::Failed(Failure::Cancelled),
            error => Self::JournalLost(error),
        }
    }
}

/// The failure of an attempt.
#[derive(Debug)]
pub(super) enum Failure {
    /// A step or an observation failed.
    Effect {
        /// The step that failed.
        step: Option<ResourceKind>,
        /// The error.
        error: EffectError,
    },
    /// The operator asked for the job to be cancelled.
    Cancelled,
    /// An update of the site's own WordPress runs, which nothing ends.
    Updating,
    /// Data of the site is gone, and no step could bring it back.
    DataLost {
        /// The first resource that lacks it.
        kind: ResourceKind,
        /// The lost data in words.
        what: String,
        /// The steps besides a backup that bring it back, if there are any.
        how: String,
    },
    /// A job that the journal doesn't know made something of the site: the database is stale, and must not remove
    /// anything.
    StaleDatabase {
        /// The resource.
        kind: ResourceKind,
        /// The unknown job.
        job: JobId,
    },
}

impl Failure {
    /// True when it says more about the cause than an earlier failure: the first permanent one does.
    pub fn says_more_than(&self, held: Option<&Self>) -> bool {
        held.is_none_or(|held| !held.is_permanent() && self.is_permanent())
    }

    /// The failure of a step.
    pub fn of(step: ResourceKind, error: EffectError) -> Self {
        Self::Effect { step: Some(step), error }
    }

    /// True when trying again can't help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Effect { error, .. } => matches!(error, EffectError::Rejected(_)),
            Self::Updating => false,
            Self::Cancelled | Self::DataLost { .. } | Self::StaleDatabase { .. } => true,
        }
    }

    /// True when only an operator can end the cause.
    pub fn needs_operator(&self) -> bool {
        matches!(self, Self::DataLost { .. } | Self::StaleDatabase { .. })
    }

    /// True when observing failed, which says nothing about the site.
    pub fn is_observation(&self) -> bool {
        matches!(self, Self::Effect { step: None, .. })
    }

    /// The dependency that is known to be down, or busy.
    pub fn down(&self) -> Option<Dependency> {
        match self {
            Self::Effect { error: EffectError::Transient { down, .. }, .. } => *down,
            Self::Updating => Some(Dependency::Site),
            _ => None,
        }
    }

    /// True when something else uses the site's subnet.
    pub fn is_subnet_overlap(&self) -> bool {
        matches!(self, Self::Effect { error: EffectError::Rejected(Rejection::SubnetOverlap(_)), .. })
    }

    /// The step that failed.
    pub fn step(&self) -> Option<ResourceKind> {
        match self {
            Self::Effect { step, .. } => *step,
            Self::DataLost { kind, .. } | Self::StaleDatabase { kind, .. } => Some(*kind),
            Self::Cancelled | Self::Updating => None,
        }
    }

    /// The failure in a sentence.
    pub fn message(&self) -> String {
        match self {
            Self::Effect { error, .. } => error.to_string(),
            Self::Cancelled => "cancelled by request".to_owned(),
            Self::Updating => "an update of the site's WordPress runs, and is waited for".to_owned(),
            Self::DataLost { what, how, .. } => format!(
                "data of the site is gone ({what}), so nothing was made in its place and visitors get a maintenance page; \
                 bring it back from a backup{how}, or destroy the site"
            ),
            Self::StaleDatabase { kind, job } => format!(
                "the control database is stale: it doesn't know the job {job}, which made the site's {kind}, so \
                 nothing of the site is changed; restore a newer copy of the database"
            ),
        }
    }

    /// The failure with all its causes, for the log.
    pub fn chain(&self) -> String {
        match self {
            Self::Effect { error, .. } => error.chain(),
            other => other.message(),
        }
    }

    /// The form that is stored with the job.
    pub fn for_job(&self) -> JobError {
        JobError { step: self.step(), message: self.message() }
    }
}

impl From<EffectError> for Failure {
    fn from(error: EffectError) -> Self {
        Self::Effect { step: None, error }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn permanent(step: Option<ResourceKind>) -> Failure {
        Failure::Effect { step, error: Rejection::PoolExhausted("10.0.0.0/29".to_owned()).into() }
    }

    fn passing(step: Option<ResourceKind>, down: Option<Dependency>) -> Failure {
        match EffectError::transient_message("docker.ping", "no answer") {
            EffectError::Transient { call, source, .. } => {
                Failure::Effect { step, error: EffectError::Transient { call, source, down } }
            }
            other => Failure::Effect { step, error: other },
        }
    }

    fn stale() -> Failure {
        Failure::StaleDatabase { kind: ResourceKind::Network, job: JobId::new(Uuid::from_u128(7)) }
    }

    #[test]
    fn failures_that_can_t_pass_are_permanent() {
        for failure in [permanent(None), Failure::Cancelled, stale()] {
            assert!(failure.is_permanent(), "{failure:?}");
        }
        assert!(!passing(None, None).is_permanent());
        let unknown = EffectError::unknown_message("docker.create_network", "the reply was lost");
        assert!(!Failure::of(ResourceKind::Network, unknown).is_permanent());
    }

    #[test]
    fn an_observation_has_no_step() {
        assert!(passing(None, None).is_observation() && permanent(None).is_observation());
        for failure in [passing(Some(ResourceKind::Network), None), Failure::Cancelled, stale()] {
            assert!(!failure.is_observation(), "{failure:?}");
        }
    }

    #[test]
    fn a_failure_names_step_and_dependency() {
        let failure = passing(Some(ResourceKind::Route), Some(Dependency::CADDY));
        assert_eq!((failure.down(), failure.step()), (Some(Dependency::CADDY), Some(ResourceKind::Route)));
        assert_eq!((permanent(None).down(), permanent(None).step()), (None, None));
        assert_eq!((stale().down(), stale().step()), (None, Some(ResourceKind::Network)));
        assert_eq!(Failure::Cancelled.step(), None);
    }

    #[test]
    fn only_an_overlap_is_a_subnet_overlap() {
        let overlap = Rejection::SubnetOverlap("10.0.0.0/29".parse().unwrap());
        assert!(Failure::of(ResourceKind::Network, overlap.into()).is_subnet_overlap());
        assert!(!permanent(Some(ResourceKind::Network)).is_subnet_overlap());
    }

    #[test]
    fn the_log_gets_all_causes_of_a_failure() {
        let failure = passing(Some(ResourceKind::Network), None);
        assert!(failure.chain().contains("no answer"), "{}", failure.chain());
        assert_eq!(failure.for_job(), JobError { step: Some(ResourceKind::Network), message: failure.message() });
        assert!(stale().chain().contains("database is stale"));
        assert_eq!(stale().chain(), stale().message());
        assert_eq!(Failure::Cancelled.message(), "cancelled by request");
    }

    #[test]
    fn the_first_permanent_failure_says_most() {
        let (passing, permanent) =
            (passing(Some(ResourceKind::Network), None), permanent(Some(ResourceKind::Database)));
        assert!(passing.says_more_than(None) && permanent.says_more_than(None));
        assert!(permanent.says_more_than(Some(&passing)));
        assert!(!passing.says_more_than(Some(&permanent)) && !passing.says_more_than(Some(&passing)));
        assert!(!permanent.says_more_than(Some(&permanent)));
    }
}
