//! The engine on the in-memory world: operations, failures, recovery. No Docker is needed.

mod bed;
mod collisions;
mod destroy;
mod faults;
mod platform;
mod provision;
mod waiting;
