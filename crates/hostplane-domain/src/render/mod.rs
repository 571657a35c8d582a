//! Generated configuration: from the desired state to the text of a file. Nothing is ever patched.

pub mod caddy;
pub mod guard;
pub mod hooks;
pub mod nginx;
pub mod php;

use secrecy::SecretString;

use crate::desired::DesiredSite;
use crate::naming;

/// The volume that a generated file goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingsVolume {
    /// PHP's.
    Php,
    /// nginx's.
    Nginx,
}

impl SettingsVolume {
    /// Both.
    pub const ALL: &[Self] = &[Self::Php, Self::Nginx];

    /// Where the writer container has it, below [`naming::WRITER_DIR`].
    #[must_use]
    pub const fn writer_subdir(self) -> &'static str {
        match self {
            Self::Php => "php",
            Self::Nginx => "nginx",
        }
    }

    /// Where the serving container has it.
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
    /// In which volume.
    pub volume: SettingsVolume,
    /// Its name there.
    pub name: &'static str,
    /// The only user (and group) that may read it; nobody may write it.
    pub uid: u32,
    /// May hold secrets.
    pub contents: SecretString,
}

/// The secrets that a site's settings hold.
pub struct SettingsSecrets {
    /// The database user's password.
    pub database_password: SecretString,
    /// WordPress's keys and salts: [`php::KEY_NAMES`] gives their order.
    pub keys: Vec<SecretString>,
    /// The mail server's password.
    pub mail_password: Option<SecretString>,
}

/// All generated files of a site.
#[must_use]
pub fn settings(want: &DesiredSite, secrets: &SettingsSecrets) -> Vec<SettingsFile> {
    vec![
        SettingsFile {
            volume: SettingsVolume::Php,
            name: "php-fpm.conf",
            uid: 33,
            contents: php::fpm_conf(&want.limits, &want.wordpress().php).into(),
        },
        SettingsFile {
            volume: SettingsVolume::Php,
            name: "php.ini",
            uid: 33,
            contents: php::ini(&want.wordpress().php).into(),
        },
        SettingsFile {
            volume: SettingsVolume::Php,
            name: "wp-config.php",
            uid: 33,
            contents: php::wp_config(want, secrets),
        },
        SettingsFile { volume: SettingsVolume::Php, name: hooks::FILE, uid: 33, contents: hooks::file(want, secrets) },
        SettingsFile {
            volume: SettingsVolume::Nginx,
            name: "default.conf",
            uid: 101,
            contents: nginx::server_block(want).into(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn each_volume_has_its_places() {
        assert_eq!((SettingsVolume::Php.writer_subdir(), SettingsVolume::Nginx.writer_subdir()), ("php", "nginx"));
        assert_eq!(SettingsVolume::Php.serving_dir(), naming::PHP_SETTINGS_DIR);
        assert_eq!(SettingsVolume::Nginx.serving_dir(), naming::NGINX_SETTINGS_DIR);
    }

    /// What is generated is what was reviewed: a change of it is a change of this file.
    #[test]
    fn golden_files() {
        let secrets = SettingsSecrets {
            database_password: "database-password".into(),
            keys: (0..8).map(|n| format!("key-{n}").into()).collect(),
            mail_password: None,
        };
        let files: Vec<String> = settings(&crate::desired::tests::hello(), &secrets)
            .iter()
            .map(|file| {
                format!("==> {:?} {} ({})\n{}", file.volume, file.name, file.uid, file.contents.expose_secret())
            })
            .collect();
        assert_eq!(files.concat(), include_str!("settings.golden"));
    }
}
