//! Caddy is reloaded at each change of any route, while visitors are connected.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::docker::docker;
use crate::instance::Instance;
use crate::probe::get;

/// Without the kernel's help about every fourth reload closes a connection.
const RELOADS: usize = 60;
const VISITORS: usize = 4;
/// Caddy answers by itself for a name that it doesn't know: nothing makes more connections in a time.
const ABSENT: &str = "absent.localhost";

#[test]
fn a_reload_closes_no_visitor_s_connection() {
    let instance = Instance::up();
    let (caddy, port) = (format!("{}-caddy", instance.tag), instance.http_port);
    let over = AtomicBool::new(false);
    let visit = || {
        let mut answers: BTreeMap<String, u32> = BTreeMap::new();
        while !over.load(Ordering::SeqCst) {
            let answer = get(port, ABSENT, "/").unwrap_or_else(|error| error.to_string());
            *answers.entry(answer.lines().next().unwrap_or("closed").to_owned()).or_default() += 1;
        }
        answers
    };
    let seen = thread::scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS).map(|_| scope.spawn(visit)).collect();
        for _ in 0..RELOADS {
            let config = ["--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"];
            docker(&[["exec", &caddy, "caddy", "reload", "--force"].as_slice(), &config].concat());
        }
        over.store(true, Ordering::SeqCst);
        visitors.into_iter().flat_map(|visitor| visitor.join().expect("a visitor doesn't panic")).collect::<Vec<_>>()
    });
    println!("{RELOADS} reloads: {seen:?}");
    assert!(seen.iter().all(|(answer, _)| answer == "HTTP/1.0 404 Not Found"), "{seen:?}");
    assert!(seen.iter().map(|(_, times)| times).sum::<u32>() > 5_000, "{seen:?}");
}
