//! The whole product on the real stack: the Docker Engine, MariaDB, Caddy, nginx, PHP and WordPress.
//!
//! Each test has an installation of its own (id, home, ports, names) and removes it when it ends, however
//! it ends. What it plants carries a label of its own.

mod any_order;
mod browser;
#[path = "../../../hostplane-infra/tests/contract/certificates.rs"]
mod certificates;
mod changes;
mod cis_benchmark;
mod collisions;
mod docker;
mod drift_repair;
mod engine_restart;
mod host;
mod installer;
mod instance;
mod isolation;
mod journal;
mod killer;
mod kills;
mod ledger;
mod life;
mod noisy_neighbour;
mod outage;
mod outside;
mod own_engine;
mod probe;
mod random_kills;
mod reach;
mod recovery;
mod relay;
mod reload;
mod restart;
mod rotation;
mod secrets;
mod servers;
mod three_hosts;
mod tls;
mod wordpress;
