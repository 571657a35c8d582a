//! How a run can fail.

use hostplane_domain::kind::Kind;
use hostplane_infra::error::{Dependency, EffectError};

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
pub(super) struct Failure {
    /// The step that failed.
    pub step: Option<Kind>,
    /// What it failed with.
    pub error: EffectError,
}

impl Failure {
    /// Trying again can't help.
    pub fn is_permanent(&self) -> bool {
        matches!(self.error, EffectError::Rejected(_))
    }

    /// The dependency that is known to be down.
    pub fn down(&self) -> Option<Dependency> {
        match self.error {
            EffectError::Transient { down, .. } => down,
            _ => None,
        }
    }

    /// As it is stored with the job.
    pub fn for_job(&self) -> JobError {
        JobError { step: self.step, message: self.error.to_string() }
    }
}

impl From<EffectError> for Failure {
    fn from(error: EffectError) -> Self {
        Self { step: None, error }
    }
}
