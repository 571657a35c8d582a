//! Logs of containers.

use bollard::Docker as Client;
use bollard::container::LogOutput;
use bollard::errors::Error as BollardError;
use bollard::query_parameters::LogsOptions;
use bytes::Bytes;
use futures_util::TryStreamExt;

use crate::containers::log::{LogLine, LogQuery, LogStream, LogTail};

/// Fetches the selected lines.
pub(super) async fn fetch(client: &Client, container: &str, query: LogQuery) -> Result<Vec<LogLine>, BollardError> {
    // The Engine takes whole seconds; `LogTail` leaves out earlier lines.
    let since = query.after.map_or(0, |after| i32::try_from(after.as_second()).unwrap_or(i32::MAX));
    let options = LogsOptions {
        stdout: true,
        stderr: true,
        timestamps: true,
        tail: query.newest.to_string(),
        since,
        ..LogsOptions::default()
    };
    let mut output = Box::pin(client.logs(container, Some(options)));
    let mut newest = LogTail::new(query);
    while let Some(message) = output.try_next().await? {
        if let Some(line) = line(message) {
            newest.add(line);
        }
    }
    Ok(newest.finish())
}

/// Parses a message: the Engine's time, a space, a text. Any other message is no line.
fn line(message: LogOutput) -> Option<LogLine> {
    let (stream, message) = match message {
        LogOutput::StdOut { message } | LogOutput::Console { message } => (LogStream::Stdout, message),
        LogOutput::StdErr { message } => (LogStream::Stderr, message),
        LogOutput::StdIn { .. } => return None,
    };
    let space = message.iter().position(|byte| *byte == b' ')?;
    let at = std::str::from_utf8(&message[..space]).ok()?.parse().ok()?;
    Some(LogLine { at, stream, text: without_end(&message[space + 1..]) })
}

fn without_end(text: &[u8]) -> Bytes {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    Bytes::copy_from_slice(text.strip_suffix(b"\r").unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stdout(message: &'static [u8]) -> Option<LogLine> {
        line(LogOutput::StdOut { message: Bytes::from_static(message) })
    }

    #[test]
    fn a_message_is_a_time_and_a_text() {
        let found = stdout(b"2026-11-24T01:02:03.123456789Z two  words\r\n").unwrap();
        assert_eq!(found.at.to_string(), "2026-11-24T01:02:03.123456789Z");
        assert_eq!((found.stream, &found.text[..]), (LogStream::Stdout, &b"two  words"[..]));
        let part = stdout(b"2026-11-24T01:02:03Z \xff").unwrap();
        assert_eq!(&part.text[..], b"\xff", "a part of a line has no end");
        let message = Bytes::from_static(b"2026-11-24T01:02:03Z \n");
        let empty = line(LogOutput::StdErr { message }).unwrap();
        assert_eq!((empty.stream, empty.text.len()), (LogStream::Stderr, 0));
    }

    #[test]
    fn a_message_without_a_time_is_no_line() {
        for message in [&b""[..], b"2026-11-24T01:02:03Z", b"yesterday something", b"\xff\xfe x"] {
            assert_eq!(stdout(message), None);
        }
    }
}
