//! Errors that end a scan.

use hostplane_infra::error::EffectError;

use crate::store::StoreError;

/// The error that ended a scan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// The world could not be read.
    #[error(transparent)]
    World(#[from] EffectError),
    /// The control database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
