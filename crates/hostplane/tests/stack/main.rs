//! The whole product on the real stack: the Docker Engine, MariaDB, Caddy, nginx, PHP and WordPress.
//!
//! Each test has an installation of its own (id, home, ports, names) and removes it when it ends, however
//! it ends. What it plants carries a label of its own.

mod browser;
mod collisions;
mod crash;
mod docker;
mod installer;
mod instance;
mod life;
mod outage;
mod relay;
mod restart;
