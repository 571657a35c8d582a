//! Sites: create, list, show, destroy.

use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::mark::Owner;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::{Node, Observed};
use hostplane_domain::site_change::SiteChange;
use hostplane_domain::status::SiteStatus;
use hostplane_domain::url::SiteUrl;
use hostplane_infra::error::Effect;

use super::{App, AppError, AppResult, JobView, MeasuredUsage, SiteDrift};
use crate::context::{Intent, SiteCx};
use crate::inventory::snapshot::Depth;
use crate::operations;
use crate::site_settings::SiteSettings;
use crate::sites::{self, Blueprint};
use crate::store::{Listed, NewSite, OrderedBy, SiteFilter, SiteRecord, SiteWithJob, StoreError};

/// A site, as shown.
#[derive(Debug, Clone)]
pub struct SiteView {
    /// As stored.
    pub record: SiteRecord,
    /// Its present or future address.
    pub url: SiteUrl,
    /// The job that holds it.
    pub active_job: Option<JobId>,
    /// True if new sites are made with other images or another mail server, or if this release would generate something
    /// otherwise.
    pub upgrade_pending: bool,
    /// Its disk usage, as last measured.
    pub usage: Option<MeasuredUsage>,
}

/// A site with its resources, as they are now.
#[derive(Debug, Clone)]
pub struct SiteDetail {
    /// The site.
    pub view: SiteView,
    /// One line per resource.
    pub resources: Vec<ResourceView>,
    /// Its drift, as last detected.
    pub drift: Option<SiteDrift>,
}

/// A resource, as observed.
#[derive(Debug, Clone)]
pub struct ResourceView {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ResourceState,
    /// The differences, or the reason why its state is unknown.
    pub detail: Option<String>,
}

/// State of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceState {
    /// There and as wanted.
    Present,
    /// There, and not as wanted.
    Differs,
    /// Not there.
    Absent,
    /// Not observed.
    Unknown,
    /// Another owner has the name.
    Foreign,
}

impl ResourceState {
    /// The stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Differs => "differs",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
            Self::Foreign => "foreign",
        }
    }
}

impl App {
    /// Stores a new site and enqueues its provision.
    ///
    /// # Errors
    /// [`AppError::NameTaken`] when a site of this name exists; [`AppError::DiskReserve`].
    pub async fn create_site(&self, new: &NewSite) -> AppResult<(SiteView, JobView)> {
        self.require_space()?;
        let (record, job) = match self.store.add_site(new, self.now()).await {
            Err(StoreError::NameExists) => {
                let status = self.record(&new.name).await?.status;
                return Err(AppError::NameTaken { name: new.name.clone(), status });
            }
            other => other?,
        };
        self.signal.wake();
        let job = self.job(job).await?;
        Ok((self.view(record, Some(job.record.id)), job))
    }

    /// Sites in the order of their names.
    ///
    /// # Errors
    /// [`AppError::NoCursor`].
    pub async fn sites(&self, filter: &SiteFilter) -> AppResult<Listed<SiteView>> {
        match self.store.sites(filter).await {
            Err(StoreError::Missing(_)) => Err(AppError::NoCursor),
            sites => Ok(sites?.logged().map(|SiteWithJob { site, active_job }| self.view(site, active_job))),
        }
    }

    /// One site, with its resources as they are now; those that can't be observed are unknown.
    ///
    /// # Errors
    /// [`AppError::NoSite`].
    pub async fn site(&self, name: &SiteName) -> AppResult<SiteDetail> {
        let record = self.record(name).await?;
        let active = self.store.active_job(record.site.id).await?;
        let resources = self.observe_resources(&record).await;
        let drift = self.drift_cache.of_site(record.site.id);
        Ok(SiteDetail { view: self.view(record, active), resources, drift })
    }

