//! What carries our mark in the world and no site explains.
//!
//! Two things leave such objects behind. A call whose caller gave up may have its effect after its job has
//! ended. And a control database that was restored from an older copy doesn't know what was made since: then
//! nothing is removed by itself, anywhere, because what looks like a remainder may be somebody's live site.
//!
//! All of it is reported. By itself only goes what holds no data, of sites that are proved to be gone, once it has been
//! seen several times over a while; by a job, under the site's lock. Never much at once: then somebody is asked.

mod classify;
mod collect;
mod remove;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::ids::{InstanceId, JobId};
use hostplane_domain::mark::SiteRef;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::EffectError;
use hostplane_infra::world::World;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::Instant;
use tracing::{error, info, warn};

use classify::{OrphanClass, classify};
pub(crate) use remove::RemoveError;

use crate::inventory::{Inventory, ObjectKind, OwnedObject};
use crate::jobs::Signal;
use crate::pace::Pace;
use crate::store::{Store, StoreError};

/// A look that isn't long ago, however seldom there is one.
const RECENT: Duration = Duration::from_mins(2);

/// Looks for orphans, and remembers whether the database is older than the world.
pub(crate) struct Orphans {
    store: Store,
    world: World,
    instance: InstanceId,
    signal: Signal,
    pace: Pace,
    /// One look at a time.
    scanning: Mutex<()>,
    last: watch::Sender<Option<Arc<OrphanScan>>>,
}

/// What a look saw that no site explains.
struct OrphanScan {
    at: Instant,
    orphans: BTreeMap<OrphanId, Orphan>,
    /// Those of them that the journal doesn't know.
    unknown: Arc<Vec<OwnedObject>>,
}

/// Names an orphan as long as it is there: by what it is, its name and its mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrphanId(String);

/// The text is no id of an orphan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an orphan's id: 12 hexadecimal digits")]
pub struct BadOrphanId;

impl FromStr for OrphanId {
    type Err = BadOrphanId;
    fn from_str(text: &str) -> Result<Self, BadOrphanId> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 12 && text.bytes().all(is_hex) { Ok(Self(text.to_owned())) } else { Err(BadOrphanId) }
    }
}

impl OrphanId {
    fn of(found: &OwnedObject) -> Self {
        let mark = found.mark.to_labels();
        let digest = Sha256::digest(format!("{found} {mark:?}"));
        Self(hex::encode(&digest[..6]))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Something that no site explains.
#[derive(Debug, Clone)]
pub(crate) struct Orphan {
    pub found: OwnedObject,
    pub why: OrphanClass,
    pub first_seen: Timestamp,
    /// How many looks have seen it.
    pub scans: u32,
    /// It would go by itself, and together with others it would be too much.
    pub held_back: bool,
}

/// An orphan, as shown.
#[derive(Debug, Clone)]
pub struct OrphanView {
    /// Its id.
    pub id: OrphanId,
    /// What sort of thing it is.
    pub kind: ObjectKind,
    /// Under which name it is found.
    pub name: String,
    /// The site that it says it was made for.
    pub site: SiteRef,
    /// The job that it says it was made by.
    pub job: JobId,
    /// Why no site explains it.
    pub reason: OrphanReason,
    /// What that means, and what comes next.
    pub detail: String,
    /// When it was first seen since the control plane began.
    pub first_seen: Timestamp,
}

/// Why no site explains an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrphanReason {
    /// Its site has failed or is destroyed.
    LeftOver,
    /// No job that the journal knows has made it.
    UnknownJob,
    /// Somebody copied our labels.
    Misnamed,
}

impl OrphanReason {
    /// The stable text form, used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftOver => "left_over",
            Self::UnknownJob => "unknown_job",
            Self::Misnamed => "misnamed",
        }
    }
}

