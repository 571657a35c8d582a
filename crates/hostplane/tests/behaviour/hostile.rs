//! Hundreds of hostile requests, as bytes: each gets a 4xx as a problem, makes nothing, and leaves no secret in the
//! log.

mod addresses;
mod bodies;
mod chance;

use std::collections::HashSet;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use hostplane::logging::{Format, Lines};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::harness::Harness;

const JOB: &str = "018f0000-0000-7000-8000-000000000000";
/// Stands for a secret in a wrong place.
const HUSH: &str = "hush5ecret";

/// A request and its address: wrong tokens of one address are throttled, which another test checks.
struct Request {
    bytes: Vec<u8>,
    from: Ipv4Addr,
}

/// All requests.
struct Table {
    token: String,
    all: Vec<Request>,
}

impl Table {
    fn add(&mut self, method: &str, target: &str, headers: &[(&str, &[u8])], body: &[u8]) {
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n").into_bytes();
        let mut add = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        let has = |name: &str| headers.iter().any(|(known, _)| *known == name);
        if !has("authorization") {
            add("authorization", format!("Bearer {}", self.token).as_bytes());
        }
        if !body.is_empty() && !has("transfer-encoding") {
            add("content-length", body.len().to_string().as_bytes());
        }
        for (name, value) in headers {
            add(name, value);
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        let number = u8::try_from(self.all.len() / 15 % 250).unwrap() + 1;
        self.all.push(Request { bytes, from: Ipv4Addr::new(127, 0, 3, number) });
    }

    fn get(&mut self, target: &str) {
        self.add("GET", target, &[], b"");
    }

    fn post(&mut self, target: &str, body: &[u8]) {
        self.add("POST", target, &[("content-type", b"application/json")], body);
    }
}

fn encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02x}");
        text
    })
}

impl Harness {
    /// Sends bytes and returns status, head and body.
    async fn send(&self, request: &Request) -> (u16, String, Vec<u8>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((request.from, 0).into()).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        // A request that is refused early may be read no further.
        let _ = stream.write_all(&request.bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, head, answer.get(end + 4..).unwrap_or_default().to_vec())
    }
}

/// Captures log lines from now on, those of other tests of this process too: a log of this thread alone would miss
/// the lines that another thread was the first to want to write.
fn captured() -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&log);
    let lines = Lines::new(Format::Json, move |line: &str| sink.lock().unwrap().push_str(line));
    let ours = Targets::new().with_default(Level::WARN).with_target("hostplane", Level::DEBUG);
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(ours));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
}

#[tokio::test]
async fn hostile_requests_get_a_problem_and_no_quote() {
    let log = captured();
    let harness = Harness::idle().await;
    let mut table = Table { token: harness.token.clone(), all: Vec::new() };
    for part in [addresses::names, addresses::parameters, addresses::paths, addresses::headers, bodies::all] {
        part(&mut table);
    }
    let by_hand: HashSet<_> = table.all.iter().map(|request| &request.bytes).collect();
    assert!(by_hand.len() >= 200, "only {} are distinct", by_hand.len());
    chance::requests(&mut table);

    let mut wrong = Vec::new();
    for request in &table.all {
        let (status, head, body) = harness.send(request).await;
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let fits = (400..500).contains(&status)
            && head.contains("content-type: application/problem+json")
            && problem["status"] == status
            && problem["type"].as_str().is_some_and(|kind| kind.starts_with("urn:hostplane:problem:"))
            && problem["detail"].as_str().is_some_and(|detail| !detail.is_empty())
            && !text.contains(&harness.token)
            && status != 429;
        if !fits {
            let shown = String::from_utf8_lossy(&request.bytes[..request.bytes.len().min(300)]).into_owned();
            wrong.push(format!("{status} {text} for {shown}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.all.len(), wrong.join("\n---\n"));
    assert_eq!(harness.counts().await, (0, 0));
    assert_eq!(harness.get("/api/v1/tokens").await.body["items"].as_array().unwrap().len(), 1, "the home's alone");
    assert_eq!(harness.get("/api/v1/sites").await.status, 200, "it serves on");

    let log = log.lock().unwrap();
    assert!(log.lines().count() > table.all.len() / 2, "the log has a line for each request");
    for secret in [&harness.token, HUSH, &harness.token.to_uppercase()] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{line:?}");
    }
    for line in log.lines() {
        assert!(line.len() < 4000 && serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}
