//! Quoting for statements that can't be prepared. Sessions run with `NO_BACKSLASH_ESCAPES`, so doubling the quote
//! suffices.

/// Quotes an identifier, or the user or host part of an account.
pub(super) fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quotes a string.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// Escapes a database's name for the pattern of a grant, in which `_` and `%` are wildcards.
pub(super) fn pattern(database: &str) -> String {
    database.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

/// Quotes a tenant's account.
pub(super) fn account(name: &str) -> String {
    format!("{}@`%`", ident(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(ident("a`b"), "`a``b`");
        assert_eq!(text("a'b\\"), "'a''b\\'");
        assert_eq!(account("wp_my-shop"), "`wp_my-shop`@`%`");
    }

    #[test]
    fn wildcards_in_a_grant_are_escaped() {
        assert_eq!(pattern("wp_my-shop"), "wp\\_my-shop");
        assert_eq!(pattern("100%"), "100\\%");
    }
}
