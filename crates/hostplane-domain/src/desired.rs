//! The desired state of one site. It holds no secret and no identity of a job, so it can be stored, compared
//! and hashed.

use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::ids::HostId;
use crate::mark::SiteRef;
use crate::secret::Keyring;
use crate::site_kind::KindSpec;
use crate::url::SiteUrl;
use crate::wordpress::{MailRelay, PhpSettings, SiteImages, WORKER_MIB, WordpressDetails, WordpressSpec};

/// The desired state of one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredSite")]
pub struct DesiredSite {
    /// Id and name.
    pub site: SiteRef,
    /// The host that its containers and its route are on.
    pub host: HostId,
    /// The address that visitors use.
    pub url: SiteUrl,
    /// Limits on the resources that it uses.
    pub limits: SiteLimits,
    /// The network that it shares with Caddy, by name.
    pub shared_network: String,
    /// The version of the site's passwords; a rotation raises it.
    pub secret_version: u32,
    /// The generation of the installation's secret that its passwords are derived from.
    pub secret_generation: u32,
    /// The generation that the first administrator's password was derived from. WordPress alone has changed it since.
    pub admin_generation: u32,
    /// True while visitors get a maintenance page.
    pub suspended: bool,
    /// True while its disk space is used up: its database takes no new rows, its route no uploads.
    pub restricted: bool,
    /// The part that only sites of its kind have.
    pub kind: KindSpec,
}

impl DesiredSite {
    /// The WordPress part.
    ///
    /// # Panics
    /// For a site of another kind: only resources of WordPress's blueprint call it.
    #[must_use]
    pub fn wordpress(&self) -> &WordpressSpec {
        self.kind.wordpress().expect("a WordPress site")
    }
}

/// The stored forms: the present one, and that of version 0.1, which had one kind of site on one host.
#[derive(Deserialize)]
struct StoredSite {
    site: SiteRef,
    #[serde(default)]
    host: HostId,
    url: SiteUrl,
    limits: SiteLimits,
    shared_network: String,
    secret_version: u32,
    #[serde(default = "first_generation")]
    secret_generation: u32,
    #[serde(default = "first_generation")]
    admin_generation: u32,
    #[serde(default)]
    suspended: bool,
    #[serde(default)]
    restricted: bool,
    kind: Option<KindSpec>,
    subnet: Option<Ipv4Net>,
    wordpress: Option<WordpressDetails>,
    images: Option<SiteImages>,
    #[serde(default)]
    php: PhpSettings,
    mail: Option<MailRelay>,
    database_host: Option<String>,
}

/// The error for a stored site that has neither the present form nor that of version 0.1.
#[derive(Debug, thiserror::Error)]
#[error("the stored site has no part of its kind")]
struct NoKind;

impl TryFrom<StoredSite> for DesiredSite {
    type Error = NoKind;

    fn try_from(stored: StoredSite) -> Result<Self, NoKind> {
        let kind = match stored.kind {
            Some(kind) => kind,
            None => KindSpec::Wordpress(WordpressSpec {
                subnet: stored.subnet.ok_or(NoKind)?,
                details: stored.wordpress.ok_or(NoKind)?,
                images: stored.images.ok_or(NoKind)?,
                php: stored.php,
                mail: stored.mail,
                database_host: stored.database_host.ok_or(NoKind)?,
            }),
        };
        Ok(Self {
            site: stored.site,
            host: stored.host,
            url: stored.url,
            limits: stored.limits,
            shared_network: stored.shared_network,
            secret_version: stored.secret_version,
            secret_generation: stored.secret_generation,
            admin_generation: stored.admin_generation,
            suspended: stored.suspended,
            restricted: stored.restricted,
            kind,
        })
    }
}

fn first_generation() -> u32 {
    Keyring::FIRST
}

/// The limits of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteLimits {
    /// Limits of the PHP container.
    pub php: ContainerLimits,
    /// Limits of the nginx container.
    pub nginx: ContainerLimits,
    /// Most PHP-FPM worker processes.
    pub php_workers: u16,
    /// Most connections of the database user.
    pub database_connections: u16,
    /// Largest uploaded file, in MiB. nginx, PHP and the room for temporary files follow it; Caddy sets no limit of
    /// its own.
    pub upload_mib: u16,
}

/// Bounds of [`SiteLimits::upload_mib`].
pub const UPLOAD_MIB: RangeInclusive<u16> = 2..=2048;

/// The limits of one container.
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

/// Memory of nginx besides the uploads that it buffers, in MiB.
const NGINX_MIB: u32 = 64;
/// Size of the form around the largest file, in KiB.
const FORM_KIB: u32 = 64;

