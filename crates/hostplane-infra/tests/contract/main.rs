//! What every adapter promises, asked of the in-memory world and, with the feature `stack`, of the real
//! thing.

#[cfg(feature = "stack")]
mod caddy;
mod certificates;
mod containers;
mod databases;
#[cfg(feature = "stack")]
mod mariadb;
mod port;
mod proxy;
#[cfg(feature = "stack")]
mod server;
mod silence;
mod sites;
