//! The site's Caddy snippet, loaded.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::Owner;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_domain::render::caddy;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::error::Effect;
use hostplane_infra::proxy::RouteSpec;

use super::{Resource, present};
use crate::context::SiteCx;
use crate::inventory::ObjectKind;
use crate::inventory::snapshot::{Fact, Snapshot};

/// `<site>.caddy`.
pub(crate) struct Route {
    needs: &'static [ResourceKind],
}

impl Route {
    /// A route to the containers that it needs.
    pub const fn to(needs: &'static [ResourceKind]) -> Self {
        Self { needs }
    }

    /// The hash of this release's route of the site in service, if it is suspended, and the other way round. A site
    /// whose data is gone has the maintenance page, and its own route again after that: no release explains it.
    fn other_hash(&self, want: &DesiredSite) -> SpecHash {
        self.spec_hash(&DesiredSite { suspended: !want.suspended, ..want.clone() })
    }
}

#[async_trait]
impl Resource for Route {
    fn kind(&self) -> ResourceKind {
        ResourceKind::Route
    }

    fn needs(&self) -> &'static [ResourceKind] {
        self.needs
    }

    fn object(&self) -> Option<ObjectKind> {
        Some(ObjectKind::Route)
    }

    fn spec_hash(&self, want: &DesiredSite) -> SpecHash {
        SpecHash::of(&caddy::route(want))
    }

    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let route = match &seen.route {
            Fact::Known(route) => route,
            Fact::Unknown(why) => return Observed::Unknown(why.clone()),
            Fact::NotObserved => return Observed::NotObserved,
        };
        let Some(snippet) = &route.snippet else {
            // A removal that broke off before Caddy reloaded leaves a route that is on no disk.
            return match (want, route.may_be_served) {
                (None, true) => Observed::Unknown("Caddy may serve it though its file is gone".to_owned()),
                _ => Observed::Absent,
            };
        };
        let mut differs = Vec::new();
        let mut differ = |reason, field, wanted: &str, found: &str| {
            let (wanted, found) = (wanted.to_owned(), found.to_owned());
            differs.push(Difference { reason, field, wanted, found, remedy: Remedy::InPlace });
        };
        if let Some(want) = want {
            // The first line is the mark, which names the job.
            if snippet.contents.split_once('\n').map(|(_, body)| body) != Some(caddy::route(want).as_str()) {
                differ(Reason::Configuration, "contents", "as generated", "changed");
            }
            if !snippet.loaded {
                differ(Reason::NotLoaded, "loaded", "yes", "unknown");
            }
        }
        let owner = cx.owner(snippet.mark.as_ref());
        match (&owner, want) {
            (Owner::Ours(mark), Some(want)) if mark.spec == self.other_hash(want) => {
                Observed::Present { owner, differs }
            }
            _ => present(self, cx, owner, want, differs),
        }
    }

    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let mark = self.mark(cx, want);
        let contents = caddy::snippet(want, &mark);
        cx.host.proxy.put_route(&RouteSpec { mark, hosts: vec![want.url.host.clone()], contents }).await
    }

    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()> {
        cx.host.proxy.remove_route(cx.instance, cx.site).await
    }
}
