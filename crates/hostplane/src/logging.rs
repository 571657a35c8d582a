//! Log lines: text or JSON, to standard error, every field of the surrounding spans on each line.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use clap::ValueEnum;
use hostplane_infra::clock::{Clock, SystemClock};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber, error};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt;

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Lowest level of Hostplane's own lines that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the usual five")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Starts to log to standard error. A second call changes nothing.
pub fn init(format: Format, level: Level) {
    // Lines of other crates below a warning could quote secrets that they send.
    let others = LevelFilter::from(level).min(LevelFilter::WARN);
    let filter = Targets::new().with_default(others).with_target("hostplane", level);
    let write = |line: &str| {
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    };
    let begun = tracing_subscriber::registry().with(Lines::new(format, write).with_filter(filter)).try_init();
    if begun.is_ok() {
        // The default hook prints text between the lines, which no reader of JSON understands.
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            error!(place, error = panic.payload_as_str(), "panic");
        }));
    }
}

/// Writes each event as one line, which it hands to `W` with its end of line.
pub struct Lines<W> {
    format: Format,
    write: W,
}

impl<W: Fn(&str) + 'static> Lines<W> {
    /// Lines of a format.
    pub fn new(format: Format, write: W) -> Self {
        Self { format, write }
    }
}

/// Fields in the order in which they were given; a later one of the same name replaces the earlier.
#[derive(Default, Clone)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(at).1)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value.into());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, W: Fn(&str) + 'static> Layer<S> for Lines<W> {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                of_span.0.iter().for_each(|(name, value)| fields.set(name, value.clone()));
            }
        }
        event.record(&mut fields);
        let message = fields.take("message").unwrap_or_default();
        let time = SystemClock.now().to_string();
        let metadata = event.metadata();
        let line = match self.format {
            Format::Json => json(&time, metadata, &message, &fields),
            Format::Text => text(&time, metadata, &message, &fields),
        };
        (self.write)(&line);
    }
}

fn json(time: &str, metadata: &tracing::Metadata<'_>, message: &Value, fields: &Fields) -> String {
    let level = metadata.level().as_str();
    let mut line = format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"message\":{message}");
    for (name, value) in &fields.0 {
        let _ = write!(line, ",{}:{value}", Value::from(*name));
    }
    let _ = writeln!(line, ",\"target\":{}}}", Value::from(metadata.target()));
    line
}

fn text(time: &str, metadata: &tracing::Metadata<'_>, message: &Value, fields: &Fields) -> String {
    let mut line = format!("{time} {:<5} {}", metadata.level().as_str(), bare(message));
    for (name, value) in &fields.0 {
        let _ = write!(line, " {name}={}", bare(value));
    }
    line.push('\n');
    line
}

/// A value without quotation marks where it needs none; never more than one line.
fn bare(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains(|c: char| c == '"' || c.is_control()) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing::{Instrument, info, info_span, warn};

    fn lines_of(format: Format, work: impl Future<Output = ()>) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let layer = Lines::new(format, move |line: &str| sink.lock().unwrap().push(line.to_owned()));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work);
        });
        Arc::try_unwrap(lines).unwrap_or_default().into_inner().unwrap()
    }

    async fn a_step() {
        let span = info_span!("job", site = %"hello", job = %"j1", operation = %"provision");
        async {
            info!(step = %"network", elapsed_ms = 130_u64, "step done");
            warn!(step = %"route", error = "two\nlines \"quoted\"", elapsed_ms = 2_u64, "step failed");
        }
        .instrument(span)
        .await;
    }

    #[test]
    fn json_lines_carry_the_fields_of_spans() {
        let lines = lines_of(Format::Json, a_step());
        assert_eq!(lines.len(), 2);
        for line in &lines {
            let line: Value = serde_json::from_str(line).unwrap();
            for field in ["site", "job", "operation", "step", "elapsed_ms", "time", "level", "message", "target"] {
                assert!(!line[field].is_null(), "{field} is missing in {line}");
            }
        }
        let first: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((&first["site"], &first["elapsed_ms"]), (&"hello".into(), &130.into()));
    }

    #[test]
    fn text_lines_carry_them_too() {
        let lines = lines_of(Format::Text, a_step());
        let expected = "step done site=hello job=j1 operation=provision step=network elapsed_ms=130\n";
        assert!(lines[0].ends_with(expected), "{}", lines[0]);
        assert!(lines[1].contains(r#"error="two\nlines \"quoted\"""#), "{}", lines[1]);
        assert!(lines.iter().all(|line| line.matches('\n').count() == 1));
    }

    #[test]
    fn fields_of_an_event_win_over_its_span() {
        let lines = lines_of(Format::Text, async {
            let _in_span = info_span!("job", site = "a").entered();
            info!(site = "b", "x");
        });
        assert!(lines[0].ends_with("x site=b\n"), "{}", lines[0]);
    }
}
