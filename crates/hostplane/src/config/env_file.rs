//! Files with settings: lines of `KEY=VALUE`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::home::NOT_THE_OWNER_S;

/// An unusable file. No variant holds a value, which may be a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvFileError {
    #[error("can't read the env file {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}, line {line}: {why}", path.display())]
    Malformed { path: PathBuf, line: usize, why: &'static str },
    #[error(
        "others can read {}, which sets {name}; `chmod go= {}` takes that from them, and if they may have read it, change \
         the password or token",
        path.display(), path.display()
    )]
    Readable { path: PathBuf, name: String },
}

/// Settings whose value is a secret, or has one in it. Other secrets are files of their own.
const SECRETS: [&str; 2] = ["HOSTPLANE_TOKEN", "WP_DSN"];

/// The values of several files: a later file wins, and within a file a later line. A file with a secret must be its
/// owner's alone.
pub(crate) fn read(paths: &[PathBuf]) -> Result<BTreeMap<String, String>, EnvFileError> {
    let mut values = BTreeMap::new();
    for path in paths {
        let unreadable = |source| EnvFileError::Unreadable { path: path.clone(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        // The open file's mode: the path may have been replaced.
        let is_private = file.metadata().map_err(unreadable)?.mode() & NOT_THE_OWNER_S == 0;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unreadable)?;
        for (key, value) in parse(&text, path)? {
            if !is_private && !value.is_empty() && SECRETS.contains(&key.as_str()) {
                return Err(EnvFileError::Readable { path: path.clone(), name: key });
            }
            // A key without a value is not set, so it hides no other.
            if !value.is_empty() || !values.contains_key(&key) {
                values.insert(key, value);
            }
        }
    }
    Ok(values)
}

/// The files that a command line names. They are needed before it is parsed, because they hold the defaults of
/// its options.
pub(crate) fn named_in(arguments: &[OsString]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        match argument.to_str() {
            Some("--") => break,
            Some("--env-file") => paths.extend(rest.next().map(PathBuf::from)),
            Some(text) => paths.extend(text.strip_prefix("--env-file=").map(PathBuf::from)),
            None => {}
        }
    }
    paths
}

fn parse(text: &str, path: &Path) -> Result<Vec<(String, String)>, EnvFileError> {
    let mut values = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let malformed = |why| EnvFileError::Malformed { path: path.to_owned(), line: at + 1, why };
        values.push(parse_line(line).map_err(malformed)?);
    }
    Ok(values)
}

fn parse_line(line: &str) -> Result<(String, String), &'static str> {
    let line = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).map_or(line, str::trim_start);
    let (key, value) = line.split_once('=').ok_or("expected KEY=VALUE")?;
    let mut bytes = key.bytes();
    let starts_well = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !starts_well || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("a name consists of letters, digits and _, and = follows it at once");
    }
    Ok((key.to_owned(), unquote(value)?.to_owned()))
}

/// Quotation marks around the whole value go; nothing inside is special, as in `scripts/settings.bash`.
fn unquote(value: &str) -> Result<&str, &'static str> {
    for mark in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(mark) {
            return rest.strip_suffix(mark).ok_or("a quotation mark is opened and not closed");
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn one(line: &str) -> Result<(String, String), &'static str> {
        parse_line(line)
    }

    #[test]
    fn lines_are_read_as_a_shell_user_expects() {
        for (line, key, value) in [
            ("A=b", "A", "b"),
            ("A=", "A", ""),
            ("A=b=c", "A", "b=c"),
            ("export A=b", "A", "b"),
            ("export\tA=b", "A", "b"),
            ("exported=b", "exported", "b"),
            ("A=\"b c\"", "A", "b c"),
            ("A='b \"c\"'", "A", "b \"c\""),
            ("A=b # not a comment", "A", "b # not a comment"),
            ("A=$B", "A", "$B"),
        ] {
            assert_eq!(one(line), Ok((key.into(), value.into())), "{line}");
        }
    }

    #[test]
    fn a_malformed_line_is_named_without_its_value() {
        for line in ["s3cret", "=s3cret", "A B=s3cret", "A =s3cret", "1A=s3cret", "A=\"s3cret", "A='s3cret\""] {
            let text = format!("# first\n\n{line}\n");
            let error = parse(&text, Path::new("x.env")).unwrap_err().to_string();
            assert!(error.starts_with("x.env, line 3: "), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_later_file_wins_and_a_later_line() {
        let dir = tempfile::TempDir::new().unwrap();
        let (first, second) = (dir.path().join("1"), dir.path().join("2"));
        fs::write(&first, "A=1\nB=1\nB=2\n").unwrap();
        fs::write(&second, "A=2\nB=\n").unwrap();
        let values = read(&[first, second]).unwrap();
        assert_eq!((values["A"].as_str(), values["B"].as_str()), ("2", "2"));
    }

    #[test]
    fn a_file_with_a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join(".env");
        let read = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            read(std::slice::from_ref(&path))
        };
        for name in SECRETS {
            let text = format!("HTTP_PORT=80\nexport {name}='s3cret'\n");
            for mode in [0o640, 0o604, 0o620] {
                let error = read(&text, mode).unwrap_err().to_string();
                assert!(error.contains(name) && error.contains("chmod go="), "{mode:o}: {error}");
                assert!(!error.contains("s3cret"), "{error}");
            }
            assert_eq!(read(&text, 0o600).unwrap()[name], "s3cret");
            read(&format!("{name}=\n"), 0o644).expect("nothing is no secret");
        }
        read("HTTP_PORT=80\n", 0o644).expect("a port is no secret");
    }

    #[test]
    fn files_are_found_before_the_double_dash() {
        let arguments = ["hostplane", "up", "--env-file", "a", "--env-file=b", "--", "--env-file", "c"];
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        assert_eq!(named_in(&arguments), [PathBuf::from("a"), PathBuf::from("b")]);
    }
}
