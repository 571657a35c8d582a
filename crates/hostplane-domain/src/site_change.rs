//! Changes of an existing site: from one desired state to another.

use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::desired::{ContainerLimits, DesiredSite, SiteLimits, UPLOAD_MIB};
use crate::job::OperationName;
use crate::site_kind::SiteKind;
use crate::wordpress::{MailRelay, PhpSettings, SiteImages};

/// A change ordered by the operator. Applied to a desired state, it gives the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteChange {
    /// Other limits, and other settings of PHP.
    Settings(SettingsPatch),
    /// Images and mail relay of new sites, in place of those that this site was made with.
    Upgrade {
        /// The images of its containers.
        images: SiteImages,
        /// The mail relay.
        mail: Option<MailRelay>,
    },
    /// Visitors get a maintenance page, or the site again.
    Suspended(bool),
    /// The site takes no new data, or data again.
    Restricted(bool),
    /// New passwords and keys for the log-ins of the site's containers.
    Secrets {
        /// The generation of the installation's secret that they are derived from.
        generation: u32,
    },
}

impl SiteChange {
    /// The operation that carries out the change.
    #[must_use]
    pub const fn operation(&self) -> OperationName {
        match self {
            Self::Settings(_) => OperationName::Update,
            Self::Upgrade { .. } => OperationName::Upgrade,
            Self::Suspended(true) => OperationName::Suspend,
            Self::Suspended(false) => OperationName::Resume,
            Self::Restricted(true) => OperationName::Restrict,
            Self::Restricted(false) => OperationName::Lift,
            Self::Secrets { .. } => OperationName::Rotate,
        }
    }

    /// Derives the desired state after the change.
    ///
    /// # Errors
    /// [`RefusedSetting`] for a setting outside its bounds or those that other settings leave, or that the kind of site
    /// doesn't have.
    pub fn apply(&self, before: &DesiredSite) -> Result<DesiredSite, RefusedSetting> {
        let mut after = before.clone();
        match self {
            Self::Settings(patch) => {
                after.limits = patch.limits.apply(&before.limits);
                let kind = after.kind.kind();
                let php = match after.kind.wordpress_mut() {
                    Some(wordpress) => {
                        wordpress.php = patch.php.apply(wordpress.php);
                        wordpress.php
                    }
                    None if patch.php == PhpPatch::default() => PhpSettings::default(),
                    None => return Err(RefusedSetting { field: "php", why: Refusal::NotOfKind(kind) }),
                };
                check_php(&php)?;
                check_limits(&after.limits, &php)?;
            }
            Self::Upgrade { images, mail } => after.kind.upgrade(images, mail.as_ref()),
            Self::Suspended(suspended) => after.suspended = *suspended,
            Self::Restricted(restricted) => after.restricted = *restricted,
            Self::Secrets { generation } => {
                after.secret_version = before.secret_version.saturating_add(1);
                after.secret_generation = *generation;
            }
        }
        Ok(after)
    }
}

/// Settings to change; those left out stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettingsPatch {
    /// Resource limits.
    pub limits: LimitsPatch,
    /// PHP's settings.
    pub php: PhpPatch,
}

/// Limits to change; those left out stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsPatch {
    /// Limits of the PHP container.
    #[serde(default)]
    pub php: ContainerPatch,
    /// Limits of the nginx container.
    #[serde(default)]
    pub nginx: ContainerPatch,
    /// See [`SiteLimits::php_workers`].
    pub php_workers: Option<u16>,
    /// See [`SiteLimits::database_connections`].
    pub database_connections: Option<u16>,
    /// See [`SiteLimits::upload_mib`].
    pub upload_mib: Option<u16>,
}

/// Limits of one container to change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerPatch {
    /// See [`ContainerLimits::memory_mib`].
    pub memory_mib: Option<u32>,
    /// See [`ContainerLimits::cpu_milli`].
    pub cpu_milli: Option<u32>,
    /// See [`ContainerLimits::pids`].
    pub pids: Option<u32>,
    /// See [`ContainerLimits::log_mib`].
    pub log_mib: Option<u16>,
}

/// PHP settings to change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhpPatch {
    /// See [`PhpSettings::memory_mib`].
    pub memory_mib: Option<u16>,
    /// See [`PhpSettings::max_execution_seconds`].
    pub max_execution_seconds: Option<u16>,
    /// See [`PhpSettings::max_input_vars`].
    pub max_input_vars: Option<u16>,
    /// See [`PhpSettings::opcache_mib`].
    pub opcache_mib: Option<u16>,
    /// See [`PhpSettings::disallow_file_edit`].
    pub disallow_file_edit: Option<bool>,
}

