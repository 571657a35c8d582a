//! One page of a site, requested as a visitor would.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::render::caddy::MAINTENANCE_PAGE;

use crate::context::SiteCx;

/// The page that visitors see first.
pub(crate) const FRONT_PAGE: &str = "/";

/// The fault of a page; `None` when it has content, or is the maintenance page of a suspended site.
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
