//! Text from elsewhere, made safe for a terminal.

/// Replaces control characters, which a terminal would take for commands; ends of lines and tabs stay.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_commands_are_replaced() {
        assert_eq!(printable("a\x1b[31m\nb\u{9b}"), "a\u{fffd}[31m\nb\u{fffd}");
    }
}
