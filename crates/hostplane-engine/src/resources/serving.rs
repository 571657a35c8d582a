//! The site answers from outside with content, or with the maintenance page while it is suspended: what confirms it.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::Reason;
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_domain::render::caddy::MAINTENANCE_PAGE;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_infra::error::{Effect, EffectError};
use tokio::time::{Instant, sleep};

use super::{Resource, within_ours};
use crate::context::SiteCx;
use crate::inventory::snapshot::{Fact, Snapshot};

/// What visitors see first.
pub(crate) const FRONT_PAGE: &str = "/";
/// What has to answer: the front page, and the page that every administrator needs.
const PATHS: [&str; 2] = [FRONT_PAGE, "/wp-login.php"];

/// The site as visitors see it.
pub(super) struct Serving;

#[async_trait]
impl Resource for Serving {
    fn kind(&self) -> ResourceKind {
        ResourceKind::Serving
    }

    fn needs(&self) -> &'static [ResourceKind] {
        &[ResourceKind::WordpressInstall, ResourceKind::Route]
    }

    fn within(&self) -> Option<ResourceKind> {
        Some(ResourceKind::Route)
    }

    /// Lists don't show it. When all else is as it should be, a page that fails is WordPress's own trouble.
    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let Some(want) = want else { return Observed::Absent };
        let fault = match &seen.page {
            Fact::NotObserved => return Observed::NotObserved,
            Fact::Unknown(why) => return Observed::Unknown(why.clone()),
            Fact::Known(fault) => fault,
        };
        let differs = fault.iter().map(|fault| Difference {
            reason: Reason::Page,
            field: "page",
            wanted: if want.suspended { "the maintenance page" } else { "a page with content" }.to_owned(),
            found: fault.clone(),
            remedy: Remedy::Operator,
        });
        within_ours(cx.mark(ResourceKind::Serving, want), differs.collect())
    }

    /// It is patient by itself.
    fn tries(&self) -> u32 {
        1
    }

    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let begun = Instant::now();
        for path in PATHS {
            while let Some(fault) = fault(cx, want, path).await {
                if begun.elapsed() >= cx.pace.serving_patience {
                    let message = format!("{}{path} answers with {fault}", want.url);
                    return Err(EffectError::transient_message("probe.get", message));
                }
                sleep(cx.pace.serving_pause).await;
            }
        }
        Ok(())
    }

    async fn remove(&self, _cx: &SiteCx<'_>) -> Effect<()> {
        Ok(())
    }
}

/// What is wrong with a page, if anything is.
pub(crate) async fn fault(cx: &SiteCx<'_>, want: &DesiredSite, path: &str) -> Option<String> {
    match cx.world.probe.get(&want.url, path).await {
        Ok(page) if want.suspended => {
            let is_maintenance = page.status == 503 && page.body == MAINTENANCE_PAGE.as_bytes();
            (!is_maintenance).then(|| format!("status {} and not the maintenance page", page.status))
        }
        Ok(page) => page.fault(),
        Err(error) => Some(error.to_string()),
    }
}
