//! The control plane that a command uses: its address and its token.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::contexts::{BadContextName, ContextError, ContextName, Contexts};
use crate::home::{self, HomeError};

/// The home by default.
const DEFAULT_HOME: &str = "./.hostplane";

/// A control plane's address, without a slash at its end, and the token.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub address: String,
    pub token: SecretString,
    /// The context from which it comes.
    pub context: Option<ContextName>,
}

/// Choice of the control plane in one layer, flags or environment.
#[derive(Debug, Default)]
pub(crate) struct EndpointChoice {
    pub api: Option<String>,
    pub context: Option<String>,
    pub home: Option<PathBuf>,
}

/// Failure to find the control plane.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
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
    /// Its name in messages.
    pub fn label(&self) -> String {
        let context = self.context.as_ref().map_or_else(String::new, |name| format!(" (context {name})"));
        format!("{}{context}", self.address)
    }

    /// Finds the control plane. Flags win over the environment, the environment over the context in use, and that
    /// over the home that is here. The token is that of the context or of the home; `token` replaces the home's
    /// alone, so that a token for one control plane is not sent to another.
    pub fn find(
        flags: &EndpointChoice,
        environment: &EndpointChoice,
        token: Option<&str>,
        contexts: impl FnOnce() -> Result<Contexts, ContextError>,
    ) -> Result<Self, EndpointError> {
        let default = Path::new(DEFAULT_HOME);
        let home = flags.home.as_deref().or(environment.home.as_deref()).unwrap_or(default);
        for choice in [flags, environment] {
            match (&choice.context, &choice.api, &choice.home) {
                (Some(_), Some(_), _) => return Err(EndpointError::Both),
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

    fn of_context(name: &ContextName, contexts: &Contexts) -> Result<Self, EndpointError> {
        let (address, token) = contexts.of(name)?;
        Ok(Self {
            address: normal(address).ok_or(EndpointError::BadAddress)?,
            token: self::token(token).ok_or(EndpointError::BadToken)?,
            context: Some(name.clone()),
        })
    }

    fn of_home(home: &Path, api: Option<&str>, token: Option<&str>) -> Result<Self, EndpointError> {
        let address = match api {
            Some(api) => api.to_owned(),
            None => home::api_url(home)?.ok_or_else(|| EndpointError::NotRunning(home.join("api.url")))?,
        };
        let address = normal(&address).ok_or(EndpointError::BadAddress)?;
        let token = match token {
            Some(token) => self::token(token).ok_or(EndpointError::BadToken)?,
            None => home::read_token(home)?.ok_or_else(|| EndpointError::NoToken(home.to_owned()))?,
        };
        Ok(Self { address, token, context: None })
    }
}

/// Normal form of an address; `None` if it is not valid.
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

/// Parses a token of the command line.
pub(crate) fn token(text: &str) -> Option<SecretString> {
    let well_formed = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    well_formed.then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use tempfile::TempDir;

    fn choice(api: Option<&str>, context: Option<&str>, home: Option<&Path>) -> EndpointChoice {
        EndpointChoice {
            api: api.map(str::to_owned),
            context: context.map(str::to_owned),
            home: home.map(Path::to_owned),
        }
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
    fn flags_win_over_environment_context_and_home() {
        let dir = TempDir::new().unwrap();
        let home = home::Home::own(&dir.path().join("home")).unwrap();
        let in_home = home.token().unwrap().expose_secret().to_owned();
        home.announce("http://127.0.0.1:7070").unwrap();
        let dir = Some(home.dir());
        let none = || choice(None, None, None);
        for (flags, environment, token, current, address, expected) in [
            (none(), choice(None, None, dir), None, Some("prod"), "http://127.0.0.1:7070", in_home.as_str()),
            (none(), choice(None, None, dir), Some("hp_x"), None, "http://127.0.0.1:7070", "hp_x"),
            (
                choice(Some("http://cp:1/"), None, None),
                choice(None, Some("test"), dir),
                Some("hp_x"),
                None,
                "http://cp:1",
                "hp_x",
            ),
            (choice(Some("http://cp:1"), None, None), choice(None, None, dir), None, None, "http://cp:1", &in_home),
            (
                choice(None, None, dir),
                choice(Some("http://cp:1"), None, None),
                None,
                None,
                "http://127.0.0.1:7070",
                &in_home,
            ),
            (
                choice(None, Some("prod"), None),
                choice(Some("http://cp:1"), None, dir),
                None,
                None,
                "http://prod:1",
                "hp_prod",
            ),
            (choice(None, Some("prod"), None), none(), Some("hp_x"), None, "http://prod:1", "hp_prod"),
            (none(), choice(None, Some("test"), dir), None, Some("prod"), "http://test:1", "hp_test"),
            (none(), none(), None, Some("prod"), "http://prod:1", "hp_prod"),
            (none(), none(), Some("hp_x"), Some("prod"), "http://prod:1", "hp_prod"),
        ] {
            let found = Endpoint::find(&flags, &environment, token, || Ok(contexts(current))).unwrap();
            let case = format!("{flags:?} {environment:?} {token:?} {current:?}");
            assert_eq!((found.address.as_str(), found.token.expose_secret()), (address, expected), "{case}");
        }
    }

    #[test]
    fn errors_name_the_missing_part() {
        let dir = TempDir::new().unwrap();
        let find = |api, context, token| {
            let flags = choice(api, context, Some(dir.path()));
            Endpoint::find(&flags, &EndpointChoice::default(), token, || Ok(contexts(None))).unwrap_err()
        };
        assert!(matches!(find(None, None, None), EndpointError::NotRunning(_)));
        assert!(matches!(find(Some("http://cp"), None, None), EndpointError::NoToken(_)));
        assert!(matches!(find(Some("http://cp"), None, Some("a b")), EndpointError::BadToken));
        assert!(matches!(find(Some("http://cp"), Some("prod"), Some("x")), EndpointError::Both));
        assert!(matches!(find(None, Some("a/b"), None), EndpointError::BadContext(_)));
        let unknown = find(None, Some("prd"), None).to_string();
        assert!(unknown.contains("prod, test") && unknown.contains("hostplane context add prd"), "{unknown}");
        for bad in ["", "cp:7070", "https://cp", "http://u:p@cp", "http://cp/api", "http://cp?x", "ftp://cp"] {
            assert!(matches!(find(Some(bad), None, Some("x")), EndpointError::BadAddress), "{bad:?}");
        }
    }
}
