//! Stores what sites should be, and makes the world so: store, jobs, resources, operations, platform.
//!
//! A front end calls [`app::App`] and nothing else. Start reading at [`resources`] (what a site is made
//! of, with the three verbs), then [`jobs`] (how a change is carried out) and [`operations`].
//!
//! This crate knows no HTTP status, no terminal and no concrete adapter.

pub mod app;
mod context;
mod host;
mod jobs;
pub mod operations;
mod orphans;
mod own;
pub mod platform;
mod reconciler;
mod resources;
mod rotation;
mod schedule;
pub mod secrets;
pub mod settings;
mod snapshot;
pub mod store;
