//! How a run can fail.

use hostplane_domain::ids::JobId;
use hostplane_domain::kind::Kind;
use hostplane_infra::error::{Dependency, EffectError, Rejection};

use crate::store::{JobError, StoreError};

/// The journal can't be written: the run breaks off, and the job is taken up again later.
#[derive(Debug)]
pub(super) struct Lost(pub StoreError);

impl From<StoreError> for Lost {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

/// Why an attempt did not reach its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// A look at the world failed, or a step.
    Effect {
        /// The step that failed.
        step: Option<Kind>,
        /// What it failed with.
        error: EffectError,
    },
    /// Somebody asked for the job to be cancelled.
    Cancelled,
    /// Something of the site was made by a job that the journal doesn't know: the database is older than the
    /// world, and says nothing about what may be removed.
    Older {
        /// What was made.
        kind: Kind,
        /// By which job.
        job: JobId,
    },
}

impl Failure {
    /// A step's.
    pub fn of(step: Kind, error: EffectError) -> Self {
        Self::Effect { step: Some(step), error }
    }

    /// Trying again can't help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Effect { error, .. } => matches!(error, EffectError::Rejected(_)),
            Self::Cancelled | Self::Older { .. } => true,
        }
    }

    /// What can't even be looked at says nothing about the site.
    pub fn is_a_look(&self) -> bool {
        matches!(self, Self::Effect { step: None, .. })
    }

    /// The dependency that is known to be down.
    pub fn down(&self) -> Option<Dependency> {
        match self {
            Self::Effect { error: EffectError::Transient { down, .. }, .. } => *down,
            _ => None,
        }
    }

    /// The site's subnet is in use by something else.
    pub fn is_subnet_overlap(&self) -> bool {
        matches!(self, Self::Effect { error: EffectError::Rejected(Rejection::SubnetOverlap(_)), .. })
    }

    /// The step that failed.
    pub fn step(&self) -> Option<Kind> {
        match self {
            Self::Effect { step, .. } => *step,
            Self::Older { kind, .. } => Some(*kind),
            Self::Cancelled => None,
        }
    }

    /// What happened, in a sentence.
    pub fn message(&self) -> String {
        match self {
            Self::Effect { error, .. } => error.to_string(),
            Self::Cancelled => "cancelled by request".to_owned(),
            Self::Older { kind, job } => format!(
                "the site's {kind} was made by the job {job}, which this control database doesn't know: the database \
                 is older than the world (restored from a copy?), so nothing of the site is changed"
            ),
        }
    }

    /// The same with all causes, for the log.
    pub fn chain(&self) -> String {
        match self {
            Self::Effect { error, .. } => error.chain(),
            other => other.message(),
        }
    }

    /// As it is stored with the job.
    pub fn for_job(&self) -> JobError {
        JobError { step: self.step(), message: self.message() }
    }
}

impl From<EffectError> for Failure {
    fn from(error: EffectError) -> Self {
        Self::Effect { step: None, error }
    }
}