    /// Enqueues a change of a site, which stays in service. A change that fails is rolled back.
    ///
    /// # Errors
    /// [`AppError::NoSite`], [`AppError::Busy`], [`AppError::WrongStatus`], [`AppError::RefusedSetting`].
    pub async fn change_site(&self, name: &SiteName, change: &SiteChange) -> AppResult<JobView> {
        let record = self.record(name).await?;
        match self.store.enqueue_change(record.site.id, change, OrderedBy::Person, self.now()).await {
            Ok(job) => {
                self.signal.wake();
                self.job(job).await
            }
            Err(StoreError::JobActive) => Err(self.busy(&record).await?),
            Err(StoreError::Refused(refused)) => Err(AppError::RefusedSetting(refused)),
            Err(StoreError::Illegal(illegal)) => {
                let hint = "only a site that is ACTIVE can be changed";
                Err(AppError::WrongStatus { name: name.clone(), status: illegal.from, hint })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Enqueues a change to the images and the mail server that new sites are made with.
    ///
    /// # Errors
    /// Those of [`App::change_site`].
    pub async fn upgrade_site(&self, name: &SiteName) -> AppResult<JobView> {
        let SiteSettings { images, mail, .. } = &self.settings;
        self.change_site(name, &SiteChange::Upgrade { images: images.clone(), mail: mail.clone() }).await
    }

    /// Enqueues a change of a site's passwords.
    ///
    /// # Errors
    /// Those of [`App::change_site`].
    pub async fn rotate_site(&self, name: &SiteName) -> AppResult<JobView> {
        self.change_site(name, &SiteChange::Secrets { generation: self.secrets.now().newest() }).await
    }

    /// Enqueues the destruction of a site, which can't be rolled back. A job of the site that needs an operator is
    /// given up for it; a destroy that needs one continues.
    ///
    /// # Errors
    /// [`AppError::NoSite`], [`AppError::Busy`], [`AppError::WrongStatus`].
    pub async fn destroy_site(&self, name: &SiteName) -> AppResult<JobView> {
        let record = self.record(name).await?;
        let destroy = operations::of(OperationName::Destroy);
        match self.store.enqueue(record.site.id, destroy, self.now()).await {
            Ok(job) => {
                self.signal.wake();
                self.job(job).await
            }
            Err(StoreError::JobActive) => self.destroy_instead(&record).await,
            Err(StoreError::Illegal(illegal)) => {
                let hint = "only a site that is ACTIVE or FAILED can be destroyed";
                Err(AppError::WrongStatus { name: name.clone(), status: illegal.from, hint })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Enqueues the destruction of a site that a stuck job holds.
    async fn destroy_instead(&self, record: &SiteRecord) -> AppResult<JobView> {
        let stuck = match self.store.active_job(record.site.id).await? {
            Some(job) => self.store.job(job).await?,
            None => return Err(self.busy(record).await?),
        };
        if stuck.state != JobState::NeedsOperator {
            return Err(self.busy(record).await?);
        }
        let destroy = if stuck.operation == OperationName::Destroy {
            self.store.resume(stuck.id, self.now()).await.map(|()| stuck.id)
        } else {
            let given_up = operations::of(stuck.operation).rolled_back;
            let destroy = operations::of(OperationName::Destroy);
            self.store.enqueue_instead(&stuck, given_up, destroy, self.now()).await
        };
        match destroy {
            Ok(job) => {
                self.signal.wake();
                self.job(job).await
            }
            Err(StoreError::Missing(_) | StoreError::JobActive) => Err(self.busy(record).await?),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn record(&self, name: &SiteName) -> AppResult<SiteRecord> {
        match self.store.site(name).await {
            Err(StoreError::Missing(_)) => Err(AppError::NoSite(name.clone())),
            other => Ok(other?),
        }
    }

    pub(super) async fn busy(&self, record: &SiteRecord) -> AppResult<AppError> {
        let job = self.store.active_job(record.site.id).await?;
        let stuck = match job {
            Some(job) => self.store.job(job).await?.state == JobState::NeedsOperator,
            None => false,
        };
        Ok(AppError::Busy { name: record.site.name.clone(), job, stuck })
    }

    fn view(&self, record: SiteRecord, active_job: Option<JobId>) -> SiteView {
        let url = record.spec.as_ref().map_or_else(|| self.settings.url(&record.site), |spec| spec.url.clone());
        let SiteSettings { images, mail, .. } = &self.settings;
        let is_made_otherwise = record.spec.as_ref().is_some_and(|spec| {
            let mut upgraded = spec.kind.clone();
            upgraded.upgrade(images, mail.as_ref());
            upgraded != spec.kind
        });
        let upgrade_pending = is_made_otherwise || self.drift_cache.waits_for_upgrade(record.site.id);
        let usage = self.disk_cache.of_site(record.site.id);
        SiteView { record, url, active_job, upgrade_pending, usage }
    }

    async fn observe_resources(&self, record: &SiteRecord) -> Vec<ResourceView> {
        let blueprint = sites::of(record.details.kind());
        let nodes = match self.observe_nodes(record, blueprint).await {
            Ok(nodes) => nodes,
            Err(error) => {
                let unknown = |kind: ResourceKind| ResourceView {
                    kind,
                    name: naming::of(kind, &record.site.name),
                    state: ResourceState::Unknown,
                    detail: Some(error.to_string()),
                };
                return blueprint.resources().iter().map(|resource| unknown(resource.kind())).collect();
            }
        };
        // No snapshot shows the site as visitors see it.
        nodes
            .into_iter()
            .filter(|node| !node.is_visitors_view)
            .map(|node| {
                let (state, detail) = state_of(&node.observed);
                ResourceView { kind: node.kind, name: naming::of(node.kind, &record.site.name), state, detail }
            })
            .collect()
    }

    async fn observe_nodes(&self, record: &SiteRecord, blueprint: &dyn Blueprint) -> Effect<Vec<Node>> {
        // Any job will do: only the marks of new objects name one, and observing makes none.
        let job = JobId::new(record.site.id.uuid());
        let ring = self.secrets.now();
        let cx = SiteCx {
            world: &self.world,
            host: self.world.at(record.host())?,
            secrets: &ring,
            mail: self.settings.mail_login(),
            instance: self.instance,
            site: &record.site,
            job,
            pace: self.settings.pace,
            intent: Intent::Change,
            baseline: None,
            hashes: None,
        };
        let want = record.spec.as_ref().filter(|_| record.status == SiteStatus::Active);
        let depth = if want.is_some() { Depth::Deep } else { Depth::Shallow };
        Ok(blueprint.observe(&cx, want, &blueprint.snapshot(&cx, depth).await?))
    }
}

fn state_of(observed: &Observed) -> (ResourceState, Option<String>) {
    match observed {
        Observed::Absent => (ResourceState::Absent, None),
        Observed::NotObserved => (ResourceState::Unknown, Some("not observed".to_owned())),
        Observed::Unknown(why) => (ResourceState::Unknown, Some(why.clone())),
        Observed::Present { owner: Owner::Ours(_), differs } if differs.is_empty() => (ResourceState::Present, None),
        Observed::Present { owner: Owner::Ours(_), differs } => {
            let lines: Vec<String> = differs.iter().map(ToString::to_string).collect();
            (ResourceState::Differs, Some(lines.join("; ")))
        }
        Observed::Present { owner, .. } => (ResourceState::Foreign, Some(format!("belongs to {owner}"))),
    }
}
