//! Where the control plane is, and the token for it.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::contexts::{BadContextName, ContextError, ContextName, Contexts};
use crate::home::{self, HomeError};

/// The home when nothing else is said.
const DEFAULT_HOME: &str = "./.hostplane";

/// A control plane's address, without a slash at its end, and the token.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub address: String,
    pub token: SecretString,
    /// The context that named it.
    pub context: Option<ContextName>,
}

/// What one layer, flags or environment, says about the control plane.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub api: Option<String>,
    pub context: Option<String>,
    pub home: Option<PathBuf>,
}

/// Why the place is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiscoveryError {
    #[error(
        "no control plane is known: {} does not exist\nStart one with `make up` or `hostplane up`, go to the directory \
         where it was started, name its home with HOSTPLANE_HOME, its address with --api URL, or one that you have \
         added with --context NAME.", .0.display()
    )]
    NotRunning(PathBuf),
    #[error("an address is written as http://127.0.0.1:7070 (--api, HOSTPLANE_API); only http is available")]
    BadAddress,
    #[error("there is no token: set HOSTPLANE_TOKEN, or name the control plane's home with HOSTPLANE_HOME ({} has no token)", .0.display())]
    NoToken(PathBuf),
    #[error("HOSTPLANE_TOKEN does not hold a token")]
    BadToken,
    #[error("name the control plane with --api (HOSTPLANE_API) or with --context (HOSTPLANE_CONTEXT), not with both")]
    Both,
    #[error(transparent)]
    BadContext(#[from] BadContextName),
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Endpoint {
    /// How messages name it.
    pub fn described(&self) -> String {
        let context = self.context.as_ref().map_or_else(String::new, |name| format!(" (context {name})"));
        format!("{}{context}", self.address)
    }

    /// What flags say wins over the environment, that over the context in use, that over the home that is here.
    /// The token is that of the context or of the home; `token` wins over the home's alone, so that one that was
    /// meant for one control plane is not sent to another.
    pub fn find(
        flags: &Named,
        environment: &Named,
        token: Option<&str>,
        contexts: impl FnOnce() -> Result<Contexts, ContextError>,
    ) -> Result<Self, DiscoveryError> {
        let default = Path::new(DEFAULT_HOME);
        let home = flags.home.as_deref().or(environment.home.as_deref()).unwrap_or(default);
        for named in [flags, environment] {
            match (&named.context, &named.api, &named.home) {
                (Some(_), Some(_), _) => return Err(DiscoveryError::Both),
                (Some(name), None, _) => return Self::of_context(&name.parse()?, &contexts()?),
                (None, Some(api), _) => return Self::of_home(home, Some(api), token),
                (None, None, Some(home)) => return Self::of_home(home, None, token),
                (None, None, None) => {}
            }
        }
        let contexts = contexts()?;
        match contexts.current() {
            Some(name) => Self::of_context(name, &contexts),
            None => Self::of_home(home, None, token),
        }
    }

    fn of_context(name: &ContextName, contexts: &Contexts) -> Result<Self, DiscoveryError> {
        let (address, token) = contexts.of(name)?;
        Ok(Self {
            address: normal(address).ok_or(DiscoveryError::BadAddress)?,
            token: super::token(token).ok_or(DiscoveryError::BadToken)?,
            context: Some(name.clone()),
        })
    }

    fn of_home(home: &Path, api: Option<&str>, token: Option<&str>) -> Result<Self, DiscoveryError> {
        let address = match api {
            Some(api) => api.to_owned(),
            None => home::api_url(home)?.ok_or_else(|| DiscoveryError::NotRunning(home.join("api.url")))?,
        };
        let address = normal(&address).ok_or(DiscoveryError::BadAddress)?;
        let token = match token {
            Some(token) => super::token(token).ok_or(DiscoveryError::BadToken)?,
            None => home::read_token(home)?.ok_or_else(|| DiscoveryError::NoToken(home.to_owned()))?,
        };
        Ok(Self { address, token, context: None })
    }
}

/// An address as it is asked; `None` if it is none.
pub(crate) fn normal(address: &str) -> Option<String> {
    let url = reqwest::Url::parse(address).ok()?;
    let bare = url.scheme() == "http"
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    bare.then(|| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use tempfile::TempDir;

    fn named(api: Option<&str>, context: Option<&str>, home: Option<&Path>) -> Named {
        Named { api: api.map(str::to_owned), context: context.map(str::to_owned), home: home.map(Path::to_owned) }
    }

    fn contexts(current: Option<&str>) -> Contexts {
        let mut contexts = Contexts::default();
        for name in ["prod", "test"] {
            let token = SecretString::from(format!("hp_{name}"));
            contexts.add(name.parse().unwrap(), format!("http://{name}:1"), &token, false).unwrap();
        }
        contexts.choose(current.map(|name| name.parse().unwrap())).unwrap();
        contexts
    }

    #[test]
    fn flags_win_over_the_environment_that_over_the_context_in_use_that_over_the_home_here() {
        let dir = TempDir::new().unwrap();
        let home = home::Home::own(&dir.path().join("home")).unwrap();
        let in_home = home.token().unwrap().expose_secret().to_owned();
        home.announce("http://127.0.0.1:7070").unwrap();
        let dir = Some(home.dir());
        let none = || named(None, None, None);
        for (flags, environment, token, current, address, expected) in [
            (none(), named(None, None, dir), None, Some("prod"), "http://127.0.0.1:7070", in_home.as_str()),
            (none(), named(None, None, dir), Some("hp_x"), None, "http://127.0.0.1:7070", "hp_x"),
            (
                named(Some("http://cp:1/"), None, None),
                named(None, Some("test"), dir),
                Some("hp_x"),
                None,
                "http://cp:1",
                "hp_x",
            ),
            (named(Some("http://cp:1"), None, None), named(None, None, dir), None, None, "http://cp:1", &in_home),
            (
                named(None, None, dir),
                named(Some("http://cp:1"), None, None),
                None,
                None,
                "http://127.0.0.1:7070",
                &in_home,
            ),
            (
                named(None, Some("prod"), None),
                named(Some("http://cp:1"), None, dir),
                None,
                None,
                "http://prod:1",
                "hp_prod",
            ),
            (named(None, Some("prod"), None), none(), Some("hp_x"), None, "http://prod:1", "hp_prod"),
            (none(), named(None, Some("test"), dir), None, Some("prod"), "http://test:1", "hp_test"),
            (none(), none(), None, Some("prod"), "http://prod:1", "hp_prod"),
            (none(), none(), Some("hp_x"), Some("prod"), "http://prod:1", "hp_prod"),
        ] {
            let found = Endpoint::find(&flags, &environment, token, || Ok(contexts(current))).unwrap();
            let what = format!("{flags:?} {environment:?} {token:?} {current:?}");
            assert_eq!((found.address.as_str(), found.token.expose_secret()), (address, expected), "{what}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let dir = TempDir::new().unwrap();
        let find = |api, context, token| {
            let flags = named(api, context, Some(dir.path()));
            Endpoint::find(&flags, &Named::default(), token, || Ok(contexts(None))).unwrap_err()
        };
        assert!(matches!(find(None, None, None), DiscoveryError::NotRunning(_)));
        assert!(matches!(find(Some("http://cp"), None, None), DiscoveryError::NoToken(_)));
        assert!(matches!(find(Some("http://cp"), None, Some("a b")), DiscoveryError::BadToken));
        assert!(matches!(find(Some("http://cp"), Some("prod"), Some("x")), DiscoveryError::Both));
        assert!(matches!(find(None, Some("a/b"), None), DiscoveryError::BadContext(_)));
        let unknown = find(None, Some("prd"), None).to_string();
        assert!(unknown.contains("prod, test") && unknown.contains("hostplane context add prd"), "{unknown}");
        for bad in ["", "cp:7070", "https://cp", "http://u:p@cp", "http://cp/api", "http://cp?x", "ftp://cp"] {
            assert!(matches!(find(Some(bad), None, Some("x")), DiscoveryError::BadAddress), "{bad:?}");
        }
    }
}
