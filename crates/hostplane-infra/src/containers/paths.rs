//! Which names may be asked for, and which directories and paths written and read: the same for every engine.

use std::path::{Component, Path};

use crate::error::{Dependency, Effect, Rejection};

fn refuse<T>(message: String) -> Effect<T> {
    Err(Rejection::Invalid { by: Dependency::Docker, message }.into())
}

/// A directory of a container: absolute and without `..`.
///
/// # Errors
/// `Rejected` if it isn't.
pub fn directory(dir: &str) -> Effect<&str> {
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if dir.starts_with('/') && !dir.contains('\0') && Path::new(dir).components().all(plain) {
        Ok(dir)
    } else {
        refuse(format!("{dir:?} is not an absolute directory"))
    }
}

/// A file of a container: absolute, without `..`, and not its root.
///
/// # Errors
/// `Rejected` if it isn't.
pub fn file(path: &str) -> Effect<&str> {
    let path = directory(path)?;
    if path.ends_with('/') { refuse(format!("{path:?} is not a file")) } else { Ok(path) }
}

/// Whether a path stays below the directory that it is relative to. `.` doesn't: an engine silently
/// leaves that entry of an archive out, so a mounted volume's own mode is set from the directory above.
pub(crate) fn is_below(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// A path of an entry.
///
/// # Errors
/// `Rejected` unless it stays below its directory.
pub fn entry(path: &str) -> Effect<&str> {
    if is_below(path) { Ok(path) } else { refuse(format!("{path:?} is not a path below the directory")) }
}

/// A name or an id as a part of a request's path. bollard pastes it in, so that anything else than the
/// Engine allows in names could be another request.
///
/// # Errors
/// `Rejected` if it isn't.
pub fn segment(text: &str) -> Effect<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':' | '@');
    let whole =
        !text.is_empty() && text.chars().all(plain) && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if whole { Ok(text) } else { refuse(format!("{text:?} is no name")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_their_directory() {
        for path in ["", ".", "..", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\0b"] {
            assert!(entry(path).is_err(), "{path:?}");
        }
        assert!(entry("a/.b/c..d").is_ok());
    }

    #[test]
    fn directories_are_absolute() {
        for dir in ["", "relative", "/a/../b", "..", "/a\0"] {
            assert!(directory(dir).is_err(), "{dir:?}");
        }
        for dir in ["/", "/a/", "/a/b"] {
            assert!(directory(dir).is_ok(), "{dir:?}");
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_request() {
        for name in ["", "..", "../volumes", "a//b", "a b", "a?x=y", "a#b", "a%2fb"] {
            assert!(segment(name).is_err(), "{name:?}");
        }
        for name in ["php_a", "0a1b", "registry.test:5000/php:1@sha256"] {
            assert!(segment(name).is_ok(), "{name:?}");
        }
    }
}
