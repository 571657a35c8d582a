//! Adapters of the outside world behind small traits: containers, databases and the path to them, proxy,
//! WordPress, site probe, clock.
//!
//! Each trait has one real adapter and one fake in `hostplane-testing`, and one contract suite runs on both. Every call
//! passes the [`gate`], which sets its deadline and, in tests, injects faults. This crate never decides what a site
//! needs; the engine does. Start reading at [`world`].

pub mod clock;
pub mod containers;
pub mod database_path;
pub mod databases;
pub mod error;
pub mod gate;
pub mod probe;
pub mod proxy;
pub mod wordpress;
pub mod world;
