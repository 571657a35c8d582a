//! Sites: create, list, show, destroy.

use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::mark::Owner;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_domain::observed::Observed;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::site_change::SiteChange;
use hostplane_domain::status::SiteStatus;
use hostplane_domain::url::SiteUrl;

use super::{App, AppError, AppResult, JobView, SiteDrift};
use crate::context::SiteCx;
use crate::inventory::snapshot::{Depth, Snapshot};
use crate::operations;
use crate::resources;
use crate::site_settings::SiteSettings;
use crate::store::{NewSite, SiteFilter, SiteRecord, SiteWithJob, StoreError};

/// A site, as shown.
#[derive(Debug, Clone)]
pub struct SiteView {
    /// As stored.
    pub record: SiteRecord,
    /// Where it is, or will be, reached.
    pub url: SiteUrl,
    /// The job that holds it.
    pub active_job: Option<JobId>,
    /// It has other images, or another mail server, than new sites are made with.
    pub upgrade_pending: bool,
}

/// A site with its resources, as they are now.
#[derive(Debug, Clone)]
pub struct SiteDetail {
    /// The site.
    pub view: SiteView,
    /// One line per resource.
    pub resources: Vec<ResourceView>,
    /// What is not as it should be, as the reconciler last saw it.
    pub drift: Option<SiteDrift>,
}

/// A resource, as found.
#[derive(Debug, Clone)]
pub struct ResourceView {
    /// What it is.
    pub kind: ResourceKind,
    /// Under which name it is found.
    pub name: String,
    /// How it is.
    pub state: ResourceState,
    /// What differs, or why nothing is known.
    pub detail: Option<String>,
}

/// How a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceState {
    /// There and as wanted.
    Present,
    /// There, and not as wanted.
    Differs,
    /// Not there.
    Absent,
    /// It could not be told.
    Unknown,
    /// Another's thing is there.
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
    /// Takes the order for a site: it is stored and its provision begins as soon as a worker is free.
    ///
    /// # Errors
    /// [`AppError::NameTaken`] when a site of this name exists.
    pub async fn create_site(&self, new: &NewSite) -> AppResult<(SiteView, JobView)> {
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
    pub async fn sites(&self, filter: &SiteFilter) -> AppResult<Vec<SiteView>> {
        let sites = match self.store.sites(filter).await {
            Err(StoreError::Missing(_)) => return Err(AppError::NoCursor),
            sites => sites?.reported(),
        };
        Ok(sites.into_iter().map(|SiteWithJob { site, active_job }| self.view(site, active_job)).collect())
    }

    /// One site, with its resources as they are now. What can't be asked is shown as unknown.
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

    /// Takes the order to change a site that is there. It stays in service; if the change fails, it is as before.
    ///
    /// # Errors
    /// [`AppError::NoSite`], [`AppError::Busy`], [`AppError::WrongStatus`], [`AppError::OutOfBounds`].
    pub async fn change_site(&self, name: &SiteName, change: &SiteChange) -> AppResult<JobView> {
        let record = self.record(name).await?;
        match self.store.enqueue_change(record.site.id, change, self.now()).await {
            Ok(job) => {
                self.signal.wake();
                self.job(job).await
            }
            Err(StoreError::JobActive) => Err(self.busy(&record).await?),
            Err(StoreError::Refused(refused)) => Err(AppError::OutOfBounds(refused)),
            Err(StoreError::Illegal(illegal)) => {
                let hint = "only a site that is ACTIVE can be changed";
                Err(AppError::WrongStatus { name: name.clone(), status: illegal.from, hint })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the order to bring a site to the images and the mail server that new sites are made with.
    ///
    /// # Errors
    /// Those of [`App::change_site`].
    pub async fn upgrade_site(&self, name: &SiteName) -> AppResult<JobView> {
        let SiteSettings { images, mail, .. } = &self.settings;
        self.change_site(name, &SiteChange::Upgrade { images: images.clone(), mail: mail.clone() }).await
    }

    /// Takes the order to give a site new passwords.
    ///
    /// # Errors
    /// Those of [`App::change_site`].
    pub async fn rotate_site(&self, name: &SiteName) -> AppResult<JobView> {
        self.change_site(name, &SiteChange::Secrets { generation: self.secrets.now().newest() }).await
    }

    /// Takes the order to destroy a site: from now on there is no way back. A job of the site that needs an
    /// operator is given up for it, and a destroy that needs one goes on.
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

    /// The order to destroy a site that another job holds.
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
            let given_up = operations::of(stuck.operation).rolled_back();
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
        let upgrade_pending = record.spec.as_ref().is_some_and(|spec| spec.images != *images || spec.mail != *mail);
        SiteView { record, url, active_job, upgrade_pending }
    }

    async fn observe_resources(&self, record: &SiteRecord) -> Vec<ResourceView> {
        // Only names the mark of what would be made, and nothing is made here.
        let job = JobId::new(record.site.id.uuid());
        let ring = self.secrets.now();
        let cx = SiteCx {
            world: &self.world,
            secrets: &ring,
            mail: self.settings.mail_login(),
            instance: self.instance,
            site: &record.site,
            job,
            pace: self.settings.pace,
            hashes: None,
        };
        let want = record.spec.as_ref().filter(|_| record.status == SiteStatus::Active);
        let depth = if want.is_some() { Depth::Deep } else { Depth::Shallow };
        let nodes = match Snapshot::of_site(&cx, depth).await {
            Ok(seen) => resources::observe_all(&cx, want, &seen),
            Err(error) => {
                let unknown = |kind: ResourceKind| ResourceView {
                    kind,
                    name: naming::of(kind, &record.site.name),
                    state: ResourceState::Unknown,
                    detail: Some(error.to_string()),
                };
                return ResourceKind::ALL.iter().copied().map(unknown).collect();
            }
        };
        // What no snapshot shows is no resource to be listed.
        nodes
            .into_iter()
            .filter(|node| node.kind != ResourceKind::Serving)
            .map(|node| {
                let (state, detail) = state_of(&node.observed);
                ResourceView { kind: node.kind, name: naming::of(node.kind, &record.site.name), state, detail }
            })
            .collect()
    }
}

fn state_of(observed: &Observed) -> (ResourceState, Option<String>) {
    match observed {
        Observed::Absent => (ResourceState::Absent, None),
        Observed::NotObserved => (ResourceState::Unknown, Some("not looked at".to_owned())),
        Observed::Unknown(why) => (ResourceState::Unknown, Some(why.clone())),
        Observed::Present { owner: Owner::Ours(_), differs } if differs.is_empty() => (ResourceState::Present, None),
        Observed::Present { owner: Owner::Ours(_), differs } => {
            let lines: Vec<String> = differs.iter().map(ToString::to_string).collect();
            (ResourceState::Differs, Some(lines.join("; ")))
        }
        Observed::Present { owner, .. } => (ResourceState::Foreign, Some(format!("belongs to {owner}"))),
    }
}
