//! Snippets as text: owner, served places, balanced braces.

use std::collections::BTreeSet;

use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_domain::mark::{Mark, Owner};
use hostplane_domain::naming;

use super::{RouteSpec, SnippetFacts};
use crate::error::{EffectError, Rejection};

/// Most bytes of a snippet. A larger file is foreign.
pub(crate) const SNIPPET_LIMIT: usize = 256 * 1024;

/// Reads the facts about a file; `loaded` is the caller's.
#[must_use]
pub fn facts(file: &str, contents: &[u8], loaded: bool) -> SnippetFacts {
    let kept = &contents[..contents.len().min(SNIPPET_LIMIT)];
    let contents_shown = String::from_utf8_lossy(kept).into_owned();
    SnippetFacts { file: file.to_owned(), mark: mark(contents), contents: contents_shown, loaded }
}

/// Reads the mark in the first line.
pub(crate) fn mark(contents: &[u8]) -> Option<Mark> {
    if contents.len() > SNIPPET_LIMIT {
        return None;
    }
    let line = contents.split(|&byte| byte == b'\n').next()?;
    Mark::from_comment(std::str::from_utf8(line).ok()?)
}

/// Refuses an unsafe snippet without asking Caddy.
///
/// # Errors
/// `ConfigRejected` for a snippet that is too large, has no mark of its own and so could never be removed, or has
/// unbalanced braces and so would include the next one, as Caddy reads all imports as one text.
pub fn check(spec: &RouteSpec) -> Result<(), EffectError> {
    let why = if spec.contents.len() > SNIPPET_LIMIT {
        "the snippet is too large"
    } else if mark(spec.contents.as_bytes()).as_ref() != Some(&spec.mark) {
        "the snippet doesn't begin with its mark"
    } else if !is_closed(&spec.contents) {
        "the snippet's braces are not balanced"
    } else {
        return Ok(());
    };
    Err(Rejection::ConfigRejected(format!("{}: {why}", naming::snippet_file(&spec.mark.site.name))).into())
}

/// Returns the mark of a present file of this site.
///
/// # Errors
/// `NameTaken`, naming the owner.
pub fn own(file: &str, contents: &[u8], instance: InstanceId, site: SiteId) -> Result<Mark, EffectError> {
    let found = mark(contents);
    let is_marked = found.is_some();
    let owner = match Owner::judge(found, instance, site) {
        Owner::Ours(mark) => return Ok(mark),
        Owner::Foreign if is_marked => "another Hostplane instance".to_owned(),
        owner => owner.to_string(),
    };
    Err(Rejection::NameTaken { what: "route", name: file.to_owned(), owner }.into())
}

/// True if braces are balanced and no block is closed before it is opened.
#[must_use]
pub fn is_closed(contents: &str) -> bool {
    let mut depth = 0_i64;
    for token in contents.lines().flat_map(tokens) {
        match token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// Lists the places that a snippet serves, as `host:port` in lower case. Caddy itself takes `http://a`, `http://A` and
/// `http://a:80` for different sites, of which one wins.
#[must_use]
pub fn places(contents: &str) -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    let mut depth = 0_i64;
    let mut addresses: Vec<&str> = Vec::new();
    for line in contents.lines() {
        let mut goes_on = false;
        for token in tokens(line) {
            match token {
                "{" => {
                    if depth == 0 {
                        places.extend(addresses.drain(..).filter_map(place));
                    }
                    depth += 1;
                }
                "}" => depth -= 1,
                token if depth == 0 => {
                    goes_on = token.ends_with(',');
                    addresses.extend(token.split(',').filter(|part| !part.is_empty()));
                }
                _ => {}
            }
        }
        if !goes_on {
            addresses.clear();
        }
    }
    places
}

/// Place of a host name in a snippet of ours.
#[must_use]
pub fn http_place(host: &str) -> String {
    format!("{}:80", host.to_ascii_lowercase())
}

/// Host of a place.
#[must_use]
pub fn host(place: &str) -> &str {
    place.rsplit_once(':').map_or(place, |(host, _)| host)
}

fn place(address: &str) -> Option<String> {
    if address.starts_with('(') {
        // A named snippet serves nothing until it is imported.
        return None;
    }
    let (default_port, rest) = match address.split_once("://") {
        Some(("http", rest)) => ("80", rest),
        Some((_, rest)) => ("443", rest),
        None => ("443", address),
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => (host, port),
        _ => (authority, default_port),
    };
    Some(format!("{}:{port}", host.to_ascii_lowercase()))
}

/// Splits a line into words, up to a comment.
pub fn tokens(line: &str) -> impl Iterator<Item = &str> {
    line.split_ascii_whitespace().take_while(|token| !token.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_from_site_addresses_only() {
        for (contents, expected) in [
            ("http://hello.localhost {\n\treverse_proxy x:80 {\n\t}\n}\n", vec!["hello.localhost:80"]),
            ("# http://no {\nhttp://A.Example, http://b {\n}\n", vec!["a.example:80", "b:80"]),
            ("http://a:80,\nb:8080 {\n}\nc/path {\n}", vec!["a:80", "b:8080", "c:443"]),
            ("import x\n(name) {\n}\nhttps://d {\n\te {\n\t}\n}\n", vec!["d:443"]),
            ("", vec![]),
        ] {
            let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(places(contents), expected, "{contents}");
        }
    }

    #[test]
    fn unbalanced_braces_are_found() {
        for (contents, closed) in [
            ("http://a {\n\trespond {path}\n}\n", true),
            ("", true),
            ("http://a {\n\trespond x\n", false),
            ("http://a {\n}\n}\n", false),
            ("}\nhttp://a {\n", false),
            ("http://a {\n# }\n", false),
        ] {
            assert_eq!(is_closed(contents), closed, "{contents}");
        }
    }

    #[test]
    fn an_oversized_file_has_no_mark() {
        let mut contents = b"# hostplane instance=".to_vec();
        contents.resize(SNIPPET_LIMIT + 1, b'x');
        let facts = facts("hello.caddy", &contents, true);
        assert_eq!((facts.mark, facts.contents.len()), (None, SNIPPET_LIMIT));
    }
}
