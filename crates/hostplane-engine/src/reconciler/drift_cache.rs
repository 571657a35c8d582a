//! In-memory cache of each site's drift; rebuilt by scanning, never persisted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostplane_domain::drift::{Drift, Remediation};
use hostplane_domain::ids::SiteId;
use hostplane_domain::mark::SiteRef;
use hostplane_domain::observed::Reason;
use hostplane_infra::clock::Timestamp;
use metrics::counter;
use tracing::{info, warn};

use crate::inventory::snapshot::Depth;
use crate::resources::Resource;
use crate::sites;

/// Drift of all sites, as last detected.
#[derive(Default)]
pub(crate) struct DriftCache(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Time of the last full scan.
    scanned_at: Option<Timestamp>,
    /// The reason why the last full scan was incomplete.
    trouble: Option<String>,
    /// Sites with drift.
    sites: BTreeMap<SiteId, CachedSite>,
    /// Time of each site's last deep scan.
    deep_scanned: HashMap<SiteId, Timestamp>,
}

struct CachedSite {
    site: SiteRef,
    drifts: Vec<Drift>,
    at: Timestamp,
}

/// Drift of one site, as last detected.
#[derive(Debug, Clone)]
pub struct SiteDrift {
    /// The site.
    pub site: SiteRef,
    /// Its drifts, at least one.
    pub drifts: Vec<Drift>,
    /// Time of the scan.
    pub seen_at: Timestamp,
}

/// Drift of all sites, as last detected.
#[derive(Debug, Clone)]
pub struct DriftReport {
    /// Time of the last full scan; `None` before the first since the control plane's start.
    pub scanned_at: Option<Timestamp>,
    /// The reason why the last full scan was incomplete.
    pub trouble: Option<String>,
    /// Sites with drift, by name.
    pub sites: Vec<SiteDrift>,
}

/// True for a drift that only a deep scan shows.
pub(super) fn is_deep(drift: &Drift) -> bool {
    let shown_by = sites::resource(drift.kind).map_or(Depth::Shallow, Resource::shown_by);
    (shown_by == Depth::Deep && drift.reason != Reason::LeftOver) || drift.reason == Reason::Limits
}

/// True for a drift that waits for an upgrade.
fn waits(drift: &Drift) -> bool {
    drift.remediation == Remediation::Upgrade
}

impl DriftCache {
    /// Records the result of a shallow scan of a site. Drift that only a deep scan shows stays.
    pub fn record_shallow(&self, site: &SiteRef, mut drifts: Vec<Drift>, at: Timestamp) {
        let mut inner = self.lock();
        let before = inner.sites.get(&site.id);
        // What waits for an upgrade shows in marks too: without such a mark, the upgrade has been made since.
        let any_waits = drifts.iter().any(waits);
        let is_kept = |drift: &&Drift| is_deep(drift) && (any_waits || !waits(drift));
        let kept = before.iter().flat_map(|before| &before.drifts).filter(is_kept);
        let kept: Vec<Drift> =
            kept.filter(|kept| !drifts.iter().any(|drift| drift.kind == kept.kind)).cloned().collect();
        drifts.extend(kept);
        inner.set(site, drifts, at);
    }

    /// Records the result of a deep scan of a site.
    pub fn record_deep(&self, site: &SiteRef, drifts: Vec<Drift>, at: Timestamp) {
        let mut inner = self.lock();
        inner.deep_scanned.insert(site.id, at);
        inner.set(site, drifts, at);
    }

    /// Forgets a site that is no longer in service.
    pub fn forget(&self, site: SiteId) {
        let mut inner = self.lock();
        inner.sites.remove(&site);
        inner.deep_scanned.remove(&site);
    }

    /// Records a full scan, and forgets all sites but these, which are in service.
    pub fn complete_scan(&self, at: Timestamp, trouble: Option<String>, sites: &HashSet<SiteId>) {
        let mut inner = self.lock();
        (inner.scanned_at, inner.trouble) = (Some(at), trouble);
        inner.sites.retain(|site, _| sites.contains(site));
        inner.deep_scanned.retain(|site, _| sites.contains(site));
    }

    /// Records a full scan that failed.
    pub fn fail_scan(&self, why: String) {
        self.lock().trouble = Some(why);
    }

    /// Sites for the next deep scans: up to `share` sites with drift that only those show, then the `share` others whose
    /// last deep scan is longest ago.
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

    /// The drift of all sites.
    pub fn report(&self) -> DriftReport {
        let inner = self.lock();
        let mut sites: Vec<SiteDrift> = inner.sites.values().map(CachedSite::shown).collect();
        sites.sort_by(|one, other| one.site.name.cmp(&other.site.name));
        DriftReport { scanned_at: inner.scanned_at, trouble: inner.trouble.clone(), sites }
    }

    /// The drift of one site; `None` when none is known.
    pub fn of_site(&self, site: SiteId) -> Option<SiteDrift> {
        self.lock().sites.get(&site).map(CachedSite::shown)
    }

    /// True when a resource of the site waits for an upgrade.
    pub fn waits_for_upgrade(&self, site: SiteId) -> bool {
        self.lock().sites.get(&site).is_some_and(|site| site.drifts.iter().any(waits))
    }

    /// Notes that a job has made everything of the site by this release.
    pub fn upgraded(&self, site: SiteId) {
        let mut inner = self.lock();
        if let Some(known) = inner.sites.get_mut(&site) {
            known.drifts.retain(|drift| !waits(drift));
            if known.drifts.is_empty() {
                inner.sites.remove(&site);
            }
        }
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
            warn!(site = %site.name, resource = %kind, %reason, %remediation, detail, "drift detected");
            counter!("hostplane_drifts_detected_total", "reason" => reason.as_str()).increment(1);
        }
        for gone in before.iter().filter(|known| !drifts.iter().any(|drift| same(known, drift))) {
            info!(site = %site.name, resource = %gone.kind, reason = %gone.reason, "drift resolved");
        }
        if drifts.is_empty() {
            self.sites.remove(&site.id);
        } else {
            self.sites.insert(site.id, CachedSite { site: site.clone(), drifts, at });
        }
    }
}
