//! The `hostplane` program: settings, HTTP API, command line, and the wiring of everything below them.
//!
//! The only crate that knows status codes and terminals. It decides nothing about sites: it calls
//! [`hostplane_engine::app::App`]. Start reading at `api/routes.rs` (every route on one page) and `cli/mod.rs`
//! (every command on one page); `serve` puts the control plane together.

pub mod api;
mod clean;
#[expect(clippy::doc_markdown, reason = "its doc comments are printed as help")]
mod cli;
mod client;
#[expect(clippy::doc_markdown, reason = "its doc comments are printed as help")]
mod config;
mod down;
pub mod home;
mod host_networks;
pub mod listener;
pub mod logging;
mod serve;
mod stopped_installation;
mod up;
mod world;

pub use cli::main;
