//! The site that an event of the Engine is about. Events are hints: each causes a check, and nothing else.

use std::collections::BTreeMap;
use std::str::FromStr;

use hostplane_domain::ids::SiteId;
use hostplane_domain::mark::LABEL_SITE_ID;
use hostplane_domain::naming;
use hostplane_infra::containers::EngineEvent;

use super::Reconciler;
use crate::inventory::snapshot::Depth;
use crate::store::{StoreError, Stored};

/// The event of changed limits, which no list shows.
const UPDATED: &str = "update";

impl Reconciler {
    /// The site that an event is about, and the depth of its check.
    pub(super) async fn concerned(&self, event: &EngineEvent) -> Stored<Option<(SiteId, Depth)>> {
        let depth = if event.action == UPDATED { Depth::Deep } else { Depth::Shallow };
        if let Some(site) = event.labels.get(LABEL_SITE_ID) {
            return Ok(SiteId::from_str(site).ok().map(|site| (site, depth)));
        }
        // Events of volumes and networks carry no labels.
        let Some(name) = naming::site_of(&event.name) else { return Ok(None) };
        match self.store.site(&name).await {
            Ok(site) => Ok(Some((site.site.id, depth))),
            Err(StoreError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Sites to be checked again, each once and at the greatest depth requested.
#[derive(Debug, Default)]
pub(super) struct RecheckQueue(BTreeMap<SiteId, Depth>);

impl RecheckQueue {
    pub fn add(&mut self, site: SiteId, depth: Depth) {
        let known = self.0.entry(site).or_insert(depth);
        *known = (*known).max(depth);
    }

    pub fn remove(&mut self, site: SiteId) -> Option<Depth> {
        self.0.remove(&site)
    }
}
