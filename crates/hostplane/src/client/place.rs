//! Where the control plane is, and the token for it.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::home::{self, HomeError};

/// A control plane's address, without a slash at its end, and the token.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub address: String,
    pub token: SecretString,
}

/// Why the place is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error(
        "no control plane is known: {} does not exist\nStart one with `make up` or `hostplane up`, go to the directory \
         where it was started, name its home with HOSTPLANE_HOME, or its address with --api URL.", .0.display()
    )]
    NotRunning(PathBuf),
    #[error("--api and HOSTPLANE_API take an address such as http://127.0.0.1:7070; only http is available")]
    BadAddress,
    #[error("there is no token: set HOSTPLANE_TOKEN, or name the control plane's home with HOSTPLANE_HOME ({} has no token)", .0.display())]
    NoToken(PathBuf),
    #[error("HOSTPLANE_TOKEN does not hold a token")]
    BadToken,
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Place {
    /// What was given wins over what the home says.
    pub fn find(home: &Path, api: Option<&str>, token: Option<&str>) -> Result<Self, PlaceError> {
        let address = match api {
            Some(api) => api.to_owned(),
            None => home::api_url(home)?.ok_or_else(|| PlaceError::NotRunning(home.join("api.url")))?,
        };
        let address = normal(&address).ok_or(PlaceError::BadAddress)?;
        let token = match token {
            Some(token) => super::token(token).ok_or(PlaceError::BadToken)?,
            None => home::read_token(home)?.ok_or_else(|| PlaceError::NoToken(home.to_owned()))?,
        };
        Ok(Self { address, token })
    }
}

fn normal(address: &str) -> Option<String> {
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

    #[test]
    fn what_is_given_wins_over_the_home() {
        let dir = TempDir::new().unwrap();
        let home = home::Home::own(&dir.path().join("home")).unwrap();
        let in_home = home.token().unwrap();
        home.announce("http://127.0.0.1:7070").unwrap();
        let found = Place::find(home.dir(), None, None).unwrap();
        assert_eq!(found.address, "http://127.0.0.1:7070");
        assert_eq!(found.token.expose_secret(), in_home.expose_secret());
        let given = Place::find(home.dir(), Some("http://cp:1/"), Some("hp_x")).unwrap();
        assert_eq!((given.address.as_str(), given.token.expose_secret()), ("http://cp:1", "hp_x"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let dir = TempDir::new().unwrap();
        let find = |api, token| Place::find(dir.path(), api, token).unwrap_err();
        assert!(matches!(find(None, None), PlaceError::NotRunning(_)));
        assert!(matches!(find(Some("http://cp"), None), PlaceError::NoToken(_)));
        assert!(matches!(find(Some("http://cp"), Some("a b")), PlaceError::BadToken));
        for bad in ["", "cp:7070", "https://cp", "http://u:p@cp", "http://cp/api", "http://cp?x", "ftp://cp"] {
            assert!(matches!(find(Some(bad), Some("x")), PlaceError::BadAddress), "{bad:?}");
        }
    }
}
