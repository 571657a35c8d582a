//! Lines that a site's containers have printed.

use hostplane_engine::app::SiteContainer;
use hostplane_infra::containers::{LogLine, LogStream};
use serde::{Deserialize, Serialize};

/// Log lines, oldest first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    pub lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    /// To the nanosecond, so that it identifies a line.
    pub time: String,
    pub container: String,
    pub stream: String,
    /// Bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl From<Vec<(SiteContainer, LogLine)>> for Log {
    fn from(lines: Vec<(SiteContainer, LogLine)>) -> Self {
        let line = |(container, line): (SiteContainer, LogLine)| Line {
            // All nine digits, so that the texts sort as the times do.
            time: format!("{:.9}", line.at),
            container: container.as_str().to_owned(),
            stream: match line.stream {
                LogStream::Stdout => "stdout",
                LogStream::Stderr => "stderr",
            }
            .to_owned(),
            text: String::from_utf8_lossy(&line.text).into_owned(),
        };
        Self { lines: lines.into_iter().map(line).collect() }
    }
}
