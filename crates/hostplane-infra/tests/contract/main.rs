//! Contracts of the adapters: the same cases on the in-memory world and, with the feature `stack`, on the real servers.

mod containers;
mod database_path;
mod databases;
mod proxy;
mod silence;
mod sites;
mod support;

use support::port;
#[cfg(feature = "stack")]
use support::{caddy, mariadb, server};
