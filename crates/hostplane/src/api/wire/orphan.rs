//! Orphans.

use hostplane_domain::ids::{JobId, SiteId};
use hostplane_engine::app::OrphanView;
use serde::{Deserialize, Serialize};

use super::time::time;

/// A resource with the installation's mark that no site accounts for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orphan {
    pub id: String,
    pub kind: String,
    pub name: String,
    /// The site in its mark.
    pub site: String,
    pub site_id: SiteId,
    /// The job in its mark.
    pub job: JobId,
    pub reason: String,
    pub detail: String,
    pub first_seen: String,
}

/// All orphans.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orphans {
    pub items: Vec<Orphan>,
}

impl From<OrphanView> for Orphan {
    fn from(orphan: OrphanView) -> Self {
        Self {
            id: orphan.id.as_str().to_owned(),
            kind: orphan.kind.to_string(),
            name: orphan.name,
            site: orphan.site.name.to_string(),
            site_id: orphan.site.id,
            job: orphan.job,
            reason: orphan.reason.as_str().to_owned(),
            detail: orphan.detail,
            first_seen: time(orphan.first_seen),
        }
    }
}
