//! What is not as it should be, and what no site explains.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{App, AppError, AppResult, DriftReport, JobView, OrphanId, OrphanView};
use crate::orphans::RemoveError;
use crate::reconciler::ScanRequest;

/// How long somebody who asks for a look at everything waits for its end.
const PATIENCE: Duration = Duration::from_secs(40);

impl App {
    /// What is not as it should be, as last seen.
    #[must_use]
    pub fn drift(&self) -> DriftReport {
        self.drift_cache.report()
    }

    /// Has everything looked at now; with `inside`, also what lists don't show of each site. `false` when that takes
    /// longer than one waits: it goes on.
    ///
    /// # Errors
    /// [`AppError::Stopping`].
    pub async fn reconcile(&self, deep: bool) -> AppResult<bool> {
        let (done, looked) = oneshot::channel();
        let looked = async {
            self.scan_requests.send(ScanRequest { deep, done }).await.map_err(|_| AppError::Stopping)?;
            looked.await.map_err(|_| AppError::Stopping)
        };
        timeout(PATIENCE, looked).await.map_or(Ok(false), |ended| ended.map(|()| true))
    }

    /// All that carries the installation's mark and no site explains, as last seen.
    #[must_use]
    pub fn orphans(&self) -> Vec<OrphanView> {
        self.orphans.all()
    }

    /// Removes an orphan. Whoever asks says its name too, as what it holds is gone then. Answers the job that does it;
    /// what is known to no job is removed at once.
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
            Err(RemoveError::Busy) => stays("a job holds the site that it was made for; ask again when that has ended"),
            Err(RemoveError::Alive) => stays(
                "the site that it was made for is there: restore a newer copy of the control database, or destroy that site",
            ),
            Err(RemoveError::Misnamed) => stays(
                "it has our labels, and a name that we don't give: somebody else made it, so remove it where it was made, \
                 as with `docker rm`, `docker volume rm` or `docker network rm`",
            ),
            Err(RemoveError::World(error)) => Err(AppError::OrphanStays(format!(
                "it can't be removed now: {}; ask again when that is mended",
                error.chain()
            ))),
            Err(RemoveError::Store(error)) => Err(error.into()),
        }
    }

    /// The orphan of an id, as last seen.
    ///
    /// # Errors
    /// [`AppError::NoOrphan`].
    pub fn orphan(&self, id: &OrphanId) -> AppResult<OrphanView> {
        self.orphans.all().into_iter().find(|orphan| orphan.id == *id).ok_or(AppError::NoOrphan)
    }
}
