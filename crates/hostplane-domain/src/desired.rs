//! What one site should be. It holds no secret and no identity of a job, so it can be stored, compared
//! and hashed.

use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::details::{AdminEmail, AdminUser, SiteTitle};
use crate::mark::SiteRef;
use crate::secret::Keyring;
use crate::url::SiteUrl;

/// What a site is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredSite {
    /// Which site.
    pub site: SiteRef,
    /// The site's own subnet.
    pub subnet: Ipv4Net,
    /// Where visitors reach it.
    pub url: SiteUrl,
    /// What its first administrator sees.
    pub wordpress: WordpressDetails,
    /// The images of its containers.
    pub images: SiteImages,
    /// What it may use.
    pub limits: SiteLimits,
    /// How its PHP runs. What was stored before there was a choice has the defaults.
    #[serde(default)]
    pub php: PhpSettings,
    /// Who takes its mail. Without it, and in what was stored before there was a choice, it sends none.
    #[serde(default)]
    pub mail: Option<MailRelay>,
    /// The network that it shares with Caddy, by name.
    pub shared_network: String,
    /// `host:port` of MariaDB as the site's containers see it.
    pub database_host: String,
    /// Raised to give the site new passwords.
    pub secret_version: u32,
    /// The generation of the installation's secret that they are derived from.
    #[serde(default = "first_generation")]
    pub secret_generation: u32,
    /// The generation that the first administrator's password was derived from: it is WordPress's own since.
    #[serde(default = "first_generation")]
    pub admin_generation: u32,
    /// Visitors get a maintenance page.
    #[serde(default)]
    pub suspended: bool,
}

fn first_generation() -> u32 {
    Keyring::FIRST
}

/// Title and first administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordpressDetails {
    /// The site's title.
    pub title: SiteTitle,
    /// Login name of the first administrator.
    pub admin_user: AdminUser,
    /// E-mail address of the first administrator.
    pub admin_email: AdminEmail,
}

/// Image references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteImages {
    /// PHP-FPM with WordPress's files.
    pub php: String,
    /// nginx.
    pub nginx: String,
}

/// What a site may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteLimits {
    /// The PHP container's.
    pub php: ContainerLimits,
    /// The nginx container's.
    pub nginx: ContainerLimits,
    /// PHP-FPM worker processes.
    pub php_workers: u16,
    /// Connections of the database user.
    pub database_connections: u16,
    /// Largest uploaded file, in MiB: nginx, PHP and the room for temporary files follow it, and Caddy sets no
    /// limit of its own.
    pub upload_mib: u16,
}

/// How a site's PHP runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PhpSettings {
    /// `memory_limit` of one request, in MiB.
    pub memory_mib: u16,
    /// `max_execution_time` of one request, in seconds of computing; twice as much passes on the clock at most.
    pub max_execution_seconds: u16,
    /// `max_input_vars`: fields of one form.
    pub max_input_vars: u16,
    /// Compiled code that all requests share, in MiB.
    pub opcache_mib: u16,
    /// WordPress has no editor for the code of plugins and themes.
    pub disallow_file_edit: bool,
}

/// What [`SiteLimits::upload_mib`] may be.
pub const UPLOAD_MIB: RangeInclusive<u16> = 2..=2048;

impl PhpSettings {
    /// What [`PhpSettings::memory_mib`] may be.
    pub const MEMORY_MIB: RangeInclusive<u16> = 64..=8192;
    /// What [`PhpSettings::max_execution_seconds`] may be.
    pub const EXECUTION_SECONDS: RangeInclusive<u16> = 5..=3600;
    /// What [`PhpSettings::max_input_vars`] may be.
    pub const INPUT_VARS: RangeInclusive<u16> = 1000..=u16::MAX;
    /// What [`PhpSettings::opcache_mib`] may be.
    pub const OPCACHE_MIB: RangeInclusive<u16> = 16..=1024;

    /// Memory of a container in which one request may use all that it is allowed to, in MiB.
    #[must_use]
    pub fn request_mib(&self) -> u32 {
        u32::from(self.memory_mib) + u32::from(self.opcache_mib) + WORKER_MIB
    }
}

impl Default for PhpSettings {
    fn default() -> Self {
        Self {
            memory_mib: 256,
            max_execution_seconds: 60,
            max_input_vars: 3000,
            opcache_mib: 64,
            disallow_file_edit: true,
        }
    }
}

/// The server that takes the mail of sites. Its password is a secret, and no part of what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRelay {
    /// Host name or address, as the site's containers see it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: MailTls,
    /// As whom to log in; without one nobody does.
    pub user: Option<String>,
    /// The sender of mail for which the site names none.
    pub from: Option<AdminEmail>,
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// Not at all.
    None,
    /// After a greeting in the clear; without encryption nothing is sent.
    Starttls,
    /// From the first byte.
    Tls,
}

/// What one container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerLimits {
    /// Memory, swap included, in MiB.
    pub memory_mib: u32,
    /// CPU in thousandths of a core; 0 is no limit, and more than the host has is refused.
    pub cpu_milli: u32,
    /// Processes and threads.
    pub pids: u32,
    /// Size of one log file in MiB; three are kept.
    pub log_mib: u16,
}

/// What a PHP worker needs at least, in MiB.
const WORKER_MIB: u32 = 64;
/// What nginx needs besides the uploads that it buffers, in MiB.
const NGINX_MIB: u32 = 64;
/// What surrounds the largest file in a form, in KiB.
const FORM_KIB: u32 = 64;

