//! What every adapter promises, asked of the in-memory world and, with the feature `stack`, of the real
//! thing.

mod containers;
mod databases;
mod proxy;
mod silence;
mod sites;
mod support;

use support::port;
#[cfg(feature = "stack")]
use support::{caddy, mariadb, server};
