//! An engine for a case, and hands that reach past its adapter.

pub mod harness;
#[cfg(feature = "stack")]
mod real_hands;
