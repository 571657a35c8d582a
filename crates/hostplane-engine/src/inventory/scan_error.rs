//! Why a scan broke off.

use hostplane_infra::error::EffectError;

use crate::store::StoreError;

/// The reason why a scan broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// The world could not be read.
    #[error(transparent)]
    World(#[from] EffectError),
    /// The control database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
