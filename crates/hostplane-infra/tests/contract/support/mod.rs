//! Real servers in containers of their own.

#[cfg(feature = "stack")]
pub mod caddy;
#[cfg(feature = "stack")]
pub mod mariadb;
pub mod port;
#[cfg(feature = "stack")]
pub mod server;
