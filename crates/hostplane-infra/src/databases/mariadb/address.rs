//! Address of the server and the administrator's account: `WP_DSN`.

use std::fmt;
use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

const DEFAULT_PORT: u16 = 3306;

/// Address of the server with the administrator's credentials. The password is never printed.
#[derive(Clone)]
pub struct MariadbAddress {
    host: String,
    port: u16,
    user: String,
    password: SecretString,
    tls: Tls,
}

/// Encryption of the connection.
#[derive(Clone)]
struct Tls {
    mode: MySqlSslMode,
    /// A file with the certificate authority's certificate in PEM form.
    ca: Option<String>,
}

impl Tls {
    const OFF: Self = Self { mode: MySqlSslMode::Disabled, ca: None };
}

/// Fault of an address. No variant holds any part of the text, which may be the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Neither of the two forms.
    #[error("expected mysql://user:password@host:port or user:password@tcp(host:port)/")]
    Form,
    /// The user is missing.
    #[error("the address of the database server names no user")]
    NoUser,
    /// The host is missing.
    #[error("the address of the database server names no host")]
    NoHost,
    /// The port is not a number from 1 to 65535.
    #[error("the port of the database server is not a number from 1 to 65535")]
    BadPort,
    /// A `%` that two hexadecimal digits don't follow, or bytes that aren't UTF-8.
    #[error("the address of the database server is not encoded as a URL must be: write % as %25")]
    BadEncoding,
    /// An unknown mode of TLS, or a CA that the mode ignores.
    #[error(
        "the address of the database server asks for an unknown kind of TLS: ssl-mode is DISABLED, PREFERRED, REQUIRED, \
         VERIFY_CA or VERIFY_IDENTITY (in Go's form, tls is false, preferred, skip-verify or true), and ssl-ca needs one \
         of the last two"
    )]
    BadTls,
}

impl MariadbAddress {
    /// An address from its parts.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, user: impl Into<String>, password: SecretString) -> Self {
        Self { host: host.into(), port, user: user.into(), password, tls: Tls::OFF }
    }

    /// Parses one of two forms. In the URL `mysql://user:password@host:port`, user and password may be percent-encoded.
    /// In the form of Go's driver, `user:password@tcp(host:port)/`, nothing is encoded, and the password may contain
    /// `@` and `:`. Of the query, only the parameters about TLS are read: `ssl-mode` with the values of the server's
    /// own programs, `ssl-ca` (a file), and Go's `tls`.
    ///
    /// # Errors
    /// [`BadAddress`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://")) {
            return Self::parse_url(rest);
        }
        let (credentials, rest) = text.rsplit_once("@tcp(").ok_or(BadAddress::Form)?;
        let (place, rest) = rest.split_once(')').ok_or(BadAddress::Form)?;
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        Self::from_texts(place, user.to_owned(), password.to_owned(), tls_of(rest)?)
    }

    fn parse_url(rest: &str) -> Result<Self, BadAddress> {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (credentials, place) = authority.rsplit_once('@').ok_or(BadAddress::NoUser)?;
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let tls = tls_of(&rest[authority.len()..])?;
        Self::from_texts(place, percent_decode(user)?, percent_decode(password)?, tls)
    }

    fn from_texts(place: &str, user: String, password: String, tls: Tls) -> Result<Self, BadAddress> {
        let (host, port) = split_port(place)?;
        if user.is_empty() {
            return Err(BadAddress::NoUser);
        }
        if host.is_empty() {
            return Err(BadAddress::NoHost);
        }
        Ok(Self { tls, ..Self::new(host, port, user, password.into()) })
    }

    /// The host, as the control plane sees it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True if the address is one of the control plane's own machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// `host:port`, with brackets where they are needed.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The administrator's user name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Replaces the password.
    pub(super) fn with_password(&self, password: &SecretString) -> Self {
        Self { password: password.clone(), ..self.clone() }
    }

    pub(super) fn password(&self) -> &SecretString {
        &self.password
    }

    /// Connection options. Statements are not logged, as some hold a tenant's hash.
    pub(super) fn options(&self) -> MySqlConnectOptions {
        let options = MySqlConnectOptions::new()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .password(self.password.expose_secret())
            .ssl_mode(self.tls.mode)
            .disable_statement_logging();
        match &self.tls.ca {
            Some(file) => options.ssl_ca(file),
            None => options,
        }
    }
}

impl fmt::Display for MariadbAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mysql://{}@{}", self.user, self.authority())
    }
}

impl fmt::Debug for MariadbAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MariadbAddress({self})")
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_port(place: &str) -> Result<(&str, u16), BadAddress> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(BadAddress::NoHost)?;
            (host, port.strip_prefix(':'))
        }
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(digits) => digits.parse().ok().filter(|&port| port != 0).ok_or(BadAddress::BadPort)?,
    };
    Ok((host, port))
}

