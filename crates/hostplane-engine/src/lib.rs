//! Stores what sites should be, and makes the world so: store, jobs, resources, operations, platform.
//!
//! A front end calls [`app::App`] and nothing else. Start reading at [`resources`] (what a site is made
//! of, with the three verbs), then [`jobs`] (how a change is carried out) and [`operations`].
//!
//! This crate knows no HTTP status, no terminal and no concrete adapter.

pub mod app;
mod context;
mod inventory;
mod jobs;
pub mod operations;
mod orphans;
pub mod pace;
pub mod platform;
mod reconciler;
mod resources;
mod retention;
mod rotation;
pub mod secrets;
pub mod site_settings;
pub mod store;
mod wp_cron;
