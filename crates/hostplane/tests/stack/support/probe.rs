//! A visitor of one site who never rests, and counts what fails.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::instance::Instance;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest wait of a visitor.
const PATIENCE: Duration = Duration::from_secs(30);
/// One request in this number is for the front page, which costs PHP's time; the others are for a file.
const FRONT_PAGE_EVERY: u32 = 4;
const FILE: &str = "/wp-includes/css/dashicons.min.css";

pub struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// Results of a visitor's requests.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: u32,
    /// When, for what, and how it failed.
    pub failures: Vec<String>,
    /// Connections that were closed before a byte of the answer came.
    pub closed: Vec<String>,
    pub slowest: Duration,
}

impl Seen {
    /// Nothing failed, of as many requests as must have been made.
    pub fn assert_unharmed(&self, at_least: u32) {
        assert_eq!((&self.failures, &self.closed), (&Vec::new(), &Vec::new()));
        assert!(self.requests >= at_least, "only {} requests", self.requests);
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, failed) = (self.requests, self.failures.len());
        let (closed, slowest) = (self.closed.len(), self.slowest);
        write!(
            f,
            "a visitor of another site: {requests} requests, {failed} failed, {closed} closed unanswered, slowest {slowest:?}"
        )
    }
}

impl Probe {
    /// Begins to visit a site through Caddy.
    pub fn of(instance: &Instance, site: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, host, port) = (Arc::clone(&stop), instance.authority(site), instance.http_port);
        let thread = thread::spawn(move || {
            let (begun, mut seen) = (Instant::now(), Seen::default());
            while !stopped.load(Ordering::SeqCst) {
                let path = if seen.requests % FRONT_PAGE_EVERY == 0 { "/" } else { FILE };
                let asked = Instant::now();
                let answer = get(port, &host, path).map_err(|error| error.to_string());
                seen.requests += 1;
                seen.slowest = seen.slowest.max(asked.elapsed());
                if answer.as_ref().is_ok_and(String::is_empty) {
                    seen.closed.push(format!("after {:?}, {path}", begun.elapsed()));
                } else if let Err(fault) = answer.and_then(|page| judge(&page, path)) {
                    seen.failures.push(format!("after {:?}, {path}: {fault}", begun.elapsed()));
                }
                thread::park_timeout(PAUSE);
            }
            seen
        });
        Self { stop, thread }
    }

    /// Ends the visits.
    pub fn end(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        self.thread.join().expect("the visitor doesn't panic")
    }
}

/// A connection of its own for each request: one that is kept may be closed by either side at any time, which
/// would say nothing.
pub fn get(port: u16, host: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn judge(page: &str, path: &str) -> Result<(), String> {
    let status = page.split(' ').nth(1).unwrap_or("nothing");
    let is_whole = if path == FILE { page.contains("dashicons-") } else { page.trim_end().ends_with("</html>") };
    if status == "200" && is_whole { Ok(()) } else { Err(format!("{status}, {} bytes", page.len())) }
}
