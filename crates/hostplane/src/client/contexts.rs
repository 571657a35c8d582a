//! Control planes that the command line knows by name, each with its token, in a file that only the user reads.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::config::layers::Layers;
use crate::home::{self, HomeError};

const FILE: &str = "contexts.json";
/// Held while the file is changed, so that of two changes at once none is lost.
const LOCK: &str = "contexts.lock";
/// Most bytes of the file.
const LONGEST: u64 = 1024 * 1024;

/// Name of a control plane on this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ContextName(String);

/// A text that is no name of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a context's name has 1 to 64 of the characters a-z, A-Z, 0-9 and . _ -, a letter or digit first")]
pub(crate) struct BadContextName;

impl FromStr for ContextName {
    type Err = BadContextName;
    fn from_str(text: &str) -> Result<Self, BadContextName> {
        let fits = (1..=64).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if fits && plain { Ok(Self(text.to_owned())) } else { Err(BadContextName) }
    }
}

impl TryFrom<String> for ContextName {
    type Error = BadContextName;
    fn try_from(text: String) -> Result<Self, BadContextName> {
        text.parse()
    }
}

impl From<ContextName> for String {
    fn from(name: ContextName) -> Self {
        name.0
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One control plane. It has no `Debug`, so that no log prints the token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    pub api: String,
    pub token: String,
    /// File with the CAs that may sign its certificate, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// True if the token may go to another machine without encryption.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub plain_http: bool,
}

/// Every control plane that has a name.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The control plane by default.
    current: Option<ContextName>,
    contexts: BTreeMap<ContextName, Context>,
}

/// Failure to use the contexts. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextError {
    #[error("there is no place to keep contexts: set HOME or XDG_CONFIG_HOME to a directory's absolute path")]
    NoDirectory,
    #[error("can't use {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    File(#[from] HomeError),
    #[error("{} can't be read as contexts; fix it, or remove it and add them again with `hostplane context add`", .0.display())]
    Malformed(PathBuf),
    #[error("there is no context {name}; {}\nAdd it with: hostplane context add {name} --api URL --token-file FILE", known(.there_are))]
    Unknown { name: ContextName, there_are: Vec<String> },
    #[error("there is a context {0} already; add --replace to replace it")]
    Exists(ContextName),
}

fn known(there_are: &[String]) -> String {
    if there_are.is_empty() { "there are none".to_owned() } else { format!("there are: {}", there_are.join(", ")) }
}

/// Directory of the contexts, if the environment names one for the user's settings. Env files don't count.
pub(crate) fn directory(layers: &Layers) -> Option<PathBuf> {
    let of = |name| layers.environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let settings = of("XDG_CONFIG_HOME").or_else(|| of("HOME").map(|home| home.join(".config")));
    settings.map(|settings| settings.join("hostplane"))
}

impl Contexts {
    /// Loads all contexts; none if there is no file.
    pub fn load(directory: Option<&Path>) -> Result<Self, ContextError> {
        let Some(directory) = directory else { return Ok(Self::default()) };
        let path = directory.join(FILE);
        let Some(text) = home::read_private(&path, LONGEST)? else { return Ok(Self::default()) };
        // The parser's words could quote a token.
        serde_json::from_str(text.expose_secret()).map_err(|_| ContextError::Malformed(path))
    }

