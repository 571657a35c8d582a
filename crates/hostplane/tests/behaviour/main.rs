//! What the API and the command line do, on an engine over the in-memory world.

mod api;
mod bad_input;
mod bed;
mod cancel;
mod changes;
mod cli;
mod connections;
mod contexts;
mod events;
mod hostile;
mod inside;
mod late;
mod reconcile;
mod secret;
mod stuck;
mod tokens;
mod wrong_tokens;
