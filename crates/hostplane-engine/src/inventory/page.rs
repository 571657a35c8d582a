//! Pages of a site, requested as a visitor would.

use hostplane_domain::baseline::{Baseline, PageClass};
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::health::Condition;
use hostplane_domain::render::caddy::MAINTENANCE_PAGE;
use hostplane_infra::probe::Page;
use tokio::time::{Instant, sleep};

use super::health;
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

/// The fault of a site in service that its owner can't want: what its WordPress says, or an answer that is none. A
/// redirect, a refusal or an announcement is the owner's decision.
pub(crate) async fn fault_in_service(cx: &SiteCx<'_>, want: &DesiredSite, asks_wordpress: bool) -> Option<String> {
    if want.suspended || !asks_wordpress {
        return fault(cx, want, FRONT_PAGE).await;
    }
    let wordpress = health::ask(cx, want).await;
    if wordpress.condition == Condition::Failing {
        return wordpress.why;
    }
    let page = match cx.world.probe.get(&want.url, FRONT_PAGE).await {
        Ok(page) => page,
        Err(error) => return Some(error.to_string()),
    };
    let is_owners = match page.class() {
        PageClass::Full | PageClass::Redirect | PageClass::Refused | PageClass::Unavailable => true,
        PageClass::Blank => wordpress.condition == Condition::Serving && page.has_other_content(),
        PageClass::Error | PageClass::Silent => false,
    };
    if is_owners { None } else { Some(with_cause(cx, want, FRONT_PAGE, &page).await) }
}

/// The fault of a page, and its cause as far as WordPress knows it.
async fn with_cause(cx: &SiteCx<'_>, want: &DesiredSite, path: &str, page: &Page) -> String {
    let fault = page.fault().unwrap_or_else(|| format!("status {}", page.status));
    let cause = if page.class() == PageClass::Error { health::cause(cx, want, path).await } else { None };
    cause.map_or(fault.clone(), |cause| format!("{fault}: {cause}"))
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
        Ok(page) => with_cause(cx, want, path, &page).await,
        Err(error) => error.to_string(),
    };
    Some(format!("{answer}, which is worse than before the change ({})", baseline.of(path)))
}

/// The condition of a site's WordPress, where it is to be asked, and the classes of its answers before its change.
pub(crate) async fn baseline(cx: &SiteCx<'_>, before: &DesiredSite, paths: &[&str], asks_wordpress: bool) -> Baseline {
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
    let condition =
        if asks_wordpress && !before.suspended { Some(health::ask(cx, before).await.condition) } else { None };
    Baseline::new(condition, classes)
}

fn maintenance_fault(page: &Page) -> Option<String> {
    let is_maintenance = page.status == 503 && page.body == MAINTENANCE_PAGE.as_bytes();
    (!is_maintenance).then(|| format!("status {} and not the maintenance page", page.status))
}