    /// Changes the file, as a whole or not at all.
    pub fn change<T>(
        directory: Option<&Path>,
        change: impl FnOnce(&mut Self) -> Result<T, ContextError>,
    ) -> Result<T, ContextError> {
        let directory = directory.ok_or(ContextError::NoDirectory)?;
        let io_error = |path: &Path| {
            let path = path.to_owned();
            |source| ContextError::Io { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io_error(directory))?;
        let path = directory.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(io_error(&path))?;
        lock.lock().map_err(io_error(&path))?;
        let mut contexts = Self::load(Some(directory))?;
        let changed = change(&mut contexts)?;
        let path = directory.join(FILE);
        let text = serde_json::to_string_pretty(&contexts).map_err(|_| ContextError::Malformed(path.clone()))?;
        home::write_private(&path, &format!("{text}\n"))?;
        Ok(changed)
    }

    pub fn add(&mut self, name: ContextName, context: Context, replace: bool) -> Result<(), ContextError> {
        if !replace && self.contexts.contains_key(&name) {
            return Err(ContextError::Exists(name));
        }
        self.contexts.insert(name, context);
        Ok(())
    }

    pub fn remove(&mut self, name: &ContextName) -> Result<(), ContextError> {
        self.contexts.remove(name).ok_or_else(|| self.unknown(name))?;
        self.current.take_if(|current| current == name);
        Ok(())
    }

    /// Chooses the control plane to use by default.
    pub fn choose(&mut self, name: Option<ContextName>) -> Result<(), ContextError> {
        if let Some(name) = &name {
            self.of(name)?;
        }
        self.current = name;
        Ok(())
    }

    pub fn current(&self) -> Option<&ContextName> {
        self.current.as_ref()
    }

    /// The context of a name.
    pub fn of(&self, name: &ContextName) -> Result<&Context, ContextError> {
        self.contexts.get(name).ok_or_else(|| self.unknown(name))
    }

    /// Every context with its name.
    pub fn all(&self) -> impl Iterator<Item = (&ContextName, &Context)> {
        self.contexts.iter()
    }

    fn unknown(&self, name: &ContextName) -> ContextError {
        ContextError::Unknown { name: name.clone(), there_are: self.contexts.keys().map(ToString::to_string).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    fn name(text: &str) -> ContextName {
        text.parse().unwrap()
    }

    fn add(dir: &Path, text: &str) -> Result<(), ContextError> {
        let context =
            Context { api: "http://cp:1".to_owned(), token: "hp_secret".to_owned(), ca_file: None, plain_http: false };
        Contexts::change(Some(dir), |all| all.add(name(text), context, false))
    }

    #[test]
    fn only_the_user_reads_the_file() {
        let top = TempDir::new().unwrap();
        let dir = top.path().join("config/hostplane");
        add(&dir, "prod").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join(FILE))), (0o700, 0o600));
        let kept = Contexts::load(Some(&dir)).unwrap();
        let prod = kept.of(&name("prod")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((prod.api.as_str(), prod.token.as_str()), ("http://cp:1", "hp_secret"));
        let text = fs::read_to_string(dir.join(FILE)).unwrap();
        assert!(!text.contains("plain_http") && !text.contains("ca_file"), "an earlier release can read it: {text}");
        fs::set_permissions(dir.join(FILE), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Contexts::load(Some(&dir)), Err(ContextError::File(HomeError::Readable(_)))));
    }

    #[test]
    fn the_default_context_exists() {
        let dir = TempDir::new().unwrap();
        let change =
            |change: &dyn Fn(&mut Contexts) -> Result<(), ContextError>| Contexts::change(Some(dir.path()), change);
        assert!(matches!(change(&|all| all.choose(Some(name("prod")))), Err(ContextError::Unknown { .. })));
        add(dir.path(), "prod").unwrap();
        assert!(matches!(add(dir.path(), "prod"), Err(ContextError::Exists(_))));
        change(&|all| all.choose(Some(name("prod")))).unwrap();
        assert_eq!(Contexts::load(Some(dir.path())).unwrap().current(), Some(&name("prod")));
        change(&|all| all.remove(&name("prod"))).unwrap();
        assert_eq!(Contexts::load(Some(dir.path())).unwrap().current(), None);
        assert!(matches!(change(&|all| all.remove(&name("prod"))), Err(ContextError::Unknown { .. })));
    }

    #[test]
    fn concurrent_changes_are_all_kept() {
        let dir = TempDir::new().unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let dir = dir.path();
                scope.spawn(move || add(dir, &format!("c{n}")).unwrap());
            }
        });
        assert_eq!(Contexts::load(Some(dir.path())).unwrap().all().count(), 8);
    }

    #[test]
    fn a_malformed_file_is_refused_and_left() {
        let dir = TempDir::new().unwrap();
        for bad in
            ["", "{", "[]", r#"{"contexts":{"a b":{"api":"x","token":"hp_secret"}}}"#, r#"{"token":"hp_secret"}"#]
        {
            home::write_private(&dir.path().join(FILE), bad).unwrap();
            let error = add(dir.path(), "prod").unwrap_err();
            assert!(matches!(error, ContextError::Malformed(_)), "{bad}");
            assert!(!error.to_string().contains("hp_secret"), "{error}");
            assert_eq!(fs::read_to_string(dir.path().join(FILE)).unwrap(), bad);
        }
    }

    #[test]
    fn names_are_plain_words() {
        for bad in ["", "-a", "a b", "../a", "a/b", "a\n", ".a", &"a".repeat(65)] {
            assert_eq!(bad.parse::<ContextName>(), Err(BadContextName), "{bad:?}");
        }
        assert!(["a", "prod-1.eu_x", "9"].iter().all(|good| good.parse::<ContextName>().is_ok()));
    }
}
