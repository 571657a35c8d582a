//! Staleness: the control database is stale when it was restored from an old copy.
//!
//! A stale database doesn't know the jobs that made some of the objects. Its desired states may be wrong, and an object
//! that seems to be left over may belong to a live site. While it is stale, nothing is repaired, rolled back, rotated
//! or collected.

use std::sync::Arc;

use hostplane_domain::ids::JobId;
use hostplane_domain::mark::Owner;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::{Node, Observed};
use hostplane_infra::databases::{TenantFacts, Tenants};

use crate::context::SiteCx;
use crate::inventory::{OwnedObject, ScanError};
use crate::orphans::Orphans;
use crate::store::{Store, Stored};

/// Answers whether the database is stale, from a recent scan if there is one.
#[derive(Clone)]
pub(crate) struct Staleness {
    store: Store,
    orphans: Arc<Orphans>,
}

impl Staleness {
    pub fn new(store: Store, orphans: Arc<Orphans>) -> Self {
        Self { store, orphans }
    }

    /// Objects made by jobs that the journal doesn't know. The database is stale while there are any.
    ///
    /// # Errors
    /// When there was no recent scan, and the world or the database can't be read now.
    pub async fn unknown_objects(&self) -> Result<Arc<Vec<OwnedObject>>, ScanError> {
        self.orphans.unknown().await
    }

    /// True while the database is stale.
    ///
    /// # Errors
    /// See [`Staleness::unknown_objects`].
    pub async fn is_stale(&self) -> Result<bool, ScanError> {
        Ok(!self.unknown_objects().await?.is_empty())
    }

    /// True when a provision must not be rolled back: the database is stale, or the world shows that the site was
    /// confirmed, and perhaps used, after the copy had been taken.
    ///
    /// # Errors
    /// See [`Staleness::unknown_objects`].
    pub async fn forbids_removal(&self, cx: &SiteCx<'_>) -> Result<bool, ScanError> {
        if self.is_stale().await? {
            return Ok(true);
        }
        let tenants = cx.world.databases.tenants(&Tenants::Of(cx.site.name.clone())).await?;
        // The journal knows of a confirmation before the world does.
        let was_confirmed =
            |tenant: TenantFacts| tenant.confirmed && matches!(cx.owner(tenant.ledger.as_ref()), Owner::Ours(_));
        Ok(tenants.into_iter().any(was_confirmed))
    }

    /// The first resource of a site that was made by a job unknown to the journal, with that job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unknown_maker(&self, nodes: &[Node]) -> Stored<Option<(ResourceKind, JobId)>> {
        let makers = nodes.iter().filter_map(|node| match &node.observed {
            Observed::Present { owner: Owner::Ours(mark), .. } => Some((node.kind, mark.job)),
            _ => None,
        });
        let makers: Vec<(ResourceKind, JobId)> = makers.collect();
        let known = self.store.origins(&makers.iter().map(|(_, job)| *job).collect()).await?;
        Ok(makers.into_iter().find(|(_, job)| !known.know(*job)))
    }
}
