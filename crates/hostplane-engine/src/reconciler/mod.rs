//! Notices what is not as it should be, tells why, and has it mended.
//!
//! | what | sees | when |
//! |---|---|---|
//! | a look at everything ([`tick`]) | what lists show, in a constant number of calls | at each connect to the Engine's events, each minute, on demand |
//! | a look into one site ([`check`]) | also what lists don't: limits, settings, WordPress, the front page | a share of the sites each minute, all of them on demand, and whatever a job has just changed |
//! | an event of the Engine ([`events`]) | that something happened to one site, which is then looked at | at once |
//!
//! *Invariant:* nothing is changed here. What is to be mended is ordered as a job ([`order`]), under the site's lock.
//! *Invariant:* what could not be seen is no reason to do anything.

mod check;
mod drift_cache;
mod engine_events;
mod full_scan;
mod repair_policy;
mod scheduler;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::fingerprint::SpecHashes;
use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_infra::world::World;
use tokio::sync::{mpsc, oneshot};

pub(crate) use drift_cache::DriftCache;
pub use drift_cache::{DriftReport, SiteDrift};

use crate::background::signal::Signal;
use crate::orphans::Orphans;
use crate::secrets::Secrets;
use crate::site_settings::SiteSettings;
use crate::staleness::Staleness;
use crate::store::Store;

/// Somebody wants a look at everything now.
pub(crate) struct ScanRequest {
    /// And into every site.
    pub deep: bool,
    /// Told when all of it was looked at.
    pub done: oneshot::Sender<()>,
}

/// Compares, again and again.
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
    /// What each site's resources are made from, as of the last look at everything.
    pub hashes: Mutex<HashMap<SiteId, SpecHashes>>,
}

impl Reconciler {
    /// Looks for ever, and when somebody asks.
    pub async fn run(&self, requests: mpsc::Receiver<ScanRequest>) {
        scheduler::Scheduler::new(self).run(requests).await;
    }
}