impl SiteLimits {
    /// Limits under which these uploads and settings fit. Uploads wait in memory, so it grows with them: twice
    /// the largest fits into each container, besides what that needs anyway.
    #[must_use]
    pub fn fitting(upload_mib: u16, php: &PhpSettings) -> Self {
        let uploads = 2 * u32::from(upload_mib);
        let php_mib = uploads + php.request_mib().max(384);
        Self {
            php: ContainerLimits { memory_mib: php_mib, cpu_milli: 1000, pids: 64, log_mib: 10 },
            nginx: ContainerLimits { memory_mib: uploads + NGINX_MIB, cpu_milli: 500, pids: 16, log_mib: 10 },
            php_workers: 5,
            database_connections: 20,
            upload_mib,
        }
    }

    /// Memory that nginx needs for uploads of this size, in MiB.
    #[must_use]
    pub fn nginx_mib(&self) -> u32 {
        2 * u32::from(self.upload_mib) + NGINX_MIB
    }

    /// The largest request body, in KiB: the largest file and the form around it.
    #[must_use]
    pub fn body_kib(&self) -> u32 {
        u32::from(self.upload_mib) * 1024 + FORM_KIB
    }

    /// PHP-FPM worker processes that the other limits have room for: memory, processes, and connections to the
    /// database, of which what runs beside the visitors keeps two.
    #[must_use]
    pub fn workers_that_fit(&self, php: &PhpSettings) -> u32 {
        let memory = self.php.memory_mib.saturating_sub(u32::from(php.opcache_mib)) / WORKER_MIB;
        let connections = u32::from(self.database_connections.saturating_sub(2));
        u32::from(self.php_workers).min(memory).min(self.php.pids / 4).min(connections).max(1)
    }
}

impl Default for SiteLimits {
    fn default() -> Self {
        Self::fitting(64, &PhpSettings::default())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ids::SiteId;
    use crate::name::SiteName;
    use uuid::Uuid;

    pub(crate) fn hello() -> DesiredSite {
        DesiredSite {
            site: SiteRef { id: SiteId::new(Uuid::from_u128(1)), name: SiteName::parse("hello").unwrap() },
            subnet: "10.213.0.0/29".parse().unwrap(),
            url: SiteUrl { host: "hello.localhost".into(), port: 8080 },
            wordpress: WordpressDetails {
                title: SiteTitle::parse("Hello").unwrap(),
                admin_user: AdminUser::parse("admin").unwrap(),
                admin_email: AdminEmail::parse("admin@hello.localhost").unwrap(),
            },
            images: SiteImages { php: "hostplane/php:1".into(), nginx: "hostplane/nginx:1".into() },
            limits: SiteLimits::default(),
            php: PhpSettings::default(),
            mail: None,
            shared_network: "hostplane".into(),
            database_host: "host.docker.internal:3306".into(),
            secret_version: 1,
            secret_generation: 1,
            admin_generation: 1,
            suspended: false,
        }
    }

    #[test]
    fn what_was_stored_before_there_was_a_choice_is_read_with_the_defaults() {
        let mut stored = serde_json::to_value(hello()).unwrap();
        stored.as_object_mut().unwrap().remove("php").unwrap();
        stored.as_object_mut().unwrap().remove("mail").unwrap();
        stored.as_object_mut().unwrap().remove("secret_generation").unwrap();
        stored.as_object_mut().unwrap().remove("admin_generation").unwrap();
        assert_eq!(serde_json::from_value::<DesiredSite>(stored.clone()).unwrap(), hello());
        stored["php"] = serde_json::json!({ "memory_mib": 512 });
        let php = serde_json::from_value::<DesiredSite>(stored).unwrap().php;
        assert_eq!(php, PhpSettings { memory_mib: 512, ..PhpSettings::default() });
    }

    #[test]
    fn memory_grows_with_uploads_and_with_what_one_request_may_use() {
        let php = PhpSettings::default();
        let memory = |limits: SiteLimits| (limits.php.memory_mib, limits.nginx.memory_mib);
        assert_eq!(memory(SiteLimits::default()), (512, 192));
        assert_eq!(memory(SiteLimits::fitting(256, &php)), (896, 576));
        assert_eq!(memory(SiteLimits::fitting(64, &PhpSettings { memory_mib: 1024, ..php })), (1280, 192));
        assert_eq!(SiteLimits::default().body_kib(), 64 * 1024 + 64);
    }

    #[test]
    fn there_are_no_more_workers_than_each_limit_has_room_for() {
        let php = PhpSettings::default();
        let workers = |change: fn(&mut SiteLimits)| {
            let mut limits = SiteLimits { php_workers: 50, database_connections: 100, ..SiteLimits::default() };
            (limits.php.memory_mib, limits.php.pids) = (10_000, 1000);
            change(&mut limits);
            limits.workers_that_fit(&php)
        };
        assert_eq!(SiteLimits::default().workers_that_fit(&php), 5);
        assert_eq!(workers(|_| {}), 50);
        assert_eq!(workers(|limits| limits.php.memory_mib = 64 + 3 * 64), 3);
        assert_eq!(workers(|limits| limits.php.pids = 16), 4);
        assert_eq!(workers(|limits| limits.database_connections = 9), 7);
        assert_eq!(workers(|limits| limits.php.memory_mib = 1), 1, "a site without workers would not answer");
    }
}