/// Parses the parameters about TLS after the host: `/database?name=value&name=value`.
fn tls_of(rest: &str) -> Result<Tls, BadAddress> {
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let mut tls = Tls::OFF;
    for (name, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
        match name {
            "ssl-mode" | "sslmode" => tls.mode = value.parse().map_err(|_| BadAddress::BadTls)?,
            "ssl-ca" => tls.ca = Some(percent_decode(value)?),
            "tls" => {
                tls.mode = match value {
                    "true" => MySqlSslMode::VerifyIdentity,
                    "skip-verify" => MySqlSslMode::Required,
                    "preferred" => MySqlSslMode::Preferred,
                    "false" => MySqlSslMode::Disabled,
                    _ => return Err(BadAddress::BadTls),
                }
            }
            _ => {}
        }
    }
    let verifies = matches!(tls.mode, MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity);
    if tls.ca.is_some() && !verifies { Err(BadAddress::BadTls) } else { Ok(tls) }
}

fn percent_decode(text: &str) -> Result<String, BadAddress> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
            let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                return Err(BadAddress::BadEncoding);
            };
            bytes.push(u8::try_from(high * 16 + low).map_err(|_| BadAddress::BadEncoding)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| BadAddress::BadEncoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u16, String, String) {
        let address = MariadbAddress::parse(text).unwrap();
        (address.host, address.port, address.user, address.password.expose_secret().to_owned())
    }

    #[test]
    fn both_forms_are_read() {
        for (text, host, port, user, password) in [
            ("mysql://root:secret@127.0.0.1:33060", "127.0.0.1", 33060, "root", "secret"),
            ("mysql://root:p%40s%3A%25%2f@db/", "db", 3306, "root", "p@s:%/"),
            ("mysql://root:p@ss@db:1/x?y=z", "db", 1, "root", "p@ss"),
            ("mysql://root@[::1]:3307", "::1", 3307, "root", ""),
            ("mysql://root:x@[::1]", "::1", 3306, "root", "x"),
            ("root:secret@tcp(127.0.0.1:3306)/", "127.0.0.1", 3306, "root", "secret"),
            ("root:p@ss:w%41rd@tcp(db:3306)/?parseTime=true", "db", 3306, "root", "p@ss:w%41rd"),
            ("root:a@tcp(b)@tcp([::1]:3306)/", "::1", 3306, "root", "a@tcp(b)"),
            ("root@tcp(db)/", "db", 3306, "root", ""),
        ] {
            let expected = (host.to_owned(), port, user.to_owned(), password.to_owned());
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_never_quote_the_address() {
        for (text, why) in [
            ("", BadAddress::Form),
            ("root:secret@db:3306", BadAddress::Form),
            ("root:secret@tcp(db:3306", BadAddress::Form),
            ("mysql://db:3306", BadAddress::NoUser),
            ("mysql://:secret@db", BadAddress::NoUser),
            ("mysql://root:secret@", BadAddress::NoHost),
            ("mysql://root:secret@:3306", BadAddress::NoHost),
            ("mysql://root:secret@db:0", BadAddress::BadPort),
            ("mysql://root:secret@db:99999", BadAddress::BadPort),
            ("mysql://root:secret@db:", BadAddress::BadPort),
            ("mysql://root:100%@db", BadAddress::BadEncoding),
            ("mysql://root:%ff@db", BadAddress::BadEncoding),
        ] {
            let error = MariadbAddress::parse(text).unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn tls_is_off_unless_a_parameter_enables_it() {
        use MySqlSslMode as Mode;
        for (text, mode, ca) in [
            ("mysql://root:x@db", Mode::Disabled, None),
            ("mysql://root:x@db/?ssl-mode=REQUIRED", Mode::Required, None),
            ("mysql://root:x@db?sslmode=preferred&a=b", Mode::Preferred, None),
            ("mysql://root:x@db/d?ssl-mode=verify_ca&ssl-ca=/a%20b.pem#x", Mode::VerifyCa, Some("/a b.pem")),
            ("root:x@tcp(db:3306)/?ssl-ca=/ca.pem&tls=true", Mode::VerifyIdentity, Some("/ca.pem")),
            ("root:x@tcp(db:3306)/?tls=skip-verify", Mode::Required, None),
            ("root:?tls=true@tcp(db:3306)/", Mode::Disabled, None),
        ] {
            let tls = MariadbAddress::parse(text).unwrap().tls;
            assert_eq!(format!("{:?} {:?}", tls.mode, tls.ca.as_deref()), format!("{mode:?} {ca:?}"), "{text}");
        }
        for text in [
            "mysql://root:secret@db?ssl-mode=yes",
            "root:secret@tcp(db)/?tls=custom",
            // This mode ignores the CA.
            "mysql://root:secret@db?ssl-mode=REQUIRED&ssl-ca=/ca.pem",
        ] {
            assert_eq!(MariadbAddress::parse(text).unwrap_err(), BadAddress::BadTls, "{text}");
        }
    }

    #[test]
    fn loopback_addresses_are_recognised() {
        for (host, loopback) in [("localhost", true), ("127.0.0.2", true), ("[::1]", true), ("10.0.0.3", false)] {
            let address = MariadbAddress::parse(&format!("mysql://root:x@{host}:3306")).unwrap();
            assert_eq!(address.is_loopback(), loopback, "{host}");
            assert_eq!(address.authority(), format!("{host}:3306"));
        }
    }

    #[test]
    fn the_password_is_not_printed() {
        let address = MariadbAddress::parse("root:s3cret@tcp(db:3306)/").unwrap();
        assert_eq!(address.to_string(), "mysql://root@db:3306");
        assert_eq!(format!("{address:?}"), "MariadbAddress(mysql://root@db:3306)");
    }
}
