//! Parts that the background loops share.

pub(crate) mod backoff;
pub(crate) mod signal;
