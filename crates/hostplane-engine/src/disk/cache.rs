//! In-memory cache of disk usage; measured anew after a restart, never persisted.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::disk::{DiskSpace, SiteUsage};
use hostplane_domain::ids::SiteId;
use hostplane_domain::name::SiteName;
use hostplane_infra::clock::Timestamp;
use tokio::time::Instant;

/// The disk usage of all sites and the space of the Engine's disk, as last measured.
#[derive(Default)]
pub(crate) struct DiskCache(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    sites: BTreeMap<SiteId, Measured>,
    space: Option<DiskSpace>,
    /// The reason why the last measurement of the Engine's disk failed.
    trouble: Option<String>,
}

struct Measured {
    name: SiteName,
    is_restricted: bool,
    usage: SiteUsage,
    at: Timestamp,
    due: Instant,
}

/// The disk usage of a site, as last measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredUsage {
    /// The usage.
    pub usage: SiteUsage,
    /// The time of the measurement.
    pub at: Timestamp,
}

/// The disk usage of a site among others.
#[derive(Debug, Clone)]
pub struct SiteDisk {
    /// The site.
    pub name: SiteName,
    /// Its usage.
    pub measured: MeasuredUsage,
    /// True while it is restricted.
    pub is_restricted: bool,
}

/// The space of the Engine's disk.
#[derive(Debug, Clone)]
pub struct DiskReport {
    /// As last measured; `None` before the first measurement since the control plane's start.
    pub space: Option<DiskSpace>,
    /// The reason why the last measurement failed.
    pub trouble: Option<String>,
}

impl Measured {
    fn shown(&self) -> SiteDisk {
        let measured = MeasuredUsage { usage: self.usage, at: self.at };
        SiteDisk { name: self.name.clone(), measured, is_restricted: self.is_restricted }
    }
}

impl DiskCache {
    /// Records a measurement of the Engine's disk, and returns the one before.
    pub fn record_space(&self, space: Result<DiskSpace, String>) -> Option<DiskSpace> {
        let mut inner = self.lock();
        let before = inner.space;
        match space {
            Ok(space) => (inner.space, inner.trouble) = (Some(space), None),
            // What was known before is too old to decide on.
            Err(why) => (inner.space, inner.trouble) = (None, Some(why)),
        }
        before
    }

    /// Records a site's usage, which is due again after a pause, and returns the usage before.
    pub fn record(&self, want: &DesiredSite, usage: SiteUsage, at: Timestamp, pause: Duration) -> Option<SiteUsage> {
        let (name, is_restricted, due) = (want.site.name.clone(), want.restricted, Instant::now() + pause);
        let before = self.lock().sites.insert(want.site.id, Measured { name, is_restricted, usage, at, due });
        before.map(|before| before.usage)
    }

    /// The most urgent of the sites that are due: those never measured, then those that have waited longest.
    pub fn due(&self, sites: impl Iterator<Item = SiteId>, within: Duration, most: usize) -> Vec<SiteId> {
        let (inner, until) = (self.lock(), Instant::now() + within);
        let since = |site: SiteId| (inner.sites.get(&site).map(|known| known.due), site);
        let mut due: Vec<_> = sites.map(since).filter(|(due, _)| due.is_none_or(|due| due <= until)).collect();
        due.sort();
        due.into_iter().take(most).map(|(_, site)| site).collect()
    }

    /// Forgets all sites but these, and learns which of them are restricted now.
    pub fn retain(&self, sites: &BTreeMap<SiteId, DesiredSite>) {
        self.lock().sites.retain(|id, known| {
            let want = sites.get(id);
            known.is_restricted = want.is_some_and(|want| want.restricted);
            want.is_some()
        });
    }

    /// The usage of every site that was measured, the largest first.
    pub fn sites(&self) -> Vec<SiteDisk> {
        let inner = self.lock();
        let mut sites: Vec<SiteDisk> = inner.sites.values().map(Measured::shown).collect();
        sites.sort_by_key(|site| Reverse(site.measured.usage.bytes()));
        sites
    }

    /// The usage of a site; `None` until it was measured.
    pub fn of_site(&self, site: SiteId) -> Option<MeasuredUsage> {
        self.lock().sites.get(&site).map(|known| known.shown().measured)
    }

    /// The space of the Engine's disk.
    pub fn report(&self) -> DiskReport {
        let inner = self.lock();
        DiskReport { space: inner.space, trouble: inner.trouble.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The value is whole at any moment, so a panic elsewhere doesn't spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use hostplane_domain::mark::SiteRef;
    use hostplane_testing::specs::hello;
    use uuid::Uuid;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn sites_that_waited_longest_come_first() {
        let cache = DiskCache::default();
        let sites = [1, 2, 3].map(|n| {
            let id = SiteId::new(Uuid::from_u128(n));
            DesiredSite { site: SiteRef { id, ..hello().site }, ..hello() }
        });
        let [one, two, three] = sites.each_ref().map(|want| want.site.id);
        let all = || [one, two, three].into_iter();
        let record = |site: SiteId, pause| {
            let want = sites.iter().find(|want| want.site.id == site).expect("one of them");
            cache.record(want, SiteUsage::default(), Timestamp(0), pause)
        };
        assert_eq!(cache.due(all(), Duration::ZERO, 2), [one, two]);
        assert_eq!(record(one, HOUR), None);
        record(two, HOUR / 2);
        assert_eq!(cache.due(all(), Duration::ZERO, 9), [three]);
        assert_eq!(cache.due(all(), HOUR / 2, 9), [three, two], "in haste");
        tokio::time::advance(HOUR).await;
        assert_eq!(cache.due(all(), Duration::ZERO, 9), [three, two, one]);
        cache.retain(&BTreeMap::from([(one, DesiredSite { restricted: true, ..sites[0].clone() })]));
        assert!(cache.sites()[0].is_restricted);
        assert_eq!((cache.of_site(one).is_some(), cache.of_site(two).is_some()), (true, false));
    }

    #[test]
    fn a_disk_that_could_not_be_measured_is_unknown() {
        let cache = DiskCache::default();
        let space = DiskSpace { total: 9, free: 5, ..DiskSpace::default() };
        assert_eq!(cache.record_space(Ok(space)), None);
        assert_eq!(cache.record_space(Err("no answer".into())), Some(space));
        let report = cache.report();
        assert_eq!((report.space, report.trouble.as_deref()), (None, Some("no answer")));
    }
}
