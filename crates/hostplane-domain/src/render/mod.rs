//! Generated configuration: from the desired state to the text of a file. Files are never patched.

pub mod caddy;
pub mod caddy_restricted;
pub mod guard;
pub mod hooks;
pub mod nginx;
pub mod php;
pub mod php_literal;
mod probe;
mod settings_file;

pub use settings_file::{SettingsFile, SettingsSecrets, SettingsVolume};

use crate::desired::DesiredSite;

/// Renders every generated file of a site.
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

    /// A change of the generated files is reviewed as a change of the golden file.
    #[test]
    fn settings_match_the_golden_file() {
        let secrets = SettingsSecrets {
            database_password: "database-password".into(),
            keys: (0..8).map(|n| format!("key-{n}").into()).collect(),
            mail_password: None,
            probe_key: "probe-key".to_owned(),
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
