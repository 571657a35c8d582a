//! Following a job live.

use std::process::Stdio;
use std::time::Duration;

use hostplane::api::{Api, PlatformProgress};
use hostplane::listener;
use hostplane_domain::job::JobState;
use hostplane_domain::token::TokenScope;
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::bad_input::problem;
use crate::cli::command;
use crate::harness::{Harness, answered};

const ABSENT: &str = "018f0000-0000-7000-8000-000000000000";

/// A stream and its received events.
struct Stream {
    response: Response,
    text: String,
}

#[derive(Debug)]
struct Event {
    id: String,
    job: Value,
}

impl Stream {
    /// The next event; `None` once the server has ended the stream in order.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (id, data) = (field("id: "), field("data: "));
                if !event.starts_with(':') {
                    assert_eq!(field("event: ").as_deref(), Some("job"), "{event}");
                }
                let rest = rest.to_owned();
                self.text = rest;
                let Some(data) = data else { continue };
                return Some(Event { id: id.unwrap(), job: serde_json::from_str(&data).unwrap() });
            }
            let chunk = timeout(Duration::from_mins(1), self.response.chunk()).await.expect("it goes on");
            let Some(chunk) = chunk.expect("it is not broken off") else {
                assert_eq!(self.text, "", "it ends between two events");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

impl Harness {
    async fn events(&self, token: &str, job: &str, last: Option<&str>) -> Stream {
        let request = self.without_token(Method::GET, &format!("/api/v1/jobs/{job}/events")).bearer_auth(token);
        let request = match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Stream { response, text: String::new() }
    }
}

fn steps(event: &Event) -> usize {
    event.job["steps"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_stream_follows_a_job_to_its_end() {
    let harness = Harness::running().await;
    let (job, held) = harness.in_the_middle("hello").await;
    let (_, read) = harness.token_of(TokenScope::Read).await;
    let mut stream = harness.events(&read, &job, None).await;
    let first = stream.next().await.unwrap();
    assert_eq!((&first.job["state"], &first.job["id"]), (&"running".into(), &job.as_str().into()));
    held.notify_one();
    let events = stream.rest().await;
    assert!(events.iter().all(|event| event.id != first.id), "nothing comes twice");
    assert!(events.windows(2).all(|two| steps(&two[0]) <= steps(&two[1])));
    let last = events.last().unwrap();
    assert_eq!(last.job["state"], "completed");
    assert_eq!(last.job, harness.get(&format!("/api/v1/jobs/{job}")).await.body, "what asking answers");
}

#[tokio::test]
async fn a_reconnected_client_gets_each_event_once() {
    let harness = Harness::running().await;
    let (job, held) = harness.in_the_middle("hello").await;
    let mut stream = harness.events(&harness.token, &job, None).await;
    // The job is held, so sooner or later there is nothing new. What it is at some other moment the stream may never
    // have sent: changes that come soon after each other are one event.
    let mut seen = stream.next().await.unwrap();
    while seen.job != harness.get(&format!("/api/v1/jobs/{job}")).await.body {
        seen = stream.next().await.unwrap();
    }
    drop(stream);
    let mut again = harness.events(&harness.token, &job, Some(&seen.id)).await;
    held.notify_one();
    let next = again.next().await.unwrap();
    assert_ne!(next.job, seen.job, "no event is repeated");
    assert!(steps(&next) >= steps(&seen));
    drop(again);
    assert_eq!(harness.ended(&job).await, JobState::Completed);
    // All changes meanwhile are in the one event that is left.
    let rest = harness.events(&harness.token, &job, Some(&seen.id)).await.rest().await;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest.last().unwrap().job["state"], "completed");
    let steps = rest.last().unwrap().job["steps"].as_array().unwrap().clone();
    assert!(steps.iter().all(|step| step["state"] == "done"));

    let path = format!("/api/v1/jobs/{job}/events");
    let all_seen = harness.request(Method::GET, &path).header("last-event-id", &rest.last().unwrap().id);
    assert_eq!(answered(all_seen).await.status, StatusCode::NO_CONTENT, "a browser comes back no more");
    for unknown in ["", "0", "0123456789abcdef", "' OR 1=1", &"x".repeat(8000)] {
        let events = harness.events(&harness.token, &job, Some(unknown)).await.rest().await;
        assert_eq!(events.len(), 1, "{unknown:?}");
    }
}

#[tokio::test]
async fn a_silent_stream_sends_comments() {
    let mut harness = Harness::idle().await;
    let api = Api::new(harness.app.clone(), "localhost".parse().unwrap(), PlatformProgress::default());
    let listener = listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    harness.address = listener.local_addr().unwrap();
    let router = api.silent_for(Duration::from_millis(20)).router();
    tokio::spawn(listener::serve(listener, router, harness.stop.subscribe()));
    let job = harness.create("hello").await;
    let mut stream = harness.events(&harness.token, &job, None).await;
    stream.next().await.unwrap();
    let chunk = stream.response.chunk().await.unwrap().unwrap();
    assert!(chunk.starts_with(b": "), "{chunk:?}");
}

#[tokio::test]
async fn a_stop_ends_streams_at_once() {
    let harness = Harness::idle().await;
    let job = harness.create("hello").await;
    let mut stream = harness.events(&harness.token, &job, None).await;
    stream.next().await.unwrap();
    harness.stop.send_replace(true);
    assert!(stream.next().await.is_none());
    // Sooner than running requests are broken off.
    timeout(Duration::from_secs(4), harness.serving).await.expect("nothing is waited for").unwrap();
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let harness = Harness::idle().await;
    let job = harness.create("hello").await;
    let (id, token) = harness.token_of(TokenScope::Read).await;
    let mut stream = harness.events(&token, &job, None).await;
    stream.next().await.unwrap();
    assert_eq!(harness.delete(&format!("/api/v1/tokens/{id}")).await.status, StatusCode::NO_CONTENT);
    // Sooner than a silent stream checks its token.
    assert!(timeout(Duration::from_secs(10), stream.next()).await.expect("at once").is_none());
}

#[tokio::test]
async fn streams_are_bounded_and_come_free_again() {
    let harness = Harness::idle().await;
    let job = harness.create("hello").await;
    let path = format!("/api/v1/jobs/{job}/events");
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(harness.events(&harness.token, &job, None).await);
    }
    let refused = harness.get(&path).await;
    assert_eq!(problem(&refused, 429), "too-many-streams");
    assert!(refused.headers.contains_key("retry-after"));
    let (_, other) = harness.token_of(TokenScope::Read).await;
    harness.events(&other, &job, None).await.next().await.unwrap();
    assert_eq!(harness.get("/api/v1/sites").await.status, StatusCode::OK, "others are served");
    streams.clear();
    let freed = async {
        while harness.request(Method::GET, &path).send().await.unwrap().status() != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_mins(1), freed).await.expect("they come free");
}

#[tokio::test]
async fn a_watch_outlives_a_restart() {
    let harness = Harness::running().await;
    let (job, held) = harness.in_the_middle("hello").await;
    let mut watch = command(harness.home.dir());
    watch.args(["job", "watch", &job]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    let mut lines = BufReader::new(watch.stderr.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("it goes on").starts_with("php_container ensured") {}
    harness.stop.send_replace(true);
    harness.serving.await.unwrap();
    while !lines.next_line().await.unwrap().expect("it goes on").contains("does not answer") {}
    let listener = listener::bind(harness.address).await.unwrap();
    let router = Api::new(harness.app.clone(), "localhost".parse().unwrap(), PlatformProgress::default()).router();
    let stop = tokio::sync::watch::Sender::new(false);
    let _serving = tokio::spawn(listener::serve(listener, router, stop.subscribe()));
    held.notify_one();
    let mut shown = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        shown = shown + &line + "\n";
    }
    assert_eq!(watch.wait().await.unwrap().code(), Some(0), "{shown}");
    assert!(shown.contains("wordpress_install ensured"), "{shown}");
}

/// Answers each request with what `answer` makes of its path, over and over, and never a second on a connection.
async fn serve_by_hand(listener: TcpListener, answer: impl Fn(&str) -> String) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
        while !request.windows(4).any(|four| four == b"\r\n\r\n") {
            let read = stream.read(&mut chunk).await.unwrap();
            request.extend_from_slice(&chunk[..read]);
        }
        let path = String::from_utf8(request).unwrap().split(' ').nth(1).unwrap().to_owned();
        stream.write_all(answer(&path).as_bytes()).await.unwrap();
    }
}

