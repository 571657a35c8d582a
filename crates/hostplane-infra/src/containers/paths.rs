//! Which directories and paths may be written and read: the same for every engine.

use std::path::{Component, Path};

use crate::error::{Dependency, Effect, Rejection};

fn refuse<T>(message: String) -> Effect<T> {
    Err(Rejection::Invalid { by: Dependency::Docker, message }.into())
}

/// A directory of a container: absolute and without `..`.
///
/// # Errors
/// `Rejected` if it isn't.
pub(crate) fn directory(dir: &str) -> Effect<&str> {
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    if dir.starts_with('/') && !dir.contains('\0') && Path::new(dir).components().all(plain) {
        Ok(dir)
    } else {
        refuse(format!("{dir:?} is not an absolute directory"))
    }
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
pub(crate) fn entry(path: &str) -> Effect<&str> {
    if is_below(path) { Ok(path) } else { refuse(format!("{path:?} is not a path below the directory")) }
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
}
