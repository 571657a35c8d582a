//! An engine that stands between Caddy's adapter and the real one.

pub mod counting;
