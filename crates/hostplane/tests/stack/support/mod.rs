//! Installations, the servers that they meet, and hands that reach past the control plane.

pub mod browser;
pub mod datagrams;
pub mod docker;
pub mod host;
pub mod instance;
pub mod journal;
pub mod killer;
pub mod ledger;
pub mod outside;
pub mod own_engine;
pub mod probe;
pub mod reach;
pub mod relay;
