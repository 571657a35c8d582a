//! Detects drift, reports its reasons, and enqueues repairs.
//!
//! | trigger | shows | when |
//! |---|---|---|
//! | full scan ([`full_scan`]) | the facts in lists of all objects, in a constant number of calls | at each connect to the Engine's events, each minute, on demand |
//! | deep scan of one site ([`check`]) | also facts that no list has: limits, settings, WordPress, the front page | a share of the sites each minute, all of them on demand, and each site that a job has just changed |
//! | event of the Engine ([`engine_events`]) | a hint at one site, which is then checked | at once |
//!
//! *Invariant:* the reconciler changes nothing outside. A repair is a job, under the site's lock ([`repair_policy`]).
//! *Invariant:* an unknown state causes no repair.

mod check;
mod drift_cache;
mod engine_events;
mod full_scan;
mod repair_policy;
mod requests;
mod scheduler;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::fingerprint::SpecHashes;
use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_infra::world::World;
use tokio::sync::mpsc;

pub(crate) use drift_cache::DriftCache;
pub use drift_cache::{DriftReport, SiteDrift};
pub(crate) use requests::ScanRequest;

use crate::background::signal::Signal;
use crate::orphans::Orphans;
use crate::secrets::Secrets;
use crate::site_settings::SiteSettings;
use crate::staleness::Staleness;
use crate::store::Store;

/// Compares the desired with the observed state of every site, continuously.
pub(crate) struct Reconciler {
    pub store: Store,
    pub world: World,
    pub instance: InstanceId,
    pub secrets: Secrets,
    pub settings: SiteSettings,
    /// Wakes the worker.
    pub signal: Signal,
    pub orphans: Arc<Orphans>,
    pub staleness: Staleness,
    pub drift_cache: Arc<DriftCache>,
    /// Hashes of each site's desired resources, as of the last full scan.
    pub hashes: Mutex<HashMap<SiteId, SpecHashes>>,
}

impl Reconciler {
    /// Scans periodically, on events and on requests, and never returns.
    pub async fn run(&self, requests: mpsc::Receiver<ScanRequest>) {
        scheduler::Scheduler::new(self).run(requests).await;
    }
}
