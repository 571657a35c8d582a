//! Disk usage: measured in the background, a few sites at a time, and held against the limits.
//!
//! Sites at their hard limit are restricted, and freed when they have room again, by jobs like any other change: what is
//! enforced stands in the site's desired state, so that it outlasts a restart and no repair takes it back. While the
//! reserve of the Engine's disk is begun, sites that grow are restricted whatever their limit.

mod cache;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::disk::{DiskSpace, FilesUsage, SiteUsage, Size, fills_the_disk};
use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::site_change::SiteChange;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::{Effect, EffectError, chain};
use hostplane_infra::world::World;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

pub(crate) use cache::DiskCache;
pub use cache::{DiskReport, MeasuredUsage, SiteDisk};

use crate::background::backoff::{Backoff, SiteBackoff};
use crate::background::signal::Signal;
use crate::inventory::{ScanError, lookup};
use crate::site_settings::DiskSettings;
use crate::sites;
use crate::staleness::Staleness;
use crate::store::{OrderedBy, SiteFilter, Store, StoreError, Stored};

/// Sites that are measured in one pass.
const SLICE: usize = 20;
/// Sites that are measured at once.
const AT_ONCE: usize = 2;
/// Share of the interval after which a site near a limit is measured again, or every site while the disk fills.
const OFTEN: u32 = 15;
/// Time in which the disk would reach its reserve as it fills now: less is haste.
const AHEAD: u64 = 3600;
/// The pause of a site that could not be restricted or freed.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_hours(1) };
/// Sites that are read at once.
const PAGE: u32 = 500;

/// Measures, and orders restrictions.
pub(crate) struct Disk {
    pub store: Store,
    pub world: World,
    pub instance: InstanceId,
    pub settings: DiskSettings,
    /// Wakes the worker.
    pub signal: Signal,
    pub staleness: Staleness,
    pub cache: Arc<DiskCache>,
}

/// The state that a pass leaves to the next.
#[derive(Default)]
struct Memory {
    /// Sites whose order was given, until it is carried out.
    orders: SiteBackoff,
    ordered: BTreeMap<SiteId, bool>,
    measured_at: Option<Instant>,
    is_reserve_begun: bool,
}

impl Disk {
    /// Measures until it is dropped.
    pub async fn run(&self) {
        let mut memory = Memory::default();
        // A start has better things to do, and `doctor` is asked soon after one.
        let mut pause = self.settings.tick / 8;
        loop {
            sleep(pause).await;
            pause = self.settings.tick;
            match self.pass(&mut memory).await {
                Ok(()) => {}
                Err(ScanError::World(error)) => debug!(error = %error.chain(), "can't measure disk usage now"),
                Err(ScanError::Store(error)) => error!(error = chain(&error), "can't measure disk usage now"),
            }
        }
    }

    async fn pass(&self, memory: &mut Memory) -> Result<(), ScanError> {
        let is_in_haste = self.measure_disk(memory).await;
        let sites = self.in_service().await?;
        self.cache.retain(&sites);
        memory.orders.retain(|site| sites.contains_key(&site));
        memory.ordered.retain(|site, _| sites.contains_key(site));
        let ahead = if is_in_haste { self.settings.interval.saturating_sub(self.often()) } else { Duration::ZERO };
        let due = self.cache.due(sites.keys().copied(), ahead, SLICE);
        if due.is_empty() {
            return Ok(());
        }
        let due: Vec<DesiredSite> = due.iter().filter_map(|site| sites.get(site).cloned()).collect();
        let databases = self.databases(&due).await;
        let measure = |want: DesiredSite| async move {
            let files = self.files(&want).await;
            (want, files)
        };
        let mut files = stream::iter(due).map(measure).buffer_unordered(AT_ONCE);
        while let Some((want, files)) = files.next().await {
            let tenant = naming::database(&want.site.name);
            let database = databases.as_ref().map(|sizes| sizes.get(&tenant).copied().unwrap_or_default());
            self.judge(memory, &want, SiteUsage { files, database }).await?;
        }
        Ok(())
    }

    fn often(&self) -> Duration {
        self.settings.interval / OFTEN
    }

    /// Measures the Engine's disk. True when it fills so fast, or is so full, that all sites have to be watched.
    async fn measure_disk(&self, memory: &mut Memory) -> bool {
        let limits = &self.settings.limits;
        let measured = self.world.local().containers.space(&self.settings.seen_from).await;
        let before = self.cache.record_space(measured.as_ref().copied().map_err(EffectError::chain));
        let elapsed = memory.measured_at.replace(Instant::now()).map_or(0, |at| at.elapsed().as_secs());
        let Ok(space) = measured else { return false };
        let is_begun = limits.is_reserve_begun(&space);
        if is_begun && !memory.is_reserve_begun {
            let (free, reserve) = (Size(space.free), Size(limits.reserve));
            error!(
                %free, %reserve,
                "the reserve of the Engine's disk is begun: no site is made, and sites that grow are restricted; \
                 `hostplane doctor` names the largest"
            );
        } else if memory.is_reserve_begun && !is_begun {
            info!(free = %Size(space.free), "the reserve of the Engine's disk is whole again");
        }
        memory.is_reserve_begun = is_begun;
        limits.is_reserve_near(&space)
            || before.is_some_and(|before| fills_soon(&before, &space, elapsed, limits.reserve))
    }

