//! The listener: clients that speak no HTTP, and the stop.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Harness;

async fn exchange(harness: &Harness, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset after the answer has still answered.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn clients_without_http_are_refused() {
    let harness = Harness::idle().await;
    for sent in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"[..], b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let answer = exchange(&harness, sent).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"), "{answer}");
    }
    assert_eq!(harness.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let harness = Harness::idle().await;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let answer = exchange(&harness, request.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(harness.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_stop_ends_idle_connections() {
    let harness = Harness::idle().await;
    assert_eq!(harness.get("/healthz").await.status, 200, "this connection is kept");
    let mut idle = TcpStream::connect(harness.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    harness.stop.send_replace(true);
    harness.serving.await.unwrap();
    assert!(TcpStream::connect(harness.address).await.is_err());
}

#[tokio::test]
async fn a_slow_client_is_disconnected() {
    let harness = Harness::idle().await;
    // From here on time passes whenever nothing else happens.
    tokio::time::pause();
    let answer = exchange(&harness, b"GET /healthz HTTP/1.1\r\nhost:").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    tokio::time::resume();
    assert_eq!(harness.get("/healthz").await.status, 200);
}
