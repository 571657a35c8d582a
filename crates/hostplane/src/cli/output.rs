//! Data goes to standard output, everything else to standard error.

use std::io::{self, BufRead, IsTerminal, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use super::failure::Failure;
use super::printable::printable;
use crate::api::wire::{Page, UnreadableRow};

/// The format of the data on standard output.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct OutputFormat {
    /// Print what the API answers, as JSON
    #[arg(long)]
    pub json: bool,
}

impl OutputFormat {
    /// Prints data as JSON, or as `text` makes it.
    pub fn print<T: Serialize>(self, data: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string_pretty(data).map_err(|error| Failure::Failed(error.to_string()))?;
            print(&json)
        } else {
            print(&text(data))
        }
    }

    /// Prints a list as JSON, or as a table with a row for each item. Rows that can't be read are named on standard
    /// error.
    pub fn print_page<T: Serialize>(
        self,
        page: &Page<T>,
        header: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), Failure> {
        self.print(page, |page| table(header, page.items.iter().map(row)))?;
        report_unreadable(&page.unreadable);
        Ok(())
    }
}

/// Names rows that can't be read, on standard error.
pub(super) fn report_unreadable(rows: &[UnreadableRow]) {
    for row in rows {
        eprintln!("{}", printable(&format!("left out: {}; {}", row.message, row.hint)));
    }
}

/// Prints lines. A reader that went away, such as `head`, is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{}", text.trim_end_matches('\n')) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Unread),
        Err(error) => Err(Failure::Failed(format!("can't write the output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Rows in columns, without lines around them, so that they can be cut and searched.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(&cell.replace(['\n', '\t'], " "))));
    }
    lines(&table)
}

/// Names and values, one per line.
pub(super) fn facts(facts: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in facts {
        table.add_row([name.to_owned(), printable(&value)]);
    }
    lines(&table)
}

fn lines(table: &Table) -> String {
    // Columns have a space on each side; the first one needs none.
    let lines = table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// The value, or `-`.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Seconds with two decimals.
pub(super) fn seconds(elapsed_ms: u64) -> String {
    // Rounded to hundredths in integers.
    let hundredths = elapsed_ms.saturating_add(5) / 10;
    format!("{}.{:02} s", hundredths / 100, hundredths % 100)
}

/// Asks for a confirmation on the terminal.
pub(super) fn confirm(question: &str, expected: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("this can't be undone, and there is no terminal to ask on: add --yes".to_owned()));
    }
    eprint!("{question}");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && answer.trim() == expected {
        Ok(())
    } else {
        Err(Failure::Failed("not confirmed; nothing was done".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_to_hundredths() {
        assert_eq!(seconds(0), "0.00 s");
        assert_eq!(seconds(134), "0.13 s");
        assert_eq!(seconds(135), "0.14 s");
        assert_eq!(seconds(61_000), "61.00 s");
    }

    #[test]
    fn tables_are_plain_columns() {
        let text = table(&["name", "status"], [vec!["hello".into(), "ACTIVE".into()], vec!["a".into(), "-".into()]]);
        assert_eq!(text, "NAME   STATUS\nhello  ACTIVE\na      -");
        assert_eq!(facts([("a", "1".into()), ("bcd", "2".into())]), "a    1\nbcd  2");
    }

    #[test]
    fn a_table_holds_no_control_characters() {
        assert!(!table(&["x"], [vec!["a\nb\x07".into()]]).contains('\x07'));
    }
}
