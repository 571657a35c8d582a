//! The outside world behind small traits: containers, databases, proxy, WordPress, site probe, clock.
//!
//! Each trait has one real adapter here and one fake in `hostplane-testing`, and one contract suite runs on both. Every call passes the one [`gate`], which gives it a deadline and, in tests, faults.
//! Nothing here decides what a site needs; that is the engine's part. Start reading at [`world`].

pub mod clock;
pub mod containers;
pub mod databases;
pub mod error;
pub mod gate;
pub mod probe;
pub mod proxy;
pub mod wordpress;
pub mod world;
