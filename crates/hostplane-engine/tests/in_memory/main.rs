//! The engine on the in-memory world: operations, failures, recovery. No Docker is needed.

mod changes;
mod collisions;
mod database_path;
mod destroy;
mod disk;
mod drift_for_operators;
mod drift_repairs;
mod drift_scans;
mod give_up;
mod health;
mod journal;
mod orphans;
mod owner;
mod people_first;
mod platform;
mod promises;
mod provision;
mod recovery;
mod release;
mod rotation;
mod support;
mod unreadable;
mod version_0_1;
mod waiting;
mod wp_cron;

use support::{drift, harness};