    /// The sites in service, each as last confirmed.
    async fn in_service(&self) -> Stored<BTreeMap<SiteId, DesiredSite>> {
        let mut sites = BTreeMap::new();
        let mut filter = SiteFilter { status: Some(SiteStatus::Active), limit: PAGE, ..SiteFilter::default() };
        loop {
            // `doctor` names rows that can't be read.
            let page = self.store.sites(&filter).await?.rows;
            let Some(last) = page.last() else { return Ok(sites) };
            filter.after = Some(last.site.site.id);
            sites.extend(page.into_iter().filter_map(|entry| Some((entry.site.site.id, entry.site.spec?))));
        }
    }

    /// The sizes of all databases; those of the sites near a limit without the space that is free inside, as a deleted
    /// row makes no file smaller.
    async fn databases(&self, due: &[DesiredSite]) -> Option<BTreeMap<String, u64>> {
        let is_near = |want: &&DesiredSite| {
            let known = self.cache.of_site(want.site.id);
            want.restricted || known.is_none_or(|known| self.settings.limits.is_near(&known.usage))
        };
        let near: Vec<String> = due.iter().filter(is_near).map(|want| naming::database(&want.site.name)).collect();
        match self.world.databases.sizes(&near).await {
            Ok(sizes) => Some(sizes),
            Err(error) => {
                debug!(error = %error.chain(), "can't measure databases now");
                None
            }
        }
    }

    /// The usage of a site's files, if they can be measured now.
    async fn files(&self, want: &DesiredSite) -> Option<FilesUsage> {
        if !sites::of(want.kind.kind()).has(ResourceKind::FilesVolume) {
            return Some(FilesUsage::default());
        }
        match self.count_files(want).await {
            Ok(files) => Some(files),
            Err(error) => {
                debug!(site = %want.site.name, error = %error.chain(), "can't measure the files of a site now");
                None
            }
        }
    }

    async fn count_files(&self, want: &DesiredSite) -> Effect<FilesUsage> {
        let host = self.world.at(want.host)?;
        let found = lookup::container(host, self.instance, &want.site, ResourceKind::PhpContainer).await?;
        let running = found.filter(|container| container.state == ContainerState::Running);
        let php = running.ok_or_else(|| EffectError::NotFound("the running PHP container of this site".to_owned()))?;
        host.containers.usage(&php.id, naming::DOCROOT).await
    }

    /// Records a site's usage, and orders what follows from it.
    async fn judge(&self, memory: &mut Memory, want: &DesiredSite, usage: SiteUsage) -> Result<(), ScanError> {
        let (site, limits) = (&want.site, &self.settings.limits);
        let is_near = want.restricted || limits.is_near(&usage);
        let pause = if is_near { self.often() } else { self.settings.interval };
        let before = self.cache.record(want, usage, self.world.clock.now(), pause);
        let was_warned = before.is_some_and(|before| limits.warns(&before));
        if limits.warns(&usage) && !was_warned {
            let soft = Size(limits.soft.unwrap_or_default());
            warn!(site = %site.name, used = %Size(usage.bytes()), %soft, "a site is above its soft limit of disk space");
        }
        let fills = memory.is_reserve_begun && before.is_some_and(|before| fills_the_disk(&before, &usage));
        let stays = memory.is_reserve_begun && want.restricted;
        let restricted = limits.restricts(&usage, want.restricted) || fills || stays;
        if restricted == want.restricted {
            memory.orders.retain(|ordered| ordered != site.id);
            return Ok(());
        }
        // What it is now was ordered before: another order is no repetition.
        if memory.ordered.insert(site.id, restricted) != Some(restricted) {
            memory.orders.retain(|ordered| ordered != site.id);
        }
        self.order(memory, want, restricted, &usage).await
    }

    /// Orders a site's restriction or its end. A site that a job holds is left alone until the next measurement.
    async fn order(
        &self,
        memory: &mut Memory,
        want: &DesiredSite,
        restricted: bool,
        usage: &SiteUsage,
    ) -> Result<(), ScanError> {
        let (site, now) = (&want.site, Instant::now());
        // A stale database must not change a site.
        if !memory.orders.is_due(site.id, now) || self.staleness.is_stale().await? {
            return Ok(());
        }
        let change = SiteChange::Restricted(restricted);
        match self.store.enqueue_change(site.id, &change, OrderedBy::ControlPlane, self.world.clock.now()).await {
            Ok(job) => {
                self.signal.wake();
                memory.orders.fail(site.id, now, &BACKOFF);
                let used = Size(usage.bytes());
                if restricted {
                    warn!(
                        site = %site.name, %job, %used,
                        "a site has used up its disk space: it takes no uploads and no new rows until something is \
                         deleted or SITE_DISK_HARD is raised"
                    );
                } else {
                    info!(site = %site.name, %job, %used, "a site has room again: its restriction is lifted");
                }
                Ok(())
            }
            Err(StoreError::JobActive | StoreError::Illegal(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// True when the disk reaches its reserve before long, as it fills now.
fn fills_soon(before: &DiskSpace, now: &DiskSpace, elapsed_s: u64, reserve: u64) -> bool {
    let fell = before.free.saturating_sub(now.free);
    elapsed_s > 0 && (fell / elapsed_s).saturating_mul(AHEAD) > now.free.saturating_sub(reserve)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostplane_domain::disk::MIB;

    #[test]
    fn a_disk_that_fills_is_seen_ahead() {
        let space = |free| DiskSpace { free, ..DiskSpace::default() };
        let fills = |fell: u64, free: u64| fills_soon(&space(free + fell), &space(free), 15, 10 * MIB);
        assert!(fills(300 * MIB, 70_000 * MIB), "20 MB/s reach it in less than an hour");
        assert!(!fills(300 * MIB, 80_000 * MIB));
        assert!(!fills(0, 10 * MIB) && !fills_soon(&space(100), &space(0), 0, 0));
    }
}
