//! Generated files of a site, and the secrets that they hold.

use secrecy::SecretString;

use crate::naming;

/// Volume of a generated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingsVolume {
    /// PHP's.
    Php,
    /// nginx's.
    Nginx,
}

impl SettingsVolume {
    /// Every volume.
    pub const ALL: &[Self] = &[Self::Php, Self::Nginx];

    /// Directory in the writer container, below [`naming::WRITER_DIR`].
    #[must_use]
    pub const fn writer_subdir(self) -> &'static str {
        match self {
            Self::Php => "php",
            Self::Nginx => "nginx",
        }
    }

    /// Directory in the serving container.
    #[must_use]
    pub const fn serving_dir(self) -> &'static str {
        match self {
            Self::Php => naming::PHP_SETTINGS_DIR,
            Self::Nginx => naming::NGINX_SETTINGS_DIR,
        }
    }
}

/// A generated file.
#[derive(Debug, Clone)]
pub struct SettingsFile {
    /// The file's volume.
    pub volume: SettingsVolume,
    /// The file's name in the volume.
    pub name: &'static str,
    /// The only user and group that may read the file; no user may write it.
    pub uid: u32,
    /// Contents, which may hold secrets.
    pub contents: SecretString,
}

/// The secrets that a site's settings hold.
pub struct SettingsSecrets {
    /// The database user's password.
    pub database_password: SecretString,
    /// WordPress's keys and salts, in the order of `php::KEY_NAMES`.
    pub keys: Vec<SecretString>,
    /// The mail server's password.
    pub mail_password: Option<SecretString>,
    /// The public half of the key that signs questions to WordPress. It is no secret; it changes with those.
    pub probe_key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_volume_has_its_directories() {
        assert_eq!((SettingsVolume::Php.writer_subdir(), SettingsVolume::Nginx.writer_subdir()), ("php", "nginx"));
        assert_eq!(SettingsVolume::Php.serving_dir(), naming::PHP_SETTINGS_DIR);
        assert_eq!(SettingsVolume::Nginx.serving_dir(), naming::NGINX_SETTINGS_DIR);
    }
}
