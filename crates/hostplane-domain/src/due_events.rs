//! Due time of the first of WordPress's scheduled events.

/// Bytes of the option `cron` that are read.
pub const PREFIX: usize = 40;
/// The end of the year 9999, in seconds since 1970 UTC.
const LATEST: i64 = 253_402_300_799;

/// Reads the time at which the first event is due, in seconds since 1970 UTC, from the beginning of the option `cron`.
///
/// WordPress keeps a serialised array there, ordered by time, and goes by its first key itself. The text is the
/// tenant's: any other form is no event.
#[must_use]
pub fn first_due(option: &str) -> Option<i64> {
    let (count, rest) = option.strip_prefix("a:")?.split_once(":{i:")?;
    let (time, _) = rest.split_once(';')?;
    let is_number = |text: &str| !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(count) || !is_number(time) {
        return None;
    }
    time.parse().ok().filter(|time| *time <= LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_the_due_time() {
        let option = r#"a:3:{i:1700000000;a:1:{s:16:"wp_version_check";a:1:{s:32:"40cd750bba9870f18aada2478b24840a";"#;
        assert_eq!(first_due(option), Some(1_700_000_000));
        assert_eq!(first_due(&option[..PREFIX]), Some(1_700_000_000), "no more is read");
    }

    #[test]
    fn text_of_another_form_is_no_event() {
        for nothing in [
            "",
            "a:1:{s:7:\"version\";i:2;}",
            "a:0:{}",
            "a:1:{i:-5;",
            "a:1:{i:;",
            "a:1:{i:170000000",
            "a:1:{i:9999999999999999999999;",
            "a:1:{i:999999999999;",
            "a:x:{i:1;",
            "a::{i:1;",
            "O:8:\"stdClass\":1:{i:1;",
            "i:1700000000;",
            "a:1:{i:1_7;",
            "\u{663}a:1:{i:\u{663};",
        ] {
            assert_eq!(first_due(nothing), None, "{nothing}");
        }
    }
}
