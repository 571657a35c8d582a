//! Server-sent events, as the API sends them: one field per line, an empty line after each event.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// The control plane sends something at least every 15 s; a stream that is silent for longer is broken.
const SILENCE: Duration = Duration::from_secs(45);
/// Most bytes of an event that has not ended.
const LONGEST: usize = 4 * 1024 * 1024;

/// A stream of events.
#[derive(Debug)]
pub(crate) struct EventStream {
    body: Incoming,
    /// Received bytes that form no whole event yet.
    rest: Vec<u8>,
}

impl EventStream {
    pub(super) fn of(body: Incoming) -> Self {
        Self { body, rest: Vec::new() }
    }

    /// Data of the next event; `None` once the stream has ended, broke or holds no valid data.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            if let Some(data) = take_event(&mut self.rest) {
                if data.is_empty() {
                    continue;
                }
                return serde_json::from_slice(&data).ok();
            }
            let frame = timeout(SILENCE, self.body.frame()).await.ok()??.ok()?;
            let Ok(chunk) = frame.into_data() else { continue };
            if self.rest.len() + chunk.len() > LONGEST {
                return None;
            }
            self.rest.extend_from_slice(&chunk);
        }
    }
}

/// Takes the data of the first whole event; empty for a comment.
fn take_event(rest: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = rest.windows(2).position(|two| two == b"\n\n")?;
    let event: Vec<u8> = rest.drain(..end + 2).collect();
    let of_line = |line: &[u8]| {
        let data = line.strip_prefix(b"data:")?;
        Some(data.strip_prefix(b" ").unwrap_or(data).to_vec())
    };
    let data: Vec<Vec<u8>> = event.split(|byte| *byte == b'\n').filter_map(of_line).collect();
    Some(data.join(&b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_from_any_pieces() {
        let sent = b": nothing new\n\nevent: job\nid: 7\ndata: {\"a\":\ndata: 1}\n\nid: 8\ndata:2\n\ndata: cut off";
        for size in 1..sent.len() {
            let (mut rest, mut events) = (Vec::new(), Vec::new());
            for chunk in sent.chunks(size) {
                rest.extend_from_slice(chunk);
                while let Some(event) = take_event(&mut rest) {
                    events.push(String::from_utf8(event).unwrap());
                }
            }
            assert_eq!(events, ["", "{\"a\":\n1}", "2"], "in pieces of {size}");
            assert_eq!(rest, b"data: cut off");
        }
    }
}
