//! Removal of orphans by hand.

use hostplane_domain::ids::JobId;
use hostplane_domain::job::OperationName;
use hostplane_domain::secret::Keyring;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::error::EffectError;
use tracing::warn;

use super::collect::left_over;
use super::{Orphan, OrphanClass, OrphanId, Orphans};
use crate::context::{Intent, SiteCx};
use crate::inventory::{Inventory, ScanError};
use crate::operations;
use crate::sites;
use crate::store::{OrderedBy, StoreError};

/// The reason for which an orphan is not removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error("there is no such orphan")]
    None,
    #[error("a job holds its site")]
    Busy,
    #[error("it belongs to an existing site")]
    Alive,
    #[error("its name is none that Hostplane gives")]
    Misnamed,
    #[error(transparent)]
    World(#[from] EffectError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ScanError> for RemoveError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::World(error) => Self::World(error),
            ScanError::Store(error) => Self::Store(error),
        }
    }
}

impl Orphans {
    /// Scans again and removes one orphan: by a job, if the journal knows its site. Orphans without data of the same
    /// site are removed with it, as they may be in its way.
    ///
    /// # Errors
    /// [`RemoveError`] says why it stays.
    pub async fn remove(&self, id: &OrphanId, secrets: &Keyring) -> Result<Option<JobId>, RemoveError> {
        let scan = {
            let _alone = self.scanning.lock().await;
            let inventory = Inventory::scan(&self.world, self.instance).await?;
            self.classify(&inventory).await?
        };
        let orphan = scan.orphans.get(id).ok_or(RemoveError::None)?;
        match orphan.why {
            OrphanClass::Misnamed => Err(RemoveError::Misnamed),
            OrphanClass::UnknownJob => self.remove_unknown(orphan, secrets).await.map(|()| None),
            OrphanClass::LeftOver { site, kind, .. } => {
                let goes = |other: &&Orphan| match other.why {
                    OrphanClass::LeftOver { site: its, kind: its_kind, .. } => {
                        its == site && (its_kind == kind || !other.found.kind.may_hold_data())
                    }
                    OrphanClass::UnknownJob | OrphanClass::Misnamed => false,
                };
                let why: Vec<_> =
                    scan.orphans.values().filter(goes).filter_map(left_over).map(|(_, why)| why).collect();
                let collect = operations::of(OperationName::Collect);
                match self
                    .store
                    .enqueue_for_findings(&why, OrderedBy::Person, site, collect, self.world.clock.now())
                    .await
                {
                    Ok(job) => {
                        warn!(%job, orphan_id = id.as_str(), found = %orphan.found, "removing an orphan by hand");
                        self.signal.wake();
                        Ok(Some(job))
                    }
                    Err(StoreError::JobActive) => Err(RemoveError::Busy),
                    Err(StoreError::Illegal(_)) => Err(RemoveError::Alive),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Removes an orphan that no known job made. It has no site that could be locked, and no job touches its site's id.
    async fn remove_unknown(&self, orphan: &Orphan, secrets: &Keyring) -> Result<(), RemoveError> {
        let mark = &orphan.found.mark;
        match self.store.site_by_id(mark.site.id).await {
            Ok(site) if site.status != SiteStatus::Destroyed => return Err(RemoveError::Alive),
            Ok(_) | Err(StoreError::Missing(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let resource = sites::resource_at(orphan.found.as_ref(), &mark.site.name).ok_or(RemoveError::Misnamed)?;
        let cx = SiteCx {
            world: &self.world,
            host: self.world.local(),
            secrets,
            mail: None,
            instance: self.instance,
            site: &mark.site,
            job: mark.job,
            pace: self.pace,
            intent: Intent::Change,
            baseline: None,
            hashes: None,
        };
        warn!(found = %orphan.found, site = %mark.site.name, job = %mark.job, "removing an orphan of an unknown job by hand");
        resource.remove(&cx).await?;
        Ok(())
    }
}
