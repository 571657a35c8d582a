//! The part of a restricted site's route that refuses uploads: its disk space is used up.
//!
//! Everything else goes through, so that the owner can log in, read and delete. What PHP itself writes passes no proxy.

use std::fmt::Write;

/// Page for a browser whose upload is refused, with status 507. Like [`ANSWER`] it has no backquotes, which end a text
/// in a Caddyfile.
pub const PAGE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>No space left</title>\
    </head><body><h1>This site has used up its disk space.</h1><p>It takes no uploads, and no new posts or comments, \
    until some of its files or posts are deleted. Logging in, reading and deleting work as before. More space is given \
    by whoever hosts the site.</p></body></html>";

/// The same for WordPress's REST API, whose clients show the message.
pub const ANSWER: &str = r#"{"code":"no_space_left","message":"This site has used up its disk space. It takes no uploads until something is deleted. Deleting works as before.","data":{"status":507}}"#;

/// The requests that are uploads: a name, the conditions of Caddy's matcher, and true where the REST API answers.
const UPLOADS: [(&str, &[&str], bool); 5] = [
    ("media", &["method POST PUT", "path_regexp /wp/v2/media(/[0-9]+/(edit|sideload|post-process))?/?$"], true),
    ("media_by_query", &["method POST PUT", "query rest_route=/wp/v2/media rest_route=/wp/v2/media/"], true),
    (
        "files",
        &["method POST", "path */wp-admin/async-upload.php */wp-admin/media-new.php */wp-admin/media-upload.php"],
        false,
    ),
    (
        "packages",
        &["method POST", "path */wp-admin/update.php", "query action=upload-plugin action=upload-theme"],
        false,
    ),
    // From 1 MB on a body is a file, whatever takes it.
    ("large", &["method POST PUT PATCH", "header_regexp Content-Length ^[0-9]{7,}$"], false),
];

/// Renders the refusals around the rest of a route.
pub(super) fn around(rest: &str) -> String {
    let mut text = String::new();
    for (name, conditions, is_rest_api) in UPLOADS {
        let (content_type, body) = if is_rest_api { ("application/json", ANSWER) } else { ("text/html", PAGE) };
        let conditions = conditions.join("\n\t\t");
        // Writing to a string can't fail.
        let _ = write!(
            text,
            "\t@{name} {{\n\t\t{conditions}\n\t}}\n\thandle @{name} {{\n\
             \t\theader Content-Type \"{content_type}; charset=utf-8\"\n\t\trespond `{body}` 507\n\t}}\n"
        );
    }
    format!("{text}\thandle {{\n{rest}\t}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_where_they_should() {
        assert!(!PAGE.contains(['{', '}', '`', '\n']) && !ANSWER.contains(['`', '\n']));
    }

    #[test]
    fn everything_else_goes_on() {
        let text = around("\treverse_proxy x\n");
        assert!(text.ends_with("\thandle {\n\treverse_proxy x\n\t}\n"), "{text}");
        assert_eq!(text.matches(" 507\n").count(), UPLOADS.len());
        assert!(!text.contains("DELETE") && !text.contains("GET"), "{text}");
    }
}
