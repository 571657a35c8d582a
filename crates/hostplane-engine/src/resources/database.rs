//! The site's database, its user and its grants.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_domain::secret::{Purpose, mariadb_hash};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::databases::{Grants, TenantFacts, TenantKey, TenantSpec};
use hostplane_infra::error::Effect;

use super::{Resource, present};
use crate::context::SiteCx;
use crate::inventory::ObjectKind;
use crate::inventory::snapshot::{Fact, Snapshot};

/// `wp_<site>` on the database server.
pub(crate) struct Database;

#[async_trait]
impl Resource for Database {
    fn kind(&self) -> ResourceKind {
        ResourceKind::Database
    }

    fn needs(&self) -> &'static [ResourceKind] {
        &[]
    }

    fn object(&self) -> Option<ObjectKind> {
        Some(ObjectKind::Database)
    }

    fn spec_hash(&self, want: &DesiredSite) -> SpecHash {
        let all = (self.object_name(&want.site.name), want.limits.database_connections, want.secret_version);
        if want.restricted { SpecHash::of(&(all, "restricted")) } else { SpecHash::of(&all) }
    }

    fn holds_data(&self) -> bool {
        true
    }

    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let tenant = match &seen.tenant {
            Fact::Known(Some(tenant)) => tenant,
            Fact::Known(None) => return Observed::Absent,
            Fact::Unknown(why) => return Observed::Unknown(why.clone()),
            Fact::NotObserved => return Observed::NotObserved,
        };
        let owner = cx.owner(tenant.ledger.as_ref());
        let differs = want.map(|want| differences(&spec(cx, want), tenant)).unwrap_or_default();
        present(self, cx, owner, want, differs)
    }

    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        cx.world.databases.ensure_tenant(&spec(cx, want)).await
    }

    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()> {
        let tenant = TenantKey { instance: cx.instance, site: cx.site.clone() };
        cx.world.databases.remove_tenant(&tenant).await
    }
}

fn spec(cx: &SiteCx<'_>, want: &DesiredSite) -> TenantSpec {
    let password = cx.secret(want).site_password(Purpose::SiteDatabase, cx.site.id, want.secret_version);
    TenantSpec {
        mark: Database.mark(cx, want),
        password_hash: mariadb_hash(&password),
        max_connections: want.limits.database_connections,
        restricted: want.restricted,
    }
}

fn differences(spec: &TenantSpec, found: &TenantFacts) -> Vec<Difference> {
    let mut differs = Vec::new();
    let mut differ = |reason, field, wanted: String, found: String, remedy| {
        if wanted != found {
            differs.push(Difference { reason, field, wanted, found, remedy });
        }
    };
    let presence = |there: bool| if there { "present" } else { "absent" }.to_owned();
    differ(Reason::Absent, "database", presence(true), presence(found.database), Remedy::DataLoss);
    differ(Reason::Grants, "user", presence(true), presence(found.user.is_some()), Remedy::InPlace);
    if let Some(user) = &found.user {
        // Not even the hash is shown.
        let same = |same: bool| if same { "as derived" } else { "another" }.to_owned();
        differ(Reason::Grants, "password", same(true), same(user.password_hash == spec.password_hash), Remedy::InPlace);
        let grants = if spec.restricted { Grants::Restricted } else { Grants::All };
        differ(Reason::Grants, "grants", words(grants), words(user.grants), Remedy::InPlace);
        differ(
            Reason::Grants,
            "connections",
            spec.max_connections.to_string(),
            user.max_connections.to_string(),
            Remedy::InPlace,
        );
    }
    differs
}

fn words(grants: Grants) -> String {
    match grants {
        Grants::All => "exact",
        Grants::Restricted => "restricted",
        Grants::Others => "others",
    }
    .to_owned()
}
