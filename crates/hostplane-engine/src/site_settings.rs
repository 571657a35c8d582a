//! The operator's settings for all sites.

use std::time::Duration;

use hostplane_domain::desired::{DesiredSite, SiteLimits};
use hostplane_domain::disk::DiskLimits;
use hostplane_domain::ids::HostId;
use hostplane_domain::mark::SiteRef;
use hostplane_domain::site_kind::KindSpec;
use hostplane_domain::subnet::SubnetPool;
use hostplane_domain::url::{BaseDomain, SiteUrl};
use hostplane_domain::wordpress::{MailRelay, PhpSettings, SiteImages};
use secrecy::SecretString;

use crate::pace::Pace;
use crate::store::SiteRecord;

/// Settings that go into every site, and those of the worker.
#[derive(Debug, Clone)]
pub struct SiteSettings {
    /// Sites are reached at `<site>.<base domain>`.
    pub base_domain: BaseDomain,
    /// The port that visitors use.
    pub public_port: u16,
    /// The images of the sites' containers.
    pub images: SiteImages,
    /// The images of what sites share, as far as the settings name them: the doctor checks them too.
    pub platform_images: Vec<String>,
    /// Limits of new sites.
    pub limits: SiteLimits,
    /// Settings of new sites' PHP.
    pub php: PhpSettings,
    /// The server that takes the sites' mail.
    pub mail: Option<MailRelay>,
    /// The password for that server.
    pub mail_password: Option<SecretString>,
    /// The network that sites share with Caddy.
    pub shared_network: String,
    /// `host:port` of MariaDB as the sites' containers see it.
    pub database_host: String,
    /// The pool of the sites' subnets.
    pub subnet_pool: SubnetPool,
    /// Jobs that run at once.
    pub concurrency: usize,
    /// Of these, at most this many that the control plane itself orders: repairs above all.
    pub repair_concurrency: usize,
    /// Time after which a site's statement in the database is ended; zero is no limit.
    pub statement_limit: Duration,
    /// Disk space.
    pub disk: DiskSettings,
    /// Timing of the background work.
    pub pace: Pace,
}

/// Settings about disk space.
#[derive(Debug, Clone)]
pub struct DiskSettings {
    /// The limits.
    pub limits: DiskLimits,
    /// The container through which the Engine's disk is measured.
    pub seen_from: String,
    /// Time between two measurements of a site that is near no limit; one that is near is measured 15 times as often.
    pub interval: Duration,
    /// Pause between two measurements of the Engine's disk, and of the sites that are due.
    pub tick: Duration,
}

impl SiteSettings {
    /// The address of a site of this name.
    #[must_use]
    pub fn url(&self, site: &SiteRef) -> SiteUrl {
        SiteUrl { host: self.base_domain.host_of(&site.name), port: self.public_port }
    }

    /// The server that takes mail, with its password if it asks for one.
    pub(crate) fn mail_login(&self) -> Option<(&MailRelay, &SecretString)> {
        self.mail.as_ref().zip(self.mail_password.as_ref())
    }

    /// The desired state of a new site.
    #[must_use]
    pub fn desired(&self, record: &SiteRecord, kind: KindSpec, secret_generation: u32) -> DesiredSite {
        DesiredSite {
            url: self.url(&record.site),
            site: record.site.clone(),
            host: HostId::LOCAL,
            limits: self.limits,
            shared_network: self.shared_network.clone(),
            secret_version: record.secret_version,
            secret_generation,
            admin_generation: secret_generation,
            suspended: false,
            restricted: false,
            kind,
        }
    }
}
