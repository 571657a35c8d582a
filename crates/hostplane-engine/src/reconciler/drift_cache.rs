//! What was last seen of each site. It lives in memory: another look tells more than what was once written down.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostplane_domain::drift::Drift;
use hostplane_domain::ids::SiteId;
use hostplane_domain::mark::SiteRef;
use hostplane_domain::observed::Reason;
use hostplane_infra::clock::Timestamp;
use metrics::counter;
use tracing::{info, warn};

use crate::inventory::snapshot::Depth;
use crate::sites;

/// The drift_cache.
#[derive(Default)]
pub(crate) struct DriftCache(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// When everything was last looked at.
    scanned_at: Option<Timestamp>,
    /// Why the last look at everything did not see it all.
    trouble: Option<String>,
    /// Sites that are not as they should be.
    sites: BTreeMap<SiteId, CachedSite>,
    /// When each site was last looked into.
    deep_scanned: HashMap<SiteId, Timestamp>,
}

struct CachedSite {
    site: SiteRef,
    drifts: Vec<Drift>,
    at: Timestamp,
}

/// What is not as it should be of a site, as last seen.
#[derive(Debug, Clone)]
pub struct SiteDrift {
    /// Which site.
    pub site: SiteRef,
    /// What, and why.
    pub drifts: Vec<Drift>,
    /// When that was seen.
    pub seen_at: Timestamp,
}

/// All that is not as it should be, as last seen.
#[derive(Debug, Clone)]
pub struct DriftReport {
    /// When everything was last looked at; `None` when it never was since the control plane began.
    pub scanned_at: Option<Timestamp>,
    /// Why not everything could be seen at the last look.
    pub trouble: Option<String>,
    /// Sites with something that is not as it should be.
    pub sites: Vec<SiteDrift>,
}

/// True for a drift that only a deep scan shows.
fn is_deep(drift: &Drift) -> bool {
    let shown_by = sites::resource(drift.kind).map_or(Depth::Shallow, |resource| resource.shown_by());
    (shown_by == Depth::Deep && drift.reason != Reason::LeftOver) || drift.reason == Reason::Limits
}

impl DriftCache {
    /// Lists showed this of a site. What was seen inside stays until the next look inside.
    pub fn record_shallow(&self, site: &SiteRef, mut drifts: Vec<Drift>, at: Timestamp) {
        let mut inner = self.lock();
        let before = inner.sites.get(&site.id);
        let kept = before.iter().flat_map(|before| &before.drifts).filter(|drift| is_deep(drift));
        let kept: Vec<Drift> =
            kept.filter(|kept| !drifts.iter().any(|drift| drift.kind == kept.kind)).cloned().collect();
        drifts.extend(kept);
        inner.set(site, drifts, at);
    }

    /// A look inside showed this of a site.
    pub fn record_deep(&self, site: &SiteRef, drifts: Vec<Drift>, at: Timestamp) {
        let mut inner = self.lock();
        inner.deep_scanned.insert(site.id, at);
        inner.set(site, drifts, at);
    }

    /// The site is not in service any more.
    pub fn forget(&self, site: SiteId) {
        let mut inner = self.lock();
        inner.sites.remove(&site);
        inner.deep_scanned.remove(&site);
    }

    /// Everything was looked at; these sites are in service.
    pub fn complete_scan(&self, at: Timestamp, trouble: Option<String>, sites: &HashSet<SiteId>) {
        let mut inner = self.lock();
        (inner.scanned_at, inner.trouble) = (Some(at), trouble);
        inner.sites.retain(|site, _| sites.contains(site));
        inner.deep_scanned.retain(|site, _| sites.contains(site));
    }

    /// Nothing could be seen.
    pub fn fail_scan(&self, why: String) {
        self.lock().trouble = Some(why);
    }

    /// The sites to look into next: so many of those that nobody looked into for longest, and as many of those that were
    /// not as they should be inside.
    pub fn next_deep(&self, sites: &[SiteId], share: usize) -> Vec<SiteId> {
        let inner = self.lock();
        let is_worse = |site: &&SiteId| inner.sites.get(site).is_some_and(|seen| seen.drifts.iter().any(is_deep));
        let mut next: Vec<SiteId> = sites.iter().filter(is_worse).take(share).copied().collect();
        let taken: HashSet<SiteId> = next.iter().copied().collect();
        let mut rest: Vec<SiteId> = sites.iter().filter(|site| !taken.contains(site)).copied().collect();
        rest.sort_by_key(|site| inner.deep_scanned.get(site).copied());
        next.extend(rest.into_iter().take(share));
        next
    }

    /// All that is not as it should be.
    pub fn report(&self) -> DriftReport {
        let inner = self.lock();
        let mut sites: Vec<SiteDrift> = inner.sites.values().map(CachedSite::shown).collect();
        sites.sort_by(|one, other| one.site.name.cmp(&other.site.name));
        DriftReport { scanned_at: inner.scanned_at, trouble: inner.trouble.clone(), sites }
    }

    /// What is not as it should be of one site; `None` when nothing is known to be wrong with it.
    pub fn of_site(&self, site: SiteId) -> Option<SiteDrift> {
        self.lock().sites.get(&site).map(CachedSite::shown)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The value is whole at any moment, so a panic elsewhere doesn't spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedSite {
    fn shown(&self) -> SiteDrift {
        SiteDrift { site: self.site.clone(), drifts: self.drifts.clone(), seen_at: self.at }
    }
}

impl Inner {
    fn set(&mut self, site: &SiteRef, drifts: Vec<Drift>, at: Timestamp) {
        let before = self.sites.get(&site.id).map(|before| before.drifts.as_slice()).unwrap_or_default();
        let same = |one: &Drift, other: &Drift| (one.kind, one.reason) == (other.kind, other.reason);
        for drift in drifts.iter().filter(|drift| !before.iter().any(|known| same(known, drift))) {
            let Drift { kind, reason, remediation, detail } = drift;
            warn!(site = %site.name, resource = %kind, %reason, %remediation, detail, "drift");
            counter!("hostplane_drifts_detected_total", "reason" => reason.as_str()).increment(1);
        }
        for gone in before.iter().filter(|known| !drifts.iter().any(|drift| same(known, drift))) {
            info!(site = %site.name, resource = %gone.kind, reason = %gone.reason, "a drift is gone");
        }
        if drifts.is_empty() {
            self.sites.remove(&site.id);
        } else {
            self.sites.insert(site.id, CachedSite { site: site.clone(), drifts, at });
        }
    }
}
