//! Tiny sites, which only tests have. Their one volume, one container and one route show that a kind of site needs no
//! change outside of its own files.

use serde::{Deserialize, Serialize};

/// The part of a desired site that only a tiny site has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TinySpec {
    /// The image of its container.
    pub image: String,
}
