//! Checks of names and paths in requests, the same for every engine.

use std::path::{Component, Path};

use crate::error::{Dependency, Effect, Rejection};

fn refuse<T>(message: String) -> Effect<T> {
    Err(Rejection::Invalid { by: Dependency::DOCKER, message }.into())
}

/// Checks a directory of a container: absolute and without `..`.
///
/// # Errors
/// `Rejected` for any other path.
pub fn directory(dir: &str) -> Effect<&str> {
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if dir.starts_with('/') && !dir.contains('\0') && Path::new(dir).components().all(plain) {
        Ok(dir)
    } else {
        refuse(format!("{dir:?} is not an absolute directory"))
    }
}

/// Checks a file of a container: absolute, without `..`, and not the root.
///
/// # Errors
/// `Rejected` for any other path.
pub fn file(path: &str) -> Effect<&str> {
    let path = directory(path)?;
    if path.ends_with('/') { refuse(format!("{path:?} is not a file")) } else { Ok(path) }
}

/// True if a relative path stays below its directory. `.` is refused: an engine silently leaves that entry of an
/// archive out, so the mode of a mounted volume is set from the directory above.
pub(crate) fn is_below(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Checks the path of an archive's entry.
///
/// # Errors
/// `Rejected` unless the path stays below its directory.
pub fn entry(path: &str) -> Effect<&str> {
    if is_below(path) { Ok(path) } else { refuse(format!("{path:?} is not a path below the directory")) }
}

/// Checks a name or an id for a request's path. bollard doesn't escape it, so a character that the Engine allows in no
/// name could make another request.
///
/// # Errors
/// `Rejected` for any other text.
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
    fn a_name_cannot_change_the_request() {
        for name in ["", "..", "../volumes", "a//b", "a b", "a?x=y", "a#b", "a%2fb"] {
            assert!(segment(name).is_err(), "{name:?}");
        }
        for name in ["php_a", "0a1b", "registry.test:5000/php:1@sha256"] {
            assert!(segment(name).is_ok(), "{name:?}");
        }
    }
}