fn job_of(state: &str) -> String {
    format!(
        r#"{{"id":"{ABSENT}","site":"hello","operation":"provision","state":"{state}","attempt":1,"waiting_for":null,"steps":[],"error":null,"created_at":"x","started_at":null,"finished_at":null}}"#
    )
}

/// Runs `job watch` on a control plane whose stream ends with one thing and that answers another when asked again.
async fn watched(stream: &str, then: &'static str) -> (Option<i32>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (stream, asked) = (stream.to_owned(), std::cell::Cell::new(false));
    let serving = serve_by_hand(listener, move |path| {
        if path.ends_with("/events") {
            return stream.clone();
        }
        let body = job_of(if asked.replace(true) { then } else { "running" });
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
    });
    let dir = tempfile::TempDir::new().unwrap();
    let mut command = command(dir.path());
    command.args(["job", "watch", ABSENT, "--timeout", "1m", "--api", &address]).env("HOSTPLANE_TOKEN", "hp_x");
    tokio::select! {
        () = serving => unreachable!(),
        ended = command.output() => {
            let ended = ended.unwrap();
            (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
        }
    }
}

#[tokio::test]
async fn a_watch_ends_with_the_stream() {
    let event = job_of("completed");
    let stream =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: nothing new\n\ndata: {event}\n\n");
    // A client that only polled would wait for ever.
    let (code, err) = watched(&stream, "running").await;
    assert_eq!(code, Some(0), "{err}");
}

#[tokio::test]
async fn a_watch_polls_when_the_stream_breaks() {
    let running = job_of("running");
    for stream in [
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {running}\n\ndata: {{"),
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ndata".to_owned(),
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 11\r\n\r\ndata: what\n\n".to_owned(),
        "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 2\r\n\r\n<>".to_owned(),
        String::new(),
    ] {
        let (code, err) = watched(&stream, "completed").await;
        assert_eq!(code, Some(0), "{stream}: {err}");
    }
}
