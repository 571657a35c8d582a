//! Stores the desired state of sites and makes the world match: store, jobs, resources, operations, platform.
//!
//! A front end calls [`app::App`] and nothing else. This crate never knows an HTTP status, a terminal or a concrete
//! adapter. Start reading at [`sites`] (the resources that a kind of site consists of), then [`resources`] (the three
//! verbs), [`jobs`] (the run of a change), [`operations`] (the changes there are) and [`inventory`] (the scans).

pub mod app;
mod background;
mod context;
mod disk;
mod fingerprint;
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
pub mod sites;
mod staleness;
mod statement_limit;
pub mod store;
mod wp_cron;
