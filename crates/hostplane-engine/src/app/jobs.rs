//! Jobs: list, show, retry, cancel.

use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::name::SiteName;
use hostplane_domain::status::SiteStatus;
use tokio::sync::watch;

use super::{App, AppError, AppResult};
use crate::operations;
use crate::store::{JobFilter, JobRecord, JobWithSteps, Listed, StepRecord, StoreError};

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

    /// Continues a job that needs an operator, or starts a failed provision again.
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
            _ => return Err(AppError::NotRetriable),
        };
        self.signal.wake();
        self.job(next).await
    }

    /// Requests the rollback of a job, which then ends as cancelled; refused from the pivot on. A `collect` or
    /// `repair` that needs an operator ends at once: Hostplane ordered it, and tries again later.
    ///
    /// # Errors
    /// [`AppError::NoJob`], [`AppError::NotCancellable`].
    pub async fn cancel_job(&self, id: JobId) -> AppResult<JobView> {
        let job = self.job(id).await?.record;
        let is_automatic = matches!(job.operation, OperationName::Collect | OperationName::Repair);
        if is_automatic && job.state == JobState::NeedsOperator {
            return match self.store.give_up(id, self.now()).await {
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
                    Err(AppError::NotCancellable("the job needs an operator: retry it, or destroy its site"))
                }
                JobState::Completed | JobState::Failed | JobState::Cancelled => {
                    Err(AppError::NotCancellable("the job has ended"))
                }
            };
        }
        self.signal.wake();
        self.job(id).await
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