/// A setting that is refused. The message is for the caller who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct RefusedSetting {
    /// The setting's path, such as `limits.php.memory_mib`.
    pub field: &'static str,
    why: Refusal,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("is from {least} to {most}{because}")]
    OutOfBounds { least: u32, most: u32, because: &'static str },
    #[error("is a setting that sites of kind {0} don't have")]
    NotOfKind(SiteKind),
}

/// Most PHP workers of a site.
const MOST_WORKERS: u16 = 240;
/// Most memory of a container, in MiB: 1 TiB.
const MOST_MEMORY_MIB: u32 = 1 << 20;
/// Fewest processes of a container: the master, a worker, and one for an exec.
const LEAST_PIDS: u32 = 8;

impl LimitsPatch {
    fn apply(&self, before: &SiteLimits) -> SiteLimits {
        SiteLimits {
            php: self.php.apply(before.php),
            nginx: self.nginx.apply(before.nginx),
            php_workers: self.php_workers.unwrap_or(before.php_workers),
            database_connections: self.database_connections.unwrap_or(before.database_connections),
            upload_mib: self.upload_mib.unwrap_or(before.upload_mib),
        }
    }
}

impl ContainerPatch {
    fn apply(self, before: ContainerLimits) -> ContainerLimits {
        ContainerLimits {
            memory_mib: self.memory_mib.unwrap_or(before.memory_mib),
            cpu_milli: self.cpu_milli.unwrap_or(before.cpu_milli),
            pids: self.pids.unwrap_or(before.pids),
            log_mib: self.log_mib.unwrap_or(before.log_mib),
        }
    }
}

impl PhpPatch {
    fn apply(self, before: PhpSettings) -> PhpSettings {
        PhpSettings {
            memory_mib: self.memory_mib.unwrap_or(before.memory_mib),
            max_execution_seconds: self.max_execution_seconds.unwrap_or(before.max_execution_seconds),
            max_input_vars: self.max_input_vars.unwrap_or(before.max_input_vars),
            opcache_mib: self.opcache_mib.unwrap_or(before.opcache_mib),
            disallow_file_edit: self.disallow_file_edit.unwrap_or(before.disallow_file_edit),
        }
    }
}

fn within(
    field: &'static str,
    value: impl Into<u32>,
    bounds: RangeInclusive<u32>,
    because: &'static str,
) -> Result<(), RefusedSetting> {
    let (least, most) = bounds.into_inner();
    if (least..=most).contains(&value.into()) {
        return Ok(());
    }
    Err(RefusedSetting { field, why: Refusal::OutOfBounds { least, most, because } })
}

fn wide(bounds: &RangeInclusive<u16>) -> RangeInclusive<u32> {
    u32::from(*bounds.start())..=u32::from(*bounds.end())
}

fn check_php(php: &PhpSettings) -> Result<(), RefusedSetting> {
    within("php.memory_mib", php.memory_mib, wide(&PhpSettings::MEMORY_MIB), "")?;
    within("php.max_execution_seconds", php.max_execution_seconds, wide(&PhpSettings::EXECUTION_SECONDS), "")?;
    within("php.max_input_vars", php.max_input_vars, wide(&PhpSettings::INPUT_VARS), "")?;
    within("php.opcache_mib", php.opcache_mib, wide(&PhpSettings::OPCACHE_MIB), "")
}

