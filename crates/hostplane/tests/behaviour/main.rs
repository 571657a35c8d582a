//! Behaviour of the API and the command line, on an engine over the in-memory world.

mod api;
mod auth_throttle;
mod bad_input;
mod cancel;
mod changes;
mod cli;
mod connections;
mod contexts;
mod dev;
mod encryption;
mod hostile;
mod job_events;
mod logs_and_exec;
mod orphan_gc;
mod reconcile;
mod secret;
mod stuck;
mod support;
mod tokens;
mod unreadable;

use support::harness;