/// Why a look broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// The world could not be seen.
    #[error(transparent)]
    World(#[from] EffectError),
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Orphans {
    pub fn new(store: Store, world: World, instance: InstanceId, signal: Signal, pace: Pace) -> Self {
        let (scanning, last) = (Mutex::default(), watch::Sender::new(None));
        Self { store, world, instance, signal, pace, scanning, last }
    }

    /// What was made by jobs that the journal doesn't know, by a look that isn't long ago. While there is any,
    /// the database is older than the world.
    ///
    /// # Errors
    /// When nobody has looked of late and the world or the database can't be asked now.
    pub async fn unknown(&self) -> Result<Arc<Vec<OwnedObject>>, ScanError> {
        if let Some(scan) = self.recent() {
            return Ok(Arc::clone(&scan.unknown));
        }
        let _alone = self.scanning.lock().await;
        // Somebody else may have looked meanwhile.
        if let Some(scan) = self.recent() {
            return Ok(Arc::clone(&scan.unknown));
        }
        let inventory = Inventory::scan(&self.world, self.instance).await?;
        Ok(Arc::clone(&self.classify(&inventory).await?.unknown))
    }

    /// All that no site explains, by the last look.
    pub fn all(&self) -> Vec<OrphanView> {
        let scan = self.last.borrow().clone();
        let orphans = scan.iter().flat_map(|scan| &scan.orphans);
        orphans.map(|(id, orphan)| self.view(id, orphan)).collect()
    }

    fn recent(&self) -> Option<Arc<OrphanScan>> {
        let recent = (self.pace.scan_interval * 2).min(RECENT);
        self.last.borrow().clone().filter(|scan| scan.at.elapsed() < recent)
    }

    /// Waits for a look that is under way, and keeps others from beginning one: who needs one waits for this.
    pub async fn exclusive(&self) -> MutexGuard<'_, ()> {
        self.scanning.lock().await
    }

    /// Judges a look at everything that was made alone, and orders the removal of what may go by itself.
    ///
    /// # Errors
    /// When not everything was seen: then nothing can be concluded.
    pub async fn assess(&self, inventory: &Inventory, _alone: MutexGuard<'_, ()>) -> Result<(), ScanError> {
        self.classify(inventory).await.map(drop)
    }

    async fn classify(&self, inventory: &Inventory) -> Result<Arc<OrphanScan>, ScanError> {
        if let Some(error) = &inventory.unreachable {
            return Err(error.clone().into());
        }
        let (at, scanned_at) = (Instant::now(), inventory.scanned_at);
        let origins = self.store.origins(&inventory.marked().map(|seen| seen.mark.job).collect()).await?;
        let before = self.last.borrow().clone();
        let mut orphans = BTreeMap::new();
        let readable = inventory.marked().filter(|seen| !origins.unreadable.contains(&seen.mark.job));
        for (found, why) in classify(readable, &origins.of, scanned_at, self.pace.collect_backoff) {
            let id = OrphanId::of(&found);
            let known = before.as_ref().and_then(|scan| scan.orphans.get(&id));
            let (first_seen, scans) = known.map_or((scanned_at, 0), |known| (known.first_seen, known.scans));
            orphans.insert(id, Orphan { found, why, first_seen, scans: scans.saturating_add(1), held_back: false });
        }
        let unknown = orphans.values().filter(|orphan| orphan.why == OrphanClass::UnknownJob);
        let unknown: Arc<Vec<OwnedObject>> = Arc::new(unknown.map(|orphan| orphan.found.clone()).collect());
        let due = if unknown.is_empty() {
            self.due(&mut orphans, scanned_at, inventory.marked().count())
        } else {
            BTreeMap::new()
        };
        let scan = Arc::new(OrphanScan { at, orphans, unknown });
        report(before.as_deref(), &scan);
        self.last.send_replace(Some(Arc::clone(&scan)));
        self.collect(due).await?;
        Ok(scan)
    }
}

/// Tells what is new about what was found.
fn report(before: Option<&OrphanScan>, scan: &OrphanScan) {
    let known = |id: &OrphanId| before.is_some_and(|before| before.orphans.contains_key(id));
    let is_new = |(id, _): &(&OrphanId, &Orphan)| !known(id);
    let was_older = before.is_some_and(|before| !before.unknown.is_empty());
    if !scan.unknown.is_empty() && before.is_none_or(|before| before.unknown != scan.unknown) {
        error!(
            unknown = names(scan.unknown.iter()),
            "the control database is older than the world: it doesn't know what made these, so nothing is \
             repaired or removed by itself; restore a newer copy of the database"
        );
    } else if scan.unknown.is_empty() && was_older {
        info!("the control database knows again all that is in the world");
    }
    for (id, orphan) in scan.orphans.iter().filter(is_new) {
        let (orphan_id, found) = (id.as_str(), &orphan.found);
        let (site, job) = (&found.mark.site.name, found.mark.job);
        match orphan.why {
            OrphanClass::LeftOver { .. } => {
                warn!(orphan_id, what = %found.kind, name = found.name, %site, %job, "found an orphan: its site is gone");
            }
            OrphanClass::Misnamed => warn!(
                orphan_id, what = %found.kind, name = found.name, %site, %job,
                "found our labels under a name that we don't give: somebody copied them; it is left alone"
            ),
            // Told above, all together.
            OrphanClass::UnknownJob => {}
        }
    }
    let before = before.iter().flat_map(|before| &before.orphans);
    for (id, orphan) in before.filter(|(id, _)| !scan.orphans.contains_key(id)) {
        info!(orphan_id = id.as_str(), what = %orphan.found.kind, name = orphan.found.name, "an orphan is gone");
    }
}

fn names<'a>(found: impl Iterator<Item = &'a OwnedObject>) -> String {
    let mut names = String::new();
    for found in found {
        let separator = if names.is_empty() { "" } else { ", " };
        // A string takes all that is written to it.
        let _ = write!(names, "{separator}{found} of job {}", found.mark.job);
    }
    names
}

/// Volumes and databases, whatever is in them: nobody knows any more what that was.
fn goes_only_by_hand(kind: ResourceKind) -> bool {
    matches!(
        kind,
        ResourceKind::FilesVolume | ResourceKind::PhpVolume | ResourceKind::NginxVolume | ResourceKind::Database
    )
}
