//! The control plane that a command uses: its address and its token.

use std::net::IpAddr;
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
    /// File with the CAs that may sign its certificate, instead of the public ones.
    pub ca_file: Option<PathBuf>,
}

/// Choice of the control plane in one layer, flags or environment.
#[derive(Debug, Default)]
pub(crate) struct EndpointChoice {
    pub api: Option<String>,
    pub context: Option<String>,
    pub home: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    /// True if the token may go to another machine without encryption.
    pub plain_http: bool,
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
    #[error("an address is written as http://127.0.0.1:7070 or https://HOST, without a path (--api, HOSTPLANE_API)")]
    BadAddress,
    #[error(
        "the token would go to {0} in the clear, and all on the way could read it\nPut a proxy with TLS before that \
         control plane and use https://. If the way is safe, such as a tunnel: --plain-http (HOSTPLANE_PLAIN_HTTP=true), \
         or `hostplane context add` with it."
    )]
    Clear(String),
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
    /// alone, so that a token for one control plane is not sent to another. Likewise the environment's words about
    /// encryption are none about a context.
    pub fn find(
        flags: &EndpointChoice,
        environment: &EndpointChoice,
        token: Option<&str>,
        contexts: impl FnOnce() -> Result<Contexts, ContextError>,
    ) -> Result<Self, EndpointError> {
        let default = Path::new(DEFAULT_HOME);
        let home = flags.home.as_deref().or(environment.home.as_deref()).unwrap_or(default);
        let of_home = |api| Self::of_home(home, api, token, [flags, environment]);
        for choice in [flags, environment] {
            match (&choice.context, &choice.api, &choice.home) {
                (Some(_), Some(_), _) => return Err(EndpointError::Both),
                (Some(name), None, _) => return Self::of_context(&name.parse()?, &contexts()?, flags),
                (None, Some(api), _) => return of_home(Some(api)),
                (None, None, Some(_)) => return of_home(None),
                (None, None, None) => {}
            }
        }
        let contexts = contexts()?;
        match contexts.current() {
            Some(name) => Self::of_context(name, &contexts, flags),
            None => of_home(None),
        }
    }

    fn of_context(name: &ContextName, contexts: &Contexts, flags: &EndpointChoice) -> Result<Self, EndpointError> {
        let context = contexts.of(name)?;
        let found = Self {
            address: normal(&context.api).ok_or(EndpointError::BadAddress)?,
            token: self::token(&context.token).ok_or(EndpointError::BadToken)?,
            context: Some(name.clone()),
            ca_file: flags.ca_file.clone().or_else(|| context.ca_file.clone()),
        };
        if !(flags.plain_http || context.plain_http) {
            refuse_clear(&found.address)?;
        }
        Ok(found)
    }

    fn of_home(
        home: &Path,
        api: Option<&String>,
        token: Option<&str>,
        choices: [&EndpointChoice; 2],
    ) -> Result<Self, EndpointError> {
        let address = match api {
            Some(api) => api.clone(),
            None => home::api_url(home)?.ok_or_else(|| EndpointError::NotRunning(home.join("api.url")))?,
        };
        let address = normal(&address).ok_or(EndpointError::BadAddress)?;
        // A control plane that writes into a home here listens here, on whatever address.
        if api.is_some() && !choices.iter().any(|choice| choice.plain_http) {
            refuse_clear(&address)?;
        }
        let token = match token {
            Some(token) => self::token(token).ok_or(EndpointError::BadToken)?,
            None => home::read_token(home)?.ok_or_else(|| EndpointError::NoToken(home.to_owned()))?,
        };
        let ca_file = choices.iter().find_map(|choice| choice.ca_file.clone());
        Ok(Self { address, token, context: None, ca_file })
    }
}

/// Refuses an address of another machine to which a token would go without encryption.
pub(crate) fn refuse_clear(address: &str) -> Result<(), EndpointError> {
    let url = reqwest::Url::parse(address).map_err(|_| EndpointError::BadAddress)?;
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let stays_here = host == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback());
    if url.scheme() == "https" || stays_here { Ok(()) } else { Err(EndpointError::Clear(address.to_owned())) }
}

