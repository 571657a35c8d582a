//! Ports for what is published.

use std::iter::repeat_with;
use std::net::{Ipv4Addr, TcpListener};

/// A port that was free a moment ago, below the range from which the kernel gives ports to clients: one of
/// those could be taken before the Engine publishes it.
pub fn free() -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    repeat_with(|| fastrand::u16(20_000..32_000)).find(is_free).expect("a free port")
}
