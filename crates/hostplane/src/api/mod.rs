//! The HTTP API. Every route is in `routes`; `docs/api.md` describes each.
//!
//! A handler parses with `extract`, calls the engine, and answers with a type of `wire` or a `problem`.
//! `envelope` adds the parts that all answers share.

mod auth;
mod auth_throttle;
mod doctor;
mod drift;
mod envelope;
mod exec;
pub(crate) mod extract;
mod health;
mod job_events;
mod jobs;
pub(crate) mod logs;
mod metrics;
mod orphans;
pub(crate) mod page;
pub(crate) mod problem;
mod readiness_cache;
mod routes;
mod secret;
mod site_changes;
mod sites;
mod state;
mod stream_slots;
mod tokens;
pub(crate) mod wire;

pub use routes::{Route, routes};
pub use state::{Api, PlatformProgress};
