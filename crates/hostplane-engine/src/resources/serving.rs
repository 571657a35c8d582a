//! The site answers from outside with content, or with the maintenance page while it is suspended: what confirms it.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::kind::Kind;
use hostplane_domain::observed::Observed;
use hostplane_domain::render::caddy::MAINTENANCE_PAGE;
use hostplane_infra::error::{Effect, EffectError};
use tokio::time::{Instant, sleep};

use super::Resource;
use crate::context::SiteCx;
use crate::snapshot::Snapshot;

/// What has to answer: the front page, and the page that every administrator needs.
const PATHS: [&str; 2] = ["/", "/wp-login.php"];

/// The site as visitors see it.
pub(super) struct Serving;

#[async_trait]
impl Resource for Serving {
    fn kind(&self) -> Kind {
        Kind::Serving
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::WordpressInstall, Kind::Route]
    }

    fn inside(&self) -> Option<Kind> {
        Some(Kind::Route)
    }

    /// A snapshot doesn't show it: it is asked when it is ensured.
    fn observe(&self, _cx: &SiteCx<'_>, want: Option<&DesiredSite>, _seen: &Snapshot) -> Observed {
        if want.is_some() { Observed::Unknown("not asked".to_owned()) } else { Observed::Absent }
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

async fn fault(cx: &SiteCx<'_>, want: &DesiredSite, path: &str) -> Option<String> {
    match cx.world.probe.get(&want.url, path).await {
        Ok(page) if want.suspended => {
            let is_maintenance = page.status == 503 && page.body == MAINTENANCE_PAGE.as_bytes();
            (!is_maintenance).then(|| format!("status {} and not the maintenance page", page.status))
        }
        Ok(page) => page.fault(),
        Err(error) => Some(error.to_string()),
    }
}
