//! The whole product on the real stack: the Docker Engine, MariaDB, Caddy, nginx, PHP and WordPress.
//!
//! Each test has an installation of its own (id, home, ports, names) and removes it when it ends, however
//! it ends. What it plants carries a label of its own.

mod any_order;
mod changes;
mod cis_benchmark;
mod collisions;
mod database_path;
mod disk;
mod drift_repair;
mod engine_restart;
mod installer;
mod ipv6;
mod isolation;
mod kills;
mod life;
mod noisy_neighbour;
mod onward;
mod outage;
mod owner;
mod random_kills;
mod recovery;
mod release;
mod reload;
mod restart;
mod rotation;
mod secrets;
mod servers;
mod support;
mod three_hosts;
mod tls;
mod wordpress;

use support::{browser, datagrams, docker, host, instance, journal, killer, ledger, own_engine, probe, reach, relay};
