//! The installation that these tests run on.

pub mod harness;
