//! Machines as far as the network goes: network namespaces, and cables between them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

/// A network namespace. It goes with what runs in it, and its cables go with it.
pub struct Host {
    /// Keeps the namespace alive.
    holder: Child,
}

impl Host {
    /// One without any network but its own loopback.
    pub fn new() -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "infinity"]).stdin(Stdio::null()).spawn();
        let host = Self { holder: holder.expect("unshare runs") };
        let outside = fs::read_link("/proc/self/ns/net").expect("a namespace");
        let deadline = Instant::now() + PATIENCE;
        while fs::read_link(host.namespace()).is_ok_and(|inside| inside == outside) {
            assert!(Instant::now() < deadline, "no namespace");
            std::thread::park_timeout(PAUSE);
        }
        ip(Some(&host), "link set lo up");
        host
    }

    /// The file of the namespace.
    pub fn namespace(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// A program inside.
    pub fn within(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace().display())).arg("--").arg(program);
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Connects a host with another, or with the machine itself, and answers both addresses in that order.
pub fn cable(one: &Host, other: Option<&Host>) -> (Ipv4Addr, Ipv4Addr) {
    let id = Uuid::new_v4();
    let name = &id.simple().to_string()[..10];
    // A net of two, by chance, in the range that is kept for trying out networks.
    let [.., high, low] = *id.as_bytes();
    let net = |last: u8| Ipv4Addr::new(198, 18 + (high & 1), high, (low & !3) | last);
    let (near, far) = (net(1), net(2));
    ip(None, &format!("link add {name}a type veth peer name {name}b"));
    ip(None, &format!("link set {name}a netns {}", one.holder.id()));
    if let Some(other) = other {
        ip(None, &format!("link set {name}b netns {}", other.holder.id()));
    }
    for (host, end, address) in [(Some(one), "a", near), (other, "b", far)] {
        ip(host, &format!("address add {address}/30 dev {name}{end}"));
        ip(host, &format!("link set {name}{end} up"));
    }
    (near, far)
}

fn ip(host: Option<&Host>, words: &str) {
    let mut command = host.map_or_else(|| Command::new("ip"), |host| host.within("ip"));
    let done = command.args(words.split(' ')).output().expect("ip runs");
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
}
