//! The installation that these tests run on.

pub mod drift;
pub mod harness;