fn check_limits(limits: &SiteLimits, php: &PhpSettings) -> Result<(), RefusedSetting> {
    within("limits.upload_mib", limits.upload_mib, wide(&UPLOAD_MIB), "")?;
    let request = " with what one request may use: php.memory_mib, php.opcache_mib and PHP itself";
    within("limits.php.memory_mib", limits.php.memory_mib, php.request_mib()..=MOST_MEMORY_MIB, request)?;
    let buffers = " for uploads of that size: two are buffered in memory";
    within("limits.nginx.memory_mib", limits.nginx.memory_mib, limits.nginx_mib()..=MOST_MEMORY_MIB, buffers)?;
    within("limits.php.pids", limits.php.pids, LEAST_PIDS..=4096, "")?;
    within("limits.nginx.pids", limits.nginx.pids, LEAST_PIDS..=4096, "")?;
    within("limits.database_connections", limits.database_connections, 4..=250, "")?;
    // PHP-FPM would start fewer workers without an error.
    let room = SiteLimits { php_workers: MOST_WORKERS, ..*limits }.workers_that_fit(php);
    let fit = if room < MOST_WORKERS.into() {
        " with this memory and these processes of the PHP container and these database connections"
    } else {
        ""
    };
    within("limits.php_workers", limits.php_workers, 1..=room, fit)?;
    // 0 is no limit; the Engine refuses more cores than its host has.
    within("limits.php.cpu_milli", limits.php.cpu_milli, 0..=256_000, "")?;
    within("limits.nginx.cpu_milli", limits.nginx.cpu_milli, 0..=256_000, "")?;
    within("limits.php.log_mib", limits.php.log_mib, 1..=1024, "")?;
    within("limits.nginx.log_mib", limits.nginx.log_mib, 1..=1024, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::{hello, wordpress};
    use crate::site_kind::KindSpec;
    use crate::wordpress::{MailTls, WordpressSpec};

    fn with(wordpress: WordpressSpec) -> DesiredSite {
        DesiredSite { kind: KindSpec::Wordpress(wordpress), ..hello() }
    }

    fn patched(limits: &str, php: &str) -> Result<DesiredSite, RefusedSetting> {
        let patch =
            SettingsPatch { limits: serde_json::from_str(limits).unwrap(), php: serde_json::from_str(php).unwrap() };
        SiteChange::Settings(patch).apply(&hello())
    }

    #[test]
    fn default_settings_are_within_bounds() {
        assert_eq!(patched("{}", "{}").unwrap(), hello());
        for (upload, memory, opcache) in [(2, 64, 16), (2048, 8192, 1024)] {
            let php = PhpSettings { memory_mib: memory, opcache_mib: opcache, ..PhpSettings::default() };
            let made =
                DesiredSite { limits: SiteLimits::fitting(upload, &php), ..with(WordpressSpec { php, ..wordpress() }) };
            let patch = SiteChange::Settings(SettingsPatch::default());
            assert_eq!(patch.apply(&made), Ok(made), "{upload} {memory} {opcache}");
        }
    }

    #[test]
    fn a_change_keeps_everything_else() {
        let mut wanted = hello();
        wanted.limits.php.memory_mib = 1024;
        wanted.limits.upload_mib = 32;
        let php = PhpSettings { memory_mib: 512, disallow_file_edit: false, ..PhpSettings::default() };
        wanted.kind = KindSpec::Wordpress(WordpressSpec { php, ..wordpress() });
        let found = patched(
            r#"{"php":{"memory_mib":1024},"upload_mib":32}"#,
            r#"{"memory_mib":512,"disallow_file_edit":false}"#,
        );
        assert_eq!(found.unwrap(), wanted);
        let every = r#"{"memory_mib":128,"max_execution_seconds":90,"max_input_vars":1500,"opcache_mib":32}"#;
        let php = PhpSettings {
            memory_mib: 128,
            max_execution_seconds: 90,
            max_input_vars: 1500,
            opcache_mib: 32,
            disallow_file_edit: true,
        };
        assert_eq!(patched("{}", every).unwrap(), with(WordpressSpec { php, ..wordpress() }));
        let images = SiteImages { php: "php:2".into(), nginx: "nginx:2".into() };
        let relay = |host: &str| MailRelay { host: host.into(), port: 25, tls: MailTls::None, user: None, from: None };
        for mail in [None, Some(relay("mail"))] {
            let before = with(WordpressSpec { mail: Some(relay("old")), ..wordpress() });
            let upgraded = SiteChange::Upgrade { images: images.clone(), mail: mail.clone() }.apply(&before).unwrap();
            assert_eq!(upgraded, with(WordpressSpec { images: images.clone(), mail, ..wordpress() }));
        }
        let suspended = SiteChange::Suspended(true).apply(&hello()).unwrap();
        assert_eq!(suspended, DesiredSite { suspended: true, ..hello() });
        assert_eq!(SiteChange::Suspended(false).apply(&suspended).unwrap(), hello());
        let restricted = SiteChange::Restricted(true).apply(&hello()).unwrap();
        assert_eq!(restricted, DesiredSite { restricted: true, ..hello() });
        assert_eq!(SiteChange::Restricted(false).apply(&restricted).unwrap(), hello());
        let rotated = SiteChange::Secrets { generation: 3 }.apply(&hello()).unwrap();
        assert_eq!(rotated, DesiredSite { secret_version: 2, secret_generation: 3, ..hello() });
    }

    #[test]
    fn settings_out_of_bounds_are_refused() {
        for (limits, php, field) in [
            (r#"{"php_workers":0}"#, "{}", "limits.php_workers"),
            (r#"{"php_workers":8}"#, "{}", "limits.php_workers"),
            (
                r#"{"php_workers":241,"database_connections":250,"php":{"memory_mib":100000,"pids":4096}}"#,
                "{}",
                "limits.php_workers",
            ),
            (r#"{"upload_mib":1}"#, "{}", "limits.upload_mib"),
            (r#"{"upload_mib":2049}"#, "{}", "limits.upload_mib"),
            (r#"{"database_connections":3}"#, "{}", "limits.database_connections"),
            (r#"{"database_connections":6}"#, "{}", "limits.php_workers"),
            (r#"{"database_connections":251}"#, "{}", "limits.database_connections"),
            (r#"{"php":{"memory_mib":383}}"#, "{}", "limits.php.memory_mib"),
            ("{}", r#"{"memory_mib":385}"#, "limits.php.memory_mib"),
            ("{}", r#"{"opcache_mib":193}"#, "limits.php.memory_mib"),
            (r#"{"php":{"pids":7}}"#, "{}", "limits.php.pids"),
            (r#"{"php":{"pids":19}}"#, "{}", "limits.php_workers"),
            (r#"{"upload_mib":65}"#, "{}", "limits.nginx.memory_mib"),
            (r#"{"nginx":{"pids":7}}"#, "{}", "limits.nginx.pids"),
            (r#"{"php":{"cpu_milli":256001}}"#, "{}", "limits.php.cpu_milli"),
            (r#"{"nginx":{"cpu_milli":256001}}"#, "{}", "limits.nginx.cpu_milli"),
            (r#"{"php":{"log_mib":0}}"#, "{}", "limits.php.log_mib"),
            (r#"{"nginx":{"log_mib":1025}}"#, "{}", "limits.nginx.log_mib"),
            ("{}", r#"{"memory_mib":63}"#, "php.memory_mib"),
            ("{}", r#"{"max_execution_seconds":4}"#, "php.max_execution_seconds"),
            ("{}", r#"{"max_execution_seconds":3601}"#, "php.max_execution_seconds"),
            ("{}", r#"{"max_input_vars":999}"#, "php.max_input_vars"),
            ("{}", r#"{"opcache_mib":15}"#, "php.opcache_mib"),
        ] {
            let refused = patched(limits, php).unwrap_err();
            assert_eq!(refused.field, field, "{limits} {php}");
            assert!(refused.to_string().starts_with(&format!("{field} is from ")), "{refused}");
        }
        let message = |limits| patched(limits, "{}").unwrap_err().to_string();
        assert!(message(r#"{"php_workers":8}"#).contains("these database connections"), "other limits are in the way");
        let most = r#"{"php_workers":241,"database_connections":250,"php":{"memory_mib":100000,"pids":4096}}"#;
        assert!(!message(most).contains("these database connections"));
        for (limits, php) in [
            (r#"{"upload_mib":64}"#, "{}"),
            (r#"{"php_workers":7}"#, "{}"),
            (r#"{"php":{"cpu_milli":0,"memory_mib":384,"pids":20}}"#, "{}"),
            ("{}", r#"{"memory_mib":384}"#),
            (r#"{"php_workers":240,"database_connections":250,"php":{"memory_mib":100000,"pids":4096}}"#, "{}"),
        ] {
            patched(limits, php).unwrap();
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        for json in [r#"{"memory":1}"#, r#"{"php":{"memory":1}}"#, r#"{"upload_mib":-1}"#, r#"{"upload_mib":"1"}"#] {
            assert!(serde_json::from_str::<LimitsPatch>(json).is_err(), "{json}");
        }
        for json in [r#"{"memory":1}"#, r#"{"memory_mib":-1}"#, r#"{"disallow_file_edit":1}"#] {
            assert!(serde_json::from_str::<PhpPatch>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn each_change_has_its_own_operation() {
        let changes = [
            SiteChange::Settings(SettingsPatch::default()),
            SiteChange::Upgrade { images: wordpress().images, mail: None },
            SiteChange::Suspended(true),
            SiteChange::Suspended(false),
            SiteChange::Restricted(true),
            SiteChange::Restricted(false),
            SiteChange::Secrets { generation: 1 },
        ];
        let names = changes.map(|change| change.operation().as_str());
        assert_eq!(names, ["update", "upgrade", "suspend", "resume", "restrict", "lift", "rotate"]);
    }
}
