//! What every adapter promises, asked of the in-memory world and, with the feature `stack`, of the real
//! thing.

mod containers;
mod databases;
mod port;
mod proxy;
#[cfg(feature = "stack")]
mod server;
