//! Jobs: list, show, retry, cancel.

use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::name::SiteName;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::databases::Tenants;
use tokio::sync::watch;

use super::{App, AppError, AppResult};
use crate::operations;
use crate::store::{JobFilter, JobRecord, JobWithSteps, Listed, OrderedBy, StepRecord, StoreError};

/// A job, as shown.
#[derive(Debug, Clone)]
pub struct JobView {
    /// As stored.
    pub record: JobRecord,
    /// The name of its site.
    pub site: SiteName,
    /// Its journal.
    pub steps: Vec<StepRecord>,
}

impl From<JobWithSteps> for JobView {
    fn from(JobWithSteps { job, site, steps }: JobWithSteps) -> Self {
        Self { record: job, site, steps }
    }
}

impl App {
    /// One job with its journal.
    ///
    /// # Errors
    /// [`AppError::NoJob`].
    pub async fn job(&self, id: JobId) -> AppResult<JobView> {
        match self.store.job_with_steps(id).await.map(Listed::reported) {
            Err(StoreError::Missing(_)) => Err(AppError::NoJob),
            jobs => jobs?.pop().map(JobView::from).ok_or(AppError::NoJob),
        }
    }

    /// Jobs, newest first: of every site that has or had a name, or of all sites.
    ///
    /// # Errors
    /// [`AppError::NoSite`] when no site ever had the name; [`AppError::NoCursor`].
    pub async fn jobs(&self, site: Option<&SiteName>, filter: &JobFilter) -> AppResult<Listed<JobView>> {
        if let Some(name) = site
            && !self.store.knew_site(name).await?
        {
            return Err(AppError::NoSite(name.clone()));
        }
        match self.store.jobs(site, filter).await {
            Err(StoreError::Missing(_)) => Err(AppError::NoCursor),
            jobs => Ok(jobs?.logged().map(JobView::from)),
        }
    }

    /// Continues a job that needs an operator, or starts a failed provision or repair again.
    ///
    /// # Errors
    /// [`AppError::NoJob`], [`AppError::NotRetriable`], [`AppError::Busy`].
    pub async fn retry_job(&self, id: JobId) -> AppResult<JobView> {
        let job = self.job(id).await?.record;
        let site = self.store.site_by_id(job.site_id).await?;
        let next = match (job.state, job.operation, site.status) {
            (JobState::NeedsOperator, _, _) => match self.store.resume(id, self.now()).await {
                Err(StoreError::Missing(_)) => return Err(AppError::NotRetriable),
                other => other.map(|()| id)?,
            },
            (JobState::Failed | JobState::Cancelled, OperationName::Provision, SiteStatus::Failed) => {
                let provision = operations::of(OperationName::Provision);
                match self.store.enqueue(site.site.id, provision, self.now()).await {
                    Err(StoreError::JobActive) => return Err(self.busy(&site).await?),
                    Err(StoreError::Illegal(_)) => return Err(AppError::NotRetriable),
                    other => other?,
                }
            }
            (JobState::Failed | JobState::Cancelled, OperationName::Repair, SiteStatus::Active) => {
                let repair = operations::of(OperationName::Repair);
                match self
                    .store
                    .enqueue_for_findings(&job.why, OrderedBy::Person, site.site.id, repair, self.now())
                    .await
                {
                    Err(StoreError::JobActive) => return Err(self.busy(&site).await?),
                    Err(StoreError::Illegal(_)) => return Err(AppError::NotRetriable),
                    other => other?,
                }
            }
            _ => return Err(AppError::NotRetriable),
        };
        self.signal.wake();
        self.job(next).await
    }

    /// Requests the rollback of a job, which then ends as cancelled; refused from the pivot on. A job that needs an
    /// operator is given up: it ends at once and frees its site, with the spec that it had before. A destroy is not.
    ///
    /// # Errors
    /// [`AppError::NoJob`], [`AppError::NotCancellable`].
    pub async fn cancel_job(&self, id: JobId) -> AppResult<JobView> {
        let job = self.job(id).await?.record;
        if job.state == JobState::NeedsOperator && job.operation != OperationName::Destroy {
            if job.operation == OperationName::Provision && !self.was_never_confirmed(&job).await? {
                let why = "the site may have been confirmed, so its provision isn't given up: retry the job";
                return Err(AppError::NotCancellable(why));
            }
            let event = operations::of(job.operation).rolled_back;
            return match self.store.give_up(&job, event, self.now()).await {
                Err(StoreError::Missing(_)) => Err(AppError::NotCancellable("the job continues already")),
                other => {
                    other?;
                    self.job(id).await
                }
            };
        }
        if operations::of(job.operation).pivot.is_none() {
            let why = "this operation can't be rolled back";
            return Err(AppError::NotCancellable(why));
        }
        if !self.store.request_cancel(id, self.now()).await? {
            // Its state may have changed since it was read.
            let job = self.job(id).await?;
            return match job.record.state {
                _ if job.record.cancel_requested => Ok(job),
                JobState::Pending | JobState::Running if job.record.past_pivot => {
                    Err(AppError::NotCancellable("the site was confirmed already: wait for the job's end"))
                }
                JobState::Pending | JobState::Running => {
                    Err(AppError::NotCancellable("the job has failed and is being rolled back already"))
                }
                JobState::NeedsOperator => {
                    Err(AppError::NotCancellable("the job needs an operator now: cancel it once more"))
                }
                JobState::Completed | JobState::Failed | JobState::Cancelled => {
                    Err(AppError::NotCancellable("the job has ended"))
                }
            };
        }
        self.signal.wake();
        self.job(id).await
    }

    /// True when a provision was surely never confirmed. One that was is known beside its database, even when the control
    /// database is a copy from before.
    async fn was_never_confirmed(&self, job: &JobRecord) -> AppResult<bool> {
        let site = self.store.site_by_id(job.site_id).await?.site;
        let tenants = self.world.databases.tenants(&Tenants::Of(site.name)).await;
        Ok(tenants.is_ok_and(|tenants| !tenants.iter().any(|tenant| tenant.confirmed)))
    }

    /// Waits until `is_reached` holds for a job; tested at once and after each change.
    ///
    /// # Errors
    /// [`AppError::NoJob`].
    pub async fn job_when(&self, id: JobId, is_reached: impl Fn(&JobView) -> bool) -> AppResult<JobView> {
        let mut changes = self.store.changes();
        loop {
            changes.mark_unchanged();
            let job = self.job(id).await?;
            // The sender lives in the store, so there is always a next change to wait for.
            if is_reached(&job) || changes.changed().await.is_err() {
                return Ok(job);
            }
        }
    }

    /// Signals each change of any job or token. Subscribe before reading, so that no change is missed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.store.changes()
    }
}