impl SiteLimits {
    /// Limits under which these uploads and settings fit. Uploads wait in memory: each container has room for two of
    /// the largest, besides its other needs.
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
    /// database, of which three are kept for work besides the visitors' requests: due events, and updates.
    #[must_use]
    pub fn workers_that_fit(&self, php: &PhpSettings) -> u32 {
        let memory = self.php.memory_mib.saturating_sub(u32::from(php.opcache_mib)) / WORKER_MIB;
        let connections = u32::from(self.database_connections.saturating_sub(3));
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
    use crate::details::{AdminEmail, AdminUser, SiteTitle};
    use crate::ids::SiteId;
    use crate::name::SiteName;
    use uuid::Uuid;

    pub(crate) fn hello() -> DesiredSite {
        DesiredSite {
            site: SiteRef { id: SiteId::new(Uuid::from_u128(1)), name: SiteName::parse("hello").unwrap() },
            host: HostId::LOCAL,
            url: SiteUrl { host: "hello.localhost".into(), port: 8080 },
            limits: SiteLimits::default(),
            shared_network: "hostplane".into(),
            secret_version: 1,
            secret_generation: 1,
            admin_generation: 1,
            suspended: false,
            restricted: false,
            kind: KindSpec::Wordpress(wordpress()),
        }
    }

    pub(crate) fn wordpress() -> WordpressSpec {
        WordpressSpec {
            subnet: "10.213.0.0/29".parse().unwrap(),
            details: WordpressDetails {
                title: SiteTitle::parse("Hello").unwrap(),
                admin_user: AdminUser::parse("admin").unwrap(),
                admin_email: AdminEmail::parse("admin@hello.localhost").unwrap(),
            },
            images: SiteImages { php: "hostplane/php:1".into(), nginx: "hostplane/nginx:1".into() },
            php: PhpSettings::default(),
            mail: None,
            database_host: "host.docker.internal:3306".into(),
        }
    }

    /// The form in which version 0.1 stored the site.
    fn stored_by_version_0_1() -> serde_json::Value {
        let mut stored = serde_json::to_value(hello()).unwrap();
        let fields = stored.as_object_mut().unwrap();
        let kind = fields.remove("kind").unwrap()["wordpress"].clone();
        fields.extend(kind.as_object().unwrap().clone());
        fields.remove("host").unwrap();
        stored
    }

    #[test]
    fn the_stored_form_is_read_back() {
        let stored = serde_json::to_string(&hello()).unwrap();
        assert_eq!(serde_json::from_str::<DesiredSite>(&stored).unwrap(), hello());
    }

    #[test]
    fn the_form_of_version_0_1_is_read() {
        assert_eq!(serde_json::from_value::<DesiredSite>(stored_by_version_0_1()).unwrap(), hello());
        let mut neither = stored_by_version_0_1();
        neither.as_object_mut().unwrap().remove("images").unwrap();
        assert!(serde_json::from_value::<DesiredSite>(neither).is_err());
    }

    #[test]
    fn settings_unknown_when_stored_have_defaults() {
        let mut stored = stored_by_version_0_1();
        for field in ["php", "mail", "secret_generation", "admin_generation", "restricted"] {
            stored.as_object_mut().unwrap().remove(field).unwrap();
        }
        assert_eq!(serde_json::from_value::<DesiredSite>(stored.clone()).unwrap(), hello());
        stored["php"] = serde_json::json!({ "memory_mib": 512 });
        let php = serde_json::from_value::<DesiredSite>(stored).unwrap().wordpress().php;
        assert_eq!(php, PhpSettings { memory_mib: 512, ..PhpSettings::default() });
    }

    #[test]
    fn memory_grows_with_uploads_and_request_memory() {
        let php = PhpSettings::default();
        let memory = |limits: SiteLimits| (limits.php.memory_mib, limits.nginx.memory_mib);
        assert_eq!(memory(SiteLimits::default()), (512, 192));
        assert_eq!(memory(SiteLimits::fitting(256, &php)), (896, 576));
        assert_eq!(memory(SiteLimits::fitting(64, &PhpSettings { memory_mib: 1024, ..php })), (1280, 192));
        assert_eq!(SiteLimits::default().body_kib(), 64 * 1024 + 64);
    }

    #[test]
    fn each_limit_bounds_the_workers() {
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
        assert_eq!(workers(|limits| limits.database_connections = 9), 6);
        assert_eq!(workers(|limits| limits.php.memory_mib = 1), 1, "a site without workers would not answer");
    }
}
