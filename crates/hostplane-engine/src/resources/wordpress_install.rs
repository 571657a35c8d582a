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
use hostplane_infra::wordpress::{Installation, TablesFound, WordpressFacts};

use super::{Resource, container, within_ours};
use crate::context::{Intent, SiteCx};
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
        observe_within(owner, want, seen, |facts| differences(cx, facts))
    }

    /// Installs WordPress for a new site. The tables of a site in service are its owner's: they are marked again.
    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let php = container::running(cx, ResourceKind::PhpContainer).await?;
        if cx.intent != Intent::New {
            return cx.host.wordpress.mark_tables(&php.id, cx.site.id).await;
        }
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

/// The differences of the tables from WordPress's, marked; `None` when they aren't there.
fn differences(cx: &SiteCx<'_>, facts: &WordpressFacts) -> Option<Vec<Difference>> {
    let is_marked = facts.installed == Some(cx.site.id);
    if facts.tables == TablesFound::Nothing || (cx.intent == Intent::New && !is_marked) {
        return None;
    }
    if facts.tables == TablesFound::Other {
        let (wanted, found) = ("the site's prefix", "another prefix");
        return Some(vec![Difference {
            reason: Reason::Data,
            field: "tables",
            wanted: wanted.to_owned(),
            found: found.to_owned(),
            remedy: Remedy::Operator,
        }]);
    }
    Some(if is_marked { Vec::new() } else { vec![marker("installed", facts.installed, cx, Remedy::InPlace)] })
}

/// The difference of a marker that is missing, or is another site's.
pub(super) fn marker(field: &'static str, found: Option<SiteId>, cx: &SiteCx<'_>, remedy: Remedy) -> Difference {
    let found = found.map_or_else(|| "none".to_owned(), |id| id.to_string());
    Difference { reason: Reason::Marker, field, wanted: cx.site.id.to_string(), found, remedy }
}

/// Compares what lies within a volume or database of ours, by the facts that only the site's PHP shows.
pub(super) fn observe_within(
    owner: Option<Owner>,
    want: Option<&DesiredSite>,
    seen: &Snapshot,
    differences: impl Fn(&WordpressFacts) -> Option<Vec<Difference>>,
) -> Observed {
    // Another owner's volume or database is reported there.
    let (Some(Owner::Ours(mark)), Some(_)) = (owner, want) else { return Observed::Absent };
    match &seen.wordpress {
        Fact::NotObserved => Observed::NotObserved,
        Fact::Unknown(why) => Observed::Unknown(why.clone()),
        Fact::Known(facts) => differences(facts).map_or(Observed::Absent, |differs| within_ours(mark, differs)),
    }
}
