//! Pages of a site, requested as a visitor would.

use hostplane_domain::baseline::{Baseline, PageClass};
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::render::caddy::MAINTENANCE_PAGE;
use hostplane_infra::probe::Page;
use tokio::time::{Instant, sleep};

use crate::context::SiteCx;

/// The page that visitors see first.
pub(crate) const FRONT_PAGE: &str = "/";

/// The fault of a page; `None` when it has content, or is the maintenance page of a suspended site.
pub(crate) async fn fault(cx: &SiteCx<'_>, want: &DesiredSite, path: &str) -> Option<String> {
    match cx.world.probe.get(&want.url, path).await {
        Ok(page) if want.suspended => maintenance_fault(&page),
        Ok(page) => page.fault(),
        Err(error) => Some(error.to_string()),
    }
}

/// The fault of a page of a site that was changed: what is worse than before. `None` when nothing is.
pub(crate) async fn worse(cx: &SiteCx<'_>, want: &DesiredSite, path: &str, baseline: &Baseline) -> Option<String> {
    let found = cx.world.probe.get(&want.url, path).await;
    if want.suspended {
        return found.map_or_else(|error| Some(error.to_string()), |page| maintenance_fault(&page));
    }
    let class = found.as_ref().map_or(PageClass::Silent, Page::class);
    if baseline.is_met_by(path, class) {
        return None;
    }
    let answer = match found {
        Ok(page) => page.fault().unwrap_or_else(|| format!("status {}", page.status)),
        Err(error) => error.to_string(),
    };
    Some(format!("{answer}, which is worse than before the change ({})", baseline.of(path)))
}

/// The classes of a site's answers before its change.
pub(crate) async fn baseline(cx: &SiteCx<'_>, before: &DesiredSite, paths: &[&str]) -> Baseline {
    let mut classes = Vec::new();
    // Behind the maintenance page nothing of the site shows.
    for path in paths.iter().filter(|_| !before.suspended) {
        let begun = Instant::now();
        let class = loop {
            let class = cx.world.probe.get(&before.url, path).await.as_ref().map_or(PageClass::Silent, Page::class);
            // A passing fault must not become the measure.
            if class != PageClass::Silent || begun.elapsed() >= cx.pace.serving_patience / 3 {
                break class;
            }
            sleep(cx.pace.serving_pause).await;
        };
        classes.push(((*path).to_owned(), class));
    }
    Baseline::new(classes)
}

fn maintenance_fault(page: &Page) -> Option<String> {
    let is_maintenance = page.status == 503 && page.body == MAINTENANCE_PAGE.as_bytes();
    (!is_maintenance).then(|| format!("status {} and not the maintenance page", page.status))
}
