//! The control plane that these tests ask.

pub mod harness;
