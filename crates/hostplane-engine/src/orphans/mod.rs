//! Orphans: objects outside that carry our mark and that no site accounts for.
//!
//! They have two causes. A call whose caller gave up may have its effect after its job has ended. And a stale control
//! database doesn't know the objects made since its copy was taken: an object that seems to be left over may belong
//! to a live site, so nothing is removed automatically, anywhere.
//!
//! All orphans are reported. Hostplane removes only those without data, of sites that are proved to be gone, that
//! several scans over a while have seen. It removes them by a job, under the site's lock. If there are too many at
//! once, the operator decides.

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
use hostplane_infra::clock::Timestamp;
use hostplane_infra::world::World;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::Instant;
use tracing::{error, info, warn};

use classify::{OrphanClass, classify};
pub(crate) use remove::RemoveError;

use crate::background::signal::Signal;
use crate::inventory::{Inventory, ObjectKind, OwnedObject, ScanError};
use crate::pace::Pace;
use crate::store::Store;

/// Longest age of a scan that still counts as recent.
const RECENT: Duration = Duration::from_mins(2);

/// Classifies orphans, and remembers whether the database is stale.
pub(crate) struct Orphans {
    store: Store,
    world: World,
    instance: InstanceId,
    signal: Signal,
    pace: Pace,
    /// Held during a scan: there is one at a time.
    scanning: Mutex<()>,
    last: watch::Sender<Option<Arc<OrphanScan>>>,
}

/// The orphans of one scan.
struct OrphanScan {
    at: Instant,
    orphans: BTreeMap<OrphanId, Orphan>,
    /// The objects among them that the journal doesn't know.
    unknown: Arc<Vec<OwnedObject>>,
}

/// The id of an orphan as long as it is there: a hash of its kind, name and mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrphanId(String);

/// The error for a text that is no id of an orphan.
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

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An object that no site accounts for.
#[derive(Debug, Clone)]
pub(crate) struct Orphan {
    pub found: OwnedObject,
    pub why: OrphanClass,
    pub first_seen: Timestamp,
    /// Scans that have seen it.
    pub scans: u32,
    /// True when it is due for removal together with too many others.
    pub held_back: bool,
}

/// An orphan, as shown.
#[derive(Debug, Clone)]
pub struct OrphanView {
    /// The id.
    pub id: OrphanId,
    /// The sort of object.
    pub kind: ObjectKind,
    /// The name.
    pub name: String,
    /// The site in its mark.
    pub site: SiteRef,
    /// The job in its mark.
    pub job: JobId,
    /// The reason in a word.
    pub reason: OrphanReason,
    /// The reason in full, and what comes next.
    pub detail: String,
    /// The time when it was first seen since the control plane began.
    pub first_seen: Timestamp,
}

/// The reason for which no site accounts for an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrphanReason {
    /// Its site has failed or is destroyed.
    LeftOver,
    /// The journal doesn't know the job that made it.
    UnknownJob,
    /// Its labels are a copy of ours.
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

impl Orphans {
    pub fn new(store: Store, world: World, instance: InstanceId, signal: Signal, pace: Pace) -> Self {
        let (scanning, last) = (Mutex::default(), watch::Sender::new(None));
        Self { store, world, instance, signal, pace, scanning, last }
    }

    /// Objects made by jobs that the journal doesn't know, by a recent scan. The database is stale while there are
    /// any.
    ///
    /// # Errors
    /// When there was no recent scan, and the world or the database can't be read now.
    pub async fn unknown(&self) -> Result<Arc<Vec<OwnedObject>>, ScanError> {
        if let Some(scan) = self.recent() {
            return Ok(Arc::clone(&scan.unknown));
        }
        let _alone = self.scanning.lock().await;
        // Another scan may have ended meanwhile.
        if let Some(scan) = self.recent() {
            return Ok(Arc::clone(&scan.unknown));
        }
        let inventory = Inventory::scan(&self.world, self.instance).await?;
        Ok(Arc::clone(&self.classify(&inventory).await?.unknown))
    }

    /// All orphans of the last scan.
    pub fn all(&self) -> Vec<OrphanView> {
        let scan = self.last.borrow().clone();
        let orphans = scan.iter().flat_map(|scan| &scan.orphans);
        orphans.map(|(id, orphan)| self.view(id, orphan)).collect()
    }

    fn recent(&self) -> Option<Arc<OrphanScan>> {
        let recent = (self.pace.scan_interval * 2).min(RECENT);
        self.last.borrow().clone().filter(|scan| scan.at.elapsed() < recent)
    }

    /// Waits for a scan under way, and keeps others from beginning.
    pub async fn exclusive(&self) -> MutexGuard<'_, ()> {
        self.scanning.lock().await
    }

    /// Classifies the objects of a scan that ran alone, and orders the removal of due orphans.
    ///
    /// # Errors
    /// When the scan is incomplete: then nothing can be concluded.
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

/// Logs orphans that are new or gone, and whether the database has become stale.
fn report(before: Option<&OrphanScan>, scan: &OrphanScan) {
    let known = |id: &OrphanId| before.is_some_and(|before| before.orphans.contains_key(id));
    let is_new = |(id, _): &(&OrphanId, &Orphan)| !known(id);
    let was_stale = before.is_some_and(|before| !before.unknown.is_empty());
    if !scan.unknown.is_empty() && before.is_none_or(|before| before.unknown != scan.unknown) {
        error!(
            unknown = names(scan.unknown.iter()),
            "the control database is stale: it doesn't know the jobs that made these objects, so nothing is repaired \
             or removed automatically; restore a newer copy of the database"
        );
    } else if scan.unknown.is_empty() && was_stale {
        info!("the control database is no longer stale");
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
                "found an orphan: its labels are a copy of ours; it is never touched"
            ),
            // Logged above, all together.
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
        // Writing to a string can't fail.
        let _ = write!(names, "{separator}{found} of job {}", found.mark.job);
    }
    names
}
