//! The nginx container: on the site's own network and on the one shared with Caddy.

use async_trait::async_trait;
use hostplane_domain::container as spec;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::kind::Kind;
use hostplane_domain::naming;
use hostplane_domain::observed::Observed;
use hostplane_infra::error::Effect;

use super::{Resource, container};
use crate::context::SiteCx;
use crate::snapshot::Snapshot;

const KIND: Kind = Kind::NginxContainer;

/// `nginx_<site>`.
pub(super) struct NginxContainer;

#[async_trait]
impl Resource for NginxContainer {
    fn kind(&self) -> Kind {
        KIND
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Network, Kind::Settings]
    }

    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let networks = [naming::network(&cx.site.name)];
        container::observe(cx, KIND, &naming::nginx_container(&cx.site.name), &networks, want, seen)
    }

    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let networks = [naming::network(&cx.site.name)];
        container::ensure(cx, KIND, &spec::nginx(want), &networks, want).await
    }

    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()> {
        container::remove(cx, &naming::nginx_container(&cx.site.name)).await
    }
}
