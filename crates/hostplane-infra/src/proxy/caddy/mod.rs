//! Caddy in a container, configured by files and reloads.
//!
//! One task makes every change (see [`actor`]); callers send it requests and wait. A change whose caller gave up isn't
//! begun.

mod actor;
mod container;
mod host_conflicts;
mod loaded;
mod request;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::SiteRef;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use tokio::sync::mpsc;

use super::{Proxy, RouteFacts, RouteSpec, Routes, snippet};
use crate::containers::Containers;
use crate::error::{Effect, EffectError};
use actor::Actor;
use container::CaddyContainer;
pub use container::CaddyLocation;
use loaded::LoadedConfig;
use request::{Request, RouteChange};

const PING: &str = "caddy.ping";
const ROUTES: &str = "caddy.routes";
const ROUTE: &str = "caddy.route";

/// Adapter for Caddy.
pub struct Caddy {
    containers: Arc<dyn Containers>,
    location: CaddyLocation,
    loaded: LoadedConfig,
    queue: Mutex<Option<mpsc::UnboundedSender<Request>>>,
}

impl Caddy {
    /// An adapter for the Caddy at `location`. The first call connects. `containers` should be behind the gate.
    #[must_use]
    pub fn new(containers: Arc<dyn Containers>, location: CaddyLocation) -> Self {
        Self { containers, location, loaded: LoadedConfig::default(), queue: Mutex::new(None) }
    }

    fn container(&self) -> CaddyContainer {
        CaddyContainer::new(Arc::clone(&self.containers), self.location.clone())
    }

    /// Returns the queue of the task that makes changes, and starts the task if it doesn't run.
    fn queue(&self) -> mpsc::UnboundedSender<Request> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match &*queue {
            Some(sender) if !sender.is_closed() => sender.clone(),
            _ => {
                let (sender, receiver) = mpsc::unbounded_channel();
                tokio::spawn(Actor::new(self.container(), self.loaded.clone(), receiver).run());
                queue.insert(sender).clone()
            }
        }
    }

    async fn submit(&self, change: RouteChange) -> Effect<()> {
        let call = change.call();
        let gone = || EffectError::unknown_message(call, "the task that changes the configuration has ended");
        let (request, answer) = Request::new(change);
        self.queue().send(request).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[async_trait]
impl Proxy for Caddy {
    /// Checks that the container runs, and with it Caddy, its first process. Caddy's admin endpoint listens in the
    /// container only, and no program there queries it without a change.
    async fn ping(&self) -> Effect<()> {
        self.container().find(PING).await.map(drop)
    }

    async fn routes(&self) -> Effect<Routes> {
        let container = self.container();
        let id = container.find(ROUTES).await?;
        let snippets = container.snippets(ROUTES, &id).await?.unwrap_or_default();
        let mut facts = Vec::with_capacity(snippets.len());
        for (file, contents) in &snippets {
            facts.push(snippet::facts(file, contents, self.loaded.has(file, contents)));
        }
        Ok(Routes { snippets: facts, served: self.loaded.served() })
    }

    async fn route(&self, site: &SiteName) -> Effect<RouteFacts> {
        let container = self.container();
        let id = container.find(ROUTE).await?;
        let file = naming::snippet_file(site);
        let found = container.snippet(ROUTE, &id, &file).await?;
        let snippet = found.map(|contents| snippet::facts(&file, &contents, self.loaded.has(&file, &contents)));
        let served = self.loaded.may_have(&file);
        Ok(RouteFacts { snippet, may_be_served: served.unwrap_or(true), is_settled: served.is_some() })
    }

    async fn settle(&self) -> Effect<()> {
        self.submit(RouteChange::Settle).await
    }

    async fn put_route(&self, spec: &RouteSpec) -> Effect<()> {
        self.submit(RouteChange::Put(spec.clone())).await
    }

    async fn remove_route(&self, instance: InstanceId, site: &SiteRef) -> Effect<()> {
        self.submit(RouteChange::Remove { instance, site: site.clone() }).await
    }
}
