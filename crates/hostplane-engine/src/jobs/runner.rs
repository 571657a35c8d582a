//! The runner of jobs as data. The other files of this module do its work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostplane_domain::ids::{HostId, InstanceId, JobId};
use hostplane_domain::job::OperationName;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Node;
use hostplane_domain::secret::Keyring;
use hostplane_infra::error::{Dependency, Effect};
use hostplane_infra::world::World;
use tokio::time::Instant;

use crate::context::{Intent, SiteCx};
use crate::reconciler::DriftCache;
use crate::secrets::Secrets;
use crate::site_settings::SiteSettings;
use crate::sites::{self, Blueprint};
use crate::staleness::Staleness;
use crate::store::{Claim, Store};

/// Runs claimed jobs.
pub(crate) struct Runner {
    pub store: Store,
    pub world: World,
    pub instance: InstanceId,
    pub secrets: Secrets,
    pub settings: SiteSettings,
    pub staleness: Staleness,
    /// A resource that a job has made is no drift any more, before the next scan says so.
    pub drift_cache: Arc<DriftCache>,
    /// Jobs that wait for an update of their site, and since when.
    pub updates_awaited: Mutex<BTreeMap<JobId, Instant>>,
}

impl Runner {
    /// The context of a job's verbs.
    pub(super) fn context<'a>(&'a self, claim: &'a Claim, secrets: &'a Keyring) -> Effect<SiteCx<'a>> {
        Ok(SiteCx {
            world: &self.world,
            host: self.world.at(host(claim))?,
            secrets,
            mail: self.settings.mail_login(),
            instance: self.instance,
            site: &claim.site.site,
            job: claim.job.id,
            pace: self.settings.pace,
            intent: Intent::Change,
            baseline: None,
            hashes: None,
        })
    }

    /// The time that a job has waited for an update of its site.
    pub(super) fn waited_for_update(&self, job: JobId) -> Duration {
        let mut awaited = self.updates_awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.entry(job).or_insert_with(Instant::now).elapsed()
    }

    /// Forgets that a job waited: it has ended.
    pub(super) fn waits_no_more(&self, job: JobId) {
        self.updates_awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }

    /// The first dependency whose ping fails.
    pub(super) async fn which_is_down(&self) -> Option<Dependency> {
        let ask = |dependency| async move { self.world.ping(dependency).await.is_err().then_some(dependency) };
        // Docker first: while it is down, the others seem to be down too.
        if let Some(down) = ask(Dependency::DOCKER).await {
            return Some(down);
        }
        let (mariadb, caddy) = futures_util::join!(ask(Dependency::Mariadb), ask(Dependency::CADDY));
        if let Some(down) = mariadb.or(caddy) {
            return Some(down);
        }
        ask(Dependency::DATABASE_PATH).await
    }
}

/// The host of a job's site. A site that has no desired state yet is placed on the only one.
pub(super) fn host(claim: &Claim) -> HostId {
    claim.job.before.as_ref().or(claim.job.after.as_ref()).map_or(HostId::LOCAL, |want| want.host)
}

/// The blueprint of a job's site.
pub(super) fn blueprint(claim: &Claim) -> &'static dyn Blueprint {
    sites::of(claim.site.details.kind())
}

/// True when a job is about a resource of its site. A collect is only about the orphans that it was ordered for. What is
/// restricted by itself must not be upgraded by itself, nor can a site's own page keep it from being restricted.
pub(super) fn concerns(claim: &Claim, node: &Node) -> bool {
    match claim.job.operation {
        OperationName::Collect => claim.job.why.iter().any(|found| found.kind == node.kind),
        operation => is_about_all(operation) || matches!(node.kind, ResourceKind::Database | ResourceKind::Route),
    }
}

/// True for an operation that makes the whole of its site as wanted.
pub(super) const fn is_about_all(operation: OperationName) -> bool {
    !matches!(operation, OperationName::Restrict | OperationName::Lift)
}
