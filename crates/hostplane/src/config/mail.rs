//! The server that takes the sites' mail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use hostplane_domain::wordpress::MailRelay;
use secrecy::SecretString;

use super::settings::Settings;

/// Permission bits of group and others.
const NOT_THE_OWNER_S: u32 = 0o077;
/// No password is longer, in bytes.
const LONGEST: usize = 1024;

/// An invalid setting of mail. No variant holds the password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MailError {
    #[error("{0} is set and {1} is not; set both, or neither if the mail server wants no password")]
    OneOfTwo(&'static str, &'static str),
    #[error("SMTP_PASSWORD_FILE: can't read {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("SMTP_PASSWORD_FILE: others can read {}; `chmod go= {}` takes that from them", .0.display(), .0.display())]
    Open(PathBuf),
    #[error("SMTP_PASSWORD_FILE: {} does not hold one line of at most {LONGEST} bytes", .0.display())]
    Malformed(PathBuf),
}

/// The server that takes the sites' mail.
pub(super) fn relay(settings: &Settings) -> Option<MailRelay> {
    Some(MailRelay {
        host: settings.smtp_host.clone()?,
        port: settings.smtp_port,
        tls: settings.smtp_tls.into(),
        user: settings.smtp_user.clone(),
        from: settings.mail_from.clone(),
    })
}

/// The password of the mail server, from the file.
pub(super) fn password(settings: &Settings) -> Result<Option<SecretString>, MailError> {
    let path = match (&settings.smtp_user, &settings.smtp_password_file) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(MailError::OneOfTwo("SMTP_USER", "SMTP_PASSWORD_FILE")),
        (None, Some(_)) => return Err(MailError::OneOfTwo("SMTP_PASSWORD_FILE", "SMTP_USER")),
        (Some(_), Some(path)) => path,
    };
    let unreadable = |error: std::io::Error| MailError::Unreadable { path: path.clone(), why: error.to_string() };
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & NOT_THE_OWNER_S != 0 {
        return Err(MailError::Open(path.clone()));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let line = text.trim_end_matches(['\r', '\n']);
    let is_whole = !line.is_empty() && line.len() <= LONGEST && !line.chars().any(char::is_control);
    if is_whole { Ok(Some(line.into())) } else { Err(MailError::Malformed(path.clone())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, Command, FromArgMatches};
    use hostplane_domain::wordpress::MailTls;
    use secrecy::ExposeSecret;

    fn settings(flags: &[&str]) -> Settings {
        let command = Settings::augment_args(Command::new("hostplane"));
        let flags = std::iter::once("hostplane").chain(flags.iter().copied());
        Settings::from_arg_matches(&command.try_get_matches_from(flags).unwrap()).unwrap()
    }

    #[test]
    fn the_relay_follows_the_host() {
        assert_eq!(relay(&settings(&[])), None);
        let set = settings(&["--smtp-host", "mail.example.com", "--smtp-tls", "tls", "--smtp-port", "465"]);
        let relay = relay(&set).unwrap();
        assert_eq!((relay.host.as_str(), relay.port, relay.tls), ("mail.example.com", 465, MailTls::Tls));
        assert_eq!((relay.user, relay.from), (None, None));
    }

    #[test]
    fn the_password_s_file_is_private() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("password");
        let flags = ["--smtp-user", "me", "--smtp-password-file", path.to_str().unwrap()];
        let read = || password(&settings(&flags)).map(|found| found.unwrap().expose_secret().to_owned());
        assert!(matches!(read(), Err(MailError::Unreadable { .. })));
        fs::write(&path, "s3cret word\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(), Err(MailError::Open(path.clone())));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read().unwrap(), "s3cret word");
        for bad in ["", "\n", "two\nlines", &"x".repeat(LONGEST + 1)] {
            fs::write(&path, bad).unwrap();
            assert_eq!(read(), Err(MailError::Malformed(path.clone())), "{bad:?}");
        }
    }

    #[test]
    fn user_and_password_are_set_together() {
        assert!(password(&settings(&[])).unwrap().is_none());
        let alone = password(&settings(&["--smtp-user", "me"])).unwrap_err();
        assert_eq!(alone, MailError::OneOfTwo("SMTP_USER", "SMTP_PASSWORD_FILE"));
        let alone = password(&settings(&["--smtp-password-file", "/nowhere"])).unwrap_err();
        assert_eq!(alone, MailError::OneOfTwo("SMTP_PASSWORD_FILE", "SMTP_USER"));
    }
}
