//! What the operator decides about sites in general.

use std::time::Duration;

use hostplane_domain::desired::{DesiredSite, MailRelay, PhpSettings, SiteImages, SiteLimits};
use hostplane_domain::mark::SiteRef;
use hostplane_domain::subnet::SubnetPool;
use hostplane_domain::url::{BaseDomain, SiteUrl};
use hostplane_infra::containers::CREATE_DEADLINE;
use ipnet::Ipv4Net;
use secrecy::SecretString;

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
    /// What a site may use.
    pub limits: SiteLimits,
    /// How a site's PHP runs.
    pub php: PhpSettings,
    /// Who takes the sites' mail.
    pub mail: Option<MailRelay>,
    /// Its password.
    pub mail_password: Option<SecretString>,
    /// The network that sites share with Caddy.
    pub shared_network: String,
    /// `host:port` of MariaDB as the sites' containers see it.
    pub database_host: String,
    /// Where sites' subnets come from.
    pub subnet_pool: SubnetPool,
    /// Jobs that run at once.
    pub concurrency: usize,
    /// How long the worker waits.
    pub pace: Pace,
}

impl SiteSettings {
    /// Where a site of this name is reached.
    #[must_use]
    pub fn url(&self, site: &SiteRef) -> SiteUrl {
        SiteUrl { host: self.base_domain.host_of(&site.name), port: self.public_port }
    }

    /// The server that takes mail, where it asks for a password, and that.
    pub(crate) fn mail_login(&self) -> Option<(&MailRelay, &SecretString)> {
        self.mail.as_ref().zip(self.mail_password.as_ref())
    }

    /// What a site should be.
    #[must_use]
    pub fn desired(&self, record: &SiteRecord, subnet: Ipv4Net, secret_generation: u32) -> DesiredSite {
        DesiredSite {
            url: self.url(&record.site),
            site: record.site.clone(),
            subnet,
            wordpress: record.details.clone(),
            images: self.images.clone(),
            limits: self.limits,
            php: self.php,
            mail: self.mail.clone(),
            shared_network: self.shared_network.clone(),
            database_host: self.database_host.clone(),
            secret_version: record.secret_version,
            secret_generation,
            admin_generation: secret_generation,
            suspended: false,
        }
    }
}

/// How often a job is tried before its failure counts as permanent.
pub const JOB_ATTEMPTS: u32 = 4;
/// How often a step is tried within one attempt of its job.
pub const STEP_TRIES: u32 = 5;

/// How long the worker waits, and for what. Tests have a faster one; operators have no reason to change it.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// First ceiling of the random pause between tries; it doubles up to `backoff_ceiling`.
    pub backoff_base: Duration,
    /// Last ceiling of the random pause between tries.
    pub backoff_ceiling: Duration,
    /// How long a job that waits for a dependency rests before the dependency is asked again.
    pub dependency_pause: Duration,
    /// How long after a lost reply an effect may still land: the longest deadline of a call that makes a
    /// container, a volume or a network. Absence that was seen earlier proves nothing.
    pub settle: Duration,
    /// How long a subnet that something else uses is left alone.
    pub subnet_block: Duration,
    /// How long a site may take from its first container to its first whole page.
    pub serving_patience: Duration,
    /// Pause between two questions for that page.
    pub serving_pause: Duration,
    /// Pause between two looks at everything.
    pub tick: Duration,
    /// How long something that no site explains is there before it goes by itself.
    pub orphan_grace: Duration,
    /// Pause before a site is repaired once more for the same reason; it doubles each time.
    pub repair_rest: Duration,
    /// Pause after a removal of it that achieved nothing.
    pub collect_pause: Duration,
    /// Longest pause between two looks for scheduled events that are due.
    pub events_tick: Duration,
    /// Shortest pause between two runs of one site's events.
    pub events_rest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            backoff_base: Duration::from_millis(100),
            backoff_ceiling: Duration::from_secs(10),
            dependency_pause: Duration::from_secs(1),
            settle: CREATE_DEADLINE,
            subnet_block: Duration::from_hours(1),
            serving_patience: Duration::from_secs(30),
            serving_pause: Duration::from_millis(50),
            tick: Duration::from_mins(1),
            orphan_grace: Duration::from_mins(5),
            repair_rest: Duration::from_secs(5),
            events_tick: Duration::from_secs(30),
            events_rest: Duration::from_secs(20),
            collect_pause: Duration::from_hours(1),
        }
    }
}

impl Pace {
    /// The ceiling of the random pause before try number `tried + 1`.
    #[must_use]
    pub fn backoff(&self, tried: u32) -> Duration {
        self.backoff_base.saturating_mul(1 << tried.min(16)).min(self.backoff_ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_ceiling() {
        let pace = Pace::default();
        assert_eq!(pace.backoff(0), Duration::from_millis(100));
        assert_eq!(pace.backoff(3), Duration::from_millis(800));
        assert_eq!(pace.backoff(60), pace.backoff_ceiling);
    }
}
