//! Drift and orphans: scan, list, remove.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{App, AppError, AppResult, DriftReport, JobView, OrphanId, OrphanView};
use crate::orphans::RemoveError;
use crate::reconciler::ScanRequest;

/// Longest wait of a request for the end of its scan.
const SCAN_TIMEOUT: Duration = Duration::from_secs(40);

impl App {
    /// The drift of all sites, as last detected.
    #[must_use]
    pub fn drift(&self) -> DriftReport {
        self.drift_cache.report()
    }

    /// Requests a full scan, with `deep` also a deep scan of each site, and waits for its end. `false` when the wait
    /// ends before the scan, which goes on.
    ///
    /// # Errors
    /// [`AppError::Stopping`].
    pub async fn reconcile(&self, deep: bool) -> AppResult<bool> {
        let (done, scanned) = oneshot::channel();
        let scanned = async {
            self.scan_requests.send(ScanRequest { deep, done }).await.map_err(|_| AppError::Stopping)?;
            scanned.await.map_err(|_| AppError::Stopping)
        };
        timeout(SCAN_TIMEOUT, scanned).await.map_or(Ok(false), |ended| ended.map(|()| true))
    }

    /// All orphans, as of the last full scan.
    #[must_use]
    pub fn orphans(&self) -> Vec<OrphanView> {
        self.orphans.all()
    }

    /// Removes an orphan with the data in it, and answers the job that does so. `None` for an orphan that an unknown job
    /// made: it was removed at once.
    ///
    /// # Errors
    /// [`AppError::NoOrphan`], [`AppError::OrphanStays`].
    pub async fn remove_orphan(&self, id: &OrphanId) -> AppResult<Option<JobView>> {
        let removed = self.orphans.remove(id, &self.secrets.now()).await;
        let stays = |why: &str| Err(AppError::OrphanStays(why.to_owned()));
        match removed {
            Ok(Some(job)) => self.job(job).await.map(Some),
            Ok(None) => Ok(None),
            Err(RemoveError::None) => Err(AppError::NoOrphan),
            Err(RemoveError::Busy) => {
                stays("a job holds the site that it was made for; try again when that job has ended")
            }
            Err(RemoveError::Alive) => stays(
                "the site that it was made for is there: restore a newer copy of the control database, or destroy that site",
            ),
            Err(RemoveError::Misnamed) => stays(
                "it has Hostplane's labels under a name that Hostplane doesn't give, so another program made it; remove it \
                 with `docker rm`, `docker volume rm` or `docker network rm`",
            ),
            Err(RemoveError::World(error)) => Err(AppError::OrphanStays(format!(
                "it can't be removed now: {}; try again when the cause is removed",
                error.chain()
            ))),
            Err(RemoveError::Store(error)) => Err(error.into()),
        }
    }

    /// The orphan of an id, as of the last full scan.
    ///
    /// # Errors
    /// [`AppError::NoOrphan`].
    pub fn orphan(&self, id: &OrphanId) -> AppResult<OrphanView> {
        self.orphans.all().into_iter().find(|orphan| orphan.id == *id).ok_or(AppError::NoOrphan)
    }
}
