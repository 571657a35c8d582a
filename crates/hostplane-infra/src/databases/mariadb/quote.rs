//! Quoting, for statements that can't be prepared. Sessions run with `NO_BACKSLASH_ESCAPES`, so doubling
//! the quote is all there is to it.

/// An identifier, or the user or host part of an account.
pub(super) fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A database's name as the pattern that a grant takes: `_` and `%` would match more than themselves.
pub(super) fn pattern(database: &str) -> String {
    database.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

/// A tenant's account.
pub(super) fn account(name: &str) -> String {
    format!("{}@`%`", ident(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_does_not_end_the_quotation() {
        assert_eq!(ident("a`b"), "`a``b`");
        assert_eq!(text("a'b\\"), "'a''b\\'");
        assert_eq!(account("wp_my-shop"), "`wp_my-shop`@`%`");
    }

    #[test]
    fn wildcards_in_a_grant_match_only_themselves() {
        assert_eq!(pattern("wp_my-shop"), "wp\\_my-shop");
        assert_eq!(pattern("100%"), "100\\%");
    }
}
