//! Everything at once: the lists of all sites, in a constant number of calls.

use std::collections::HashSet;
use std::sync::PoisonError;

use hostplane_domain::drift::drifts;
use hostplane_domain::fingerprint::SpecHashes;
use hostplane_domain::ids::SiteId;
use hostplane_domain::job::JobState;
use hostplane_infra::error::chain;
use metrics::{counter, histogram};
use tokio::task::yield_now;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::Reconciler;
use super::order::repairable;
use crate::context::SiteCx;
use crate::host::Host;
use crate::orphans::LookError;
use crate::resources;
use crate::store::Watched;

/// After so many looks all sites were looked into.
const INSIDE_LOOKS: usize = 60;
/// Sites that are compared before others get their turn.
const BATCH: usize = 64;
/// After so many failed looks in a row it is told louder: until one succeeds nothing is repaired or collected.
pub(super) const FAILED_LOOKS: u32 = 3;

/// What is to be done after a look at everything.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Sites that seem to need a repair: each is looked at again by itself, as a job may have changed it meanwhile.
    pub suspects: Vec<SiteId>,
    /// Sites to be looked into.
    pub inside: Vec<SiteId>,
    /// Sites that a job holds.
    pub busy: Vec<SiteId>,
    /// Not everything could be seen.
    pub is_blind: bool,
}

impl Reconciler {
    /// Looks at everything. With `all`, every site is to be looked into, and not only those whose turn it is.
    pub(super) async fn look(&self, all: bool) -> Result<Looked, LookError> {
        let begun = Instant::now();
        let looked = self.try_look(all).await;
        let outcome = if looked.is_ok() { "ok" } else { "failed" };
        counter!("hostplane_looks_total", "outcome" => outcome).increment(1);
        histogram!("hostplane_look_duration_seconds").record(begun.elapsed());
        looked
    }

    async fn try_look(&self, all: bool) -> Result<Looked, LookError> {
        let alone = self.orphans.alone().await;
        // Before the world: what was added since is none that could be missing.
        let watched = self.store.watched().await?;
        let mut host = match Host::look(&self.world, self.instance).await {
            Ok(host) => host,
            Err(error) => {
                self.picture.saw_nothing(error.to_string());
                return Err(error.into());
            }
        };
        let trouble = host.blind.as_ref().map(ToString::to_string);
        // Without all of it nothing can be said of what no site explains. Whatever comes of it, the sites are compared.
        let considered = if trouble.is_none() {
            self.orphans.consider(&host, alone).await
        } else {
            drop(alone);
            Ok(())
        };
        let ring = self.secrets.now();
        let mut hashes = std::mem::take(&mut *self.hashes.lock().unwrap_or_else(PoisonError::into_inner));
        let mut looked = Looked { is_blind: trouble.is_some(), ..Looked::default() };
        let (mut idle, mut there) = (Vec::new(), HashSet::new());
        for (nth, (name, watched)) in watched.into_iter().enumerate() {
            if nth % BATCH == BATCH - 1 {
                yield_now().await;
            }
            let Watched { want, held_by } = match watched {
                Ok(watched) => watched,
                Err(error) => {
                    error!(
                        site = name,
                        error = chain(&error),
                        "a site can't be read, so it isn't watched; mend its row with `sqlite3` while no control plane runs"
                    );
                    continue;
                }
            };
            let site = want.site.id;
            there.insert(site);
            match held_by {
                None => idle.push(site),
                Some((_, JobState::NeedsOperator)) => {}
                Some(_) => {
                    looked.busy.push(site);
                    continue;
                }
            }
            let seen = host.take(&want.site.name);
            let hashes = hashes.entry(site).or_insert_with(|| SpecHashes::of(&want));
            if !hashes.are_of(&want) {
                *hashes = SpecHashes::of(&want);
            }
            let cx = SiteCx { hashes: Some(hashes), ..self.context(&want, &ring) };
            let found = drifts(&resources::observe_all(&cx, Some(&want), &seen));
            if held_by.is_none() && !repairable(&found).is_empty() {
                looked.suspects.push(site);
            } else {
                self.picture.lists(&want.site, found, host.looked_at);
            }
        }
        hashes.retain(|site, _| there.contains(site));
        *self.hashes.lock().unwrap_or_else(PoisonError::into_inner) = hashes;
        let share = if all { idle.len() } else { idle.len().div_ceil(INSIDE_LOOKS) };
        looked.inside = self.picture.next_inside(&idle, share);
        looked.inside.retain(|site| !looked.suspects.contains(site));
        self.picture.looked(host.looked_at, trouble, &there);
        considered.map(|()| looked)
    }

    pub(super) fn tell(error: &LookError, failed: u32) {
        match error {
            LookError::Store(error) => error!(error = chain(error), "can't look at everything"),
            LookError::World(error) if failed == FAILED_LOOKS => {
                warn!(error = %error.chain(), failed, "can't look at everything; going on trying");
            }
            // Whoever is down is told of elsewhere.
            LookError::World(error) => debug!(error = %error.chain(), "can't look at everything"),
        }
    }
}