/// Normal form of an address; `None` if it is not valid.
pub(crate) fn normal(address: &str) -> Option<String> {
    let url = reqwest::Url::parse(address).ok()?;
    let bare = matches!(url.scheme(), "http" | "https")
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
    use super::super::contexts::Context;
    use super::*;
    use secrecy::ExposeSecret;
    use tempfile::TempDir;

    fn choice(api: Option<&str>, context: Option<&str>, home: Option<&Path>) -> EndpointChoice {
        EndpointChoice {
            api: api.map(str::to_owned),
            context: context.map(str::to_owned),
            home: home.map(Path::to_owned),
            ..EndpointChoice::default()
        }
    }

    fn context(api: &str, token: &str) -> Context {
        Context { api: api.to_owned(), token: token.to_owned(), ca_file: None, plain_http: false }
    }

    fn contexts(current: Option<&str>) -> Contexts {
        let mut contexts = Contexts::default();
        for name in ["prod", "test"] {
            let context = context(&format!("https://{name}:1"), &format!("hp_{name}"));
            contexts.add(name.parse().unwrap(), context, false).unwrap();
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
                choice(Some("https://cp:1/"), None, None),
                choice(None, Some("test"), dir),
                Some("hp_x"),
                None,
                "https://cp:1",
                "hp_x",
            ),
            (choice(Some("https://cp:1"), None, None), choice(None, None, dir), None, None, "https://cp:1", &in_home),
            (
                choice(None, None, dir),
                choice(Some("https://cp:1"), None, None),
                None,
                None,
                "http://127.0.0.1:7070",
                &in_home,
            ),
            (
                choice(None, Some("prod"), None),
                choice(Some("https://cp:1"), None, dir),
                None,
                None,
                "https://prod:1",
                "hp_prod",
            ),
            (choice(None, Some("prod"), None), none(), Some("hp_x"), None, "https://prod:1", "hp_prod"),
            (none(), choice(None, Some("test"), dir), None, Some("prod"), "https://test:1", "hp_test"),
            (none(), none(), None, Some("prod"), "https://prod:1", "hp_prod"),
            (none(), none(), Some("hp_x"), Some("prod"), "https://prod:1", "hp_prod"),
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
        assert!(matches!(find(Some("https://cp"), None, None), EndpointError::NoToken(_)));
        assert!(matches!(find(Some("https://cp"), None, Some("a b")), EndpointError::BadToken));
        assert!(matches!(find(Some("https://cp"), Some("prod"), Some("x")), EndpointError::Both));
        assert!(matches!(find(None, Some("a/b"), None), EndpointError::BadContext(_)));
        let unknown = find(None, Some("prd"), None).to_string();
        assert!(unknown.contains("prod, test") && unknown.contains("hostplane context add prd"), "{unknown}");
        for bad in
            ["", "cp:7070", "https://", "https://cp/api", "http://u:p@cp", "http://cp/api", "http://cp?x", "ftp://cp"]
        {
            assert!(matches!(find(Some(bad), None, Some("x")), EndpointError::BadAddress), "{bad:?}");
        }
    }

    #[test]
    fn a_token_goes_to_another_machine_encrypted_or_if_asked() {
        let dir = TempDir::new().unwrap();
        let plain = || EndpointChoice { plain_http: true, ..EndpointChoice::default() };
        let none = EndpointChoice::default;
        let find = |flags: EndpointChoice, environment: EndpointChoice, contexts: Contexts| {
            Endpoint::find(&flags, &environment, Some("hp_x"), || Ok(contexts))
        };
        let api = |address: &str| choice(Some(address), None, None);
        for here in
            ["http://127.0.0.1:7070", "http://127.1.2.3", "http://[::1]:7070", "http://localhost:1", "https://cp"]
        {
            find(api(here), none(), Contexts::default()).unwrap_or_else(|error| panic!("{here}: {error}"));
        }
        for clear in ["http://cp", "http://192.0.2.1:7070", "http://[2001:db8::1]", "http://localhost.example.com"] {
            let error = find(api(clear), none(), Contexts::default()).unwrap_err();
            assert!(matches!(error, EndpointError::Clear(_)) && error.to_string().contains("--plain-http"), "{clear}");
            find(api(clear), plain(), Contexts::default()).unwrap();
            find(EndpointChoice { plain_http: true, ..api(clear) }, none(), Contexts::default()).unwrap();
        }

        let kept = |plain_http| {
            let mut contexts = Contexts::default();
            let context = Context { plain_http, ..context("http://cp:1", "hp_cp") };
            contexts.add("cp".parse().unwrap(), context, false).unwrap();
            contexts
        };
        let named = || choice(None, Some("cp"), None);
        assert!(matches!(find(named(), none(), kept(false)), Err(EndpointError::Clear(_))));
        assert!(matches!(find(named(), plain(), kept(false)), Err(EndpointError::Clear(_))), "not of the environment");
        find(EndpointChoice { plain_http: true, ..named() }, none(), kept(false)).unwrap();
        find(named(), none(), kept(true)).unwrap();

        let home = home::Home::own(&dir.path().join("home")).unwrap();
        home.announce("http://192.0.2.1:7070").unwrap();
        find(choice(None, None, Some(home.dir())), none(), Contexts::default()).expect("its control plane is here");
    }

    #[test]
    fn a_ca_is_the_flag_s_or_that_of_the_address() {
        let ca = |file: &str| EndpointChoice { ca_file: Some(file.into()), ..EndpointChoice::default() };
        let kept = || {
            let mut contexts = Contexts::default();
            let context = Context { ca_file: Some("kept".into()), ..context("https://cp", "hp_cp") };
            contexts.add("cp".parse().unwrap(), context, false).unwrap();
            contexts
        };
        let none = EndpointChoice::default;
        let named = || choice(None, Some("cp"), None);
        let api = || choice(Some("https://cp"), None, None);
        for (flags, environment, expected) in [
            (named(), none(), Some("kept")),
            (named(), ca("environment"), Some("kept")),
            (EndpointChoice { ca_file: Some("flag".into()), ..named() }, ca("environment"), Some("flag")),
            (api(), none(), None),
            (api(), ca("environment"), Some("environment")),
            (EndpointChoice { ca_file: Some("flag".into()), ..api() }, ca("environment"), Some("flag")),
        ] {
            let found = Endpoint::find(&flags, &environment, Some("hp_x"), || Ok(kept())).unwrap();
            assert_eq!(found.ca_file.as_deref(), expected.map(Path::new), "{flags:?} {environment:?}");
        }
    }
}
