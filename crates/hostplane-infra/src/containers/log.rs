//! Log of a container: the output of its programs, as the engine keeps it.

use std::collections::VecDeque;

use bytes::Bytes;

/// Time of a line, to the nanosecond, which distinguishes lines.
pub use jiff::Timestamp as LogTime;

/// Most bytes of text in one answer.
pub const LOG_LIMIT: usize = 1024 * 1024;

/// Selection of a log's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuery {
    /// Most lines; older ones are left out.
    pub newest: u32,
    /// Lower bound, exclusive, of the lines' times.
    pub after: Option<LogTime>,
}

/// Output stream of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line, or a part of one longer than the engine's 16 KiB. Its text is hostile until parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Time of the line.
    pub at: LogTime,
    /// The output stream.
    pub stream: LogStream,
    /// Text without the end of the line.
    pub text: Bytes,
}

/// The newest lines that fit into an answer, oldest first.
pub struct LogTail {
    query: LogQuery,
    lines: VecDeque<LogLine>,
    bytes: usize,
}

impl LogTail {
    /// No line yet.
    #[must_use]
    pub fn new(query: LogQuery) -> Self {
        Self { query, lines: VecDeque::new(), bytes: 0 }
    }

    /// Takes the next line, unless it was not asked for.
    pub fn add(&mut self, line: LogLine) {
        if self.query.after.is_some_and(|after| line.at <= after) {
            return;
        }
        self.bytes += line.text.len();
        self.lines.push_back(line);
        let most = usize::try_from(self.query.newest).unwrap_or(usize::MAX);
        while self.bytes > LOG_LIMIT || self.lines.len() > most {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.text.len();
        }
    }

    /// The lines that are left.
    #[must_use]
    pub fn finish(self) -> Vec<LogLine> {
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(nanosecond: i128, text: impl Into<Bytes>) -> LogLine {
        let at = LogTime::from_nanosecond(nanosecond).unwrap();
        LogLine { at, stream: LogStream::Stdout, text: text.into() }
    }

    fn kept(query: LogQuery, lines: impl IntoIterator<Item = LogLine>) -> Vec<i128> {
        let mut newest = LogTail::new(query);
        lines.into_iter().for_each(|line| newest.add(line));
        newest.finish().iter().map(|line| line.at.as_nanosecond()).collect()
    }

    #[test]
    fn the_newest_lines_that_fit_are_kept() {
        let all = LogQuery { newest: 10, after: None };
        let lines = || (1..=4).map(|n| line(n, "x"));
        assert_eq!(kept(all, lines()), [1, 2, 3, 4]);
        assert_eq!(kept(LogQuery { newest: 2, ..all }, lines()), [3, 4]);
        assert_eq!(kept(LogQuery { newest: 0, ..all }, lines()), [0_i128; 0]);
        assert_eq!(kept(LogQuery { after: LogTime::from_nanosecond(3).ok(), ..all }, lines()), [4]);
        let large = (1..=4).map(|n| line(n, vec![b'x'; LOG_LIMIT / 2]));
        assert_eq!(kept(all, large), [3, 4]);
        assert_eq!(kept(all, [line(1, vec![b'x'; LOG_LIMIT + 1]), line(2, "")]), [2]);
    }
}
