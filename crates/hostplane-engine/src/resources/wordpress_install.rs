//! WordPress installed into the database. Its marker is an option that is written after everything else.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::SiteId;
use hostplane_domain::mark::Owner;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::Reason;
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::error::Effect;
use hostplane_infra::wordpress::{Installation, WordpressFacts};

use super::{Resource, container, within_ours};
use crate::context::SiteCx;
use crate::inventory::snapshot::{Fact, Snapshot};
use crate::inventory::{ObjectKind, ScanTargets};
use crate::secrets;

/// WordPress's tables in the database `wp_<site>`.
pub(crate) struct WordpressInstall;

#[async_trait]
impl Resource for WordpressInstall {
    fn kind(&self) -> ResourceKind {
        ResourceKind::WordpressInstall
    }

    fn needs(&self) -> &'static [ResourceKind] {
        &[ResourceKind::Database, ResourceKind::WordpressFiles]
    }

    fn object(&self) -> Option<ObjectKind> {
        None
    }

    fn scan_targets(&self, site: &SiteName, targets: &mut ScanTargets) {
        targets.wordpress = Some(naming::php_container(site));
    }

    fn spec_hash(&self, want: &DesiredSite) -> SpecHash {
        SpecHash::of(&(naming::of(self.kind(), &want.site.name), want.site.id, want.url.to_string()))
    }

    fn within(&self) -> Option<ResourceKind> {
        Some(ResourceKind::Database)
    }

    fn holds_data(&self) -> bool {
        true
    }

    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let tenant = match &seen.tenant {
            Fact::Known(tenant) => tenant,
            Fact::Unknown(why) => return Observed::Unknown(why.clone()),
            Fact::NotObserved => return Observed::NotObserved,
        };
        let owner = tenant.as_ref().map(|tenant| cx.owner(tenant.ledger.as_ref()));
        observe_marker(cx, self.kind(), owner, want, seen, |facts| facts.installed)
    }

    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let php = container::running(cx, ResourceKind::PhpContainer).await?;
        let installation = Installation {
            site: cx.site.id,
            url: want.url.clone(),
            details: want.wordpress().details.clone(),
            admin_password: secrets::admin_password(cx.secrets, cx.site.id, want.admin_generation),
        };
        cx.host.wordpress.install(&php.id, &installation).await
    }

    async fn remove(&self, _cx: &SiteCx<'_>) -> Effect<()> {
        Ok(())
    }
}

/// Compares a marker: the owner of its volume or database, and the site id that it holds.
pub(super) fn observe_marker(
    cx: &SiteCx<'_>,
    kind: ResourceKind,
    container_owner: Option<Owner>,
    want: Option<&DesiredSite>,
    seen: &Snapshot,
    marker: fn(&WordpressFacts) -> Option<SiteId>,
) -> Observed {
    // Another owner's volume or database is reported there.
    let (Some(Owner::Ours(mark)), Some(_)) = (container_owner, want) else { return Observed::Absent };
    match &seen.wordpress {
        Fact::NotObserved => Observed::NotObserved,
        Fact::Unknown(why) => Observed::Unknown(why.clone()),
        Fact::Known(facts) => match marker(facts) {
            None => Observed::Absent,
            Some(id) if id == cx.site.id => within_ours(mark, Vec::new()),
            Some(id) => within_ours(
                mark,
                vec![Difference {
                    reason: Reason::Data,
                    field: if kind == ResourceKind::WordpressFiles { "unpacked" } else { "installed" },
                    wanted: cx.site.id.to_string(),
                    found: id.to_string(),
                    remedy: Remedy::DataLoss,
                }],
            ),
        },
    }
}
