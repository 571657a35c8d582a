//! What one site should be. It holds no secret and no identity of a job, so it can be stored, compared
//! and hashed.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::details::{AdminEmail, AdminUser, SiteTitle};
use crate::mark::SiteRef;
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
    /// The network that it shares with Caddy, by name.
    pub shared_network: String,
    /// `host:port` of MariaDB as the site's containers see it.
    pub database_host: String,
    /// Raised to give the site new passwords.
    pub secret_version: u32,
    /// Visitors get a maintenance page.
    #[serde(default)]
    pub suspended: bool,
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
    /// Largest uploaded file, in MiB; a request may have one more.
    pub upload_mib: u16,
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

impl Default for SiteLimits {
    fn default() -> Self {
        Self {
            php: ContainerLimits { memory_mib: 512, cpu_milli: 1000, pids: 64, log_mib: 10 },
            // The buffers of request bodies (twice the largest upload) and 64 MiB besides.
            nginx: ContainerLimits { memory_mib: 192, cpu_milli: 500, pids: 16, log_mib: 10 },
            php_workers: 5,
            database_connections: 20,
            upload_mib: 64,
        }
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
            shared_network: "hostplane".into(),
            database_host: "host.docker.internal:3306".into(),
            secret_version: 1,
            suspended: false,
        }
    }
}
