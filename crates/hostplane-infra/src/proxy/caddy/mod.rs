//! Caddy in a container, configured through files and reloads.
//!
//! Only a task of its own changes anything (see [`actor`]); callers send it what they want and wait. A
//! caller that gives up disturbs nobody: a change that nobody waits for isn't begun.

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
use loaded::Loaded;
use request::{Change, Request};

const PING: &str = "caddy.ping";
const ROUTES: &str = "caddy.routes";
const ROUTE: &str = "caddy.route";
const SETTLE: &str = "caddy.settle";
const PUT_ROUTE: &str = "caddy.put_route";
const REMOVE_ROUTE: &str = "caddy.remove_route";

/// Where Caddy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaddyLocation {
    /// The container's name.
    pub container: String,
    /// The directory with the `Caddyfile`, inside the container. The snippets are in `sites` below it;
    /// `staging` is used for candidates and must be on the same file system.
    pub conf_dir: String,
}

/// The proxy.
pub struct Caddy {
    containers: Arc<dyn Containers>,
    place: CaddyLocation,
    loaded: Loaded,
    queue: Mutex<Option<mpsc::UnboundedSender<Request>>>,
}

impl Caddy {
    /// An adapter for the Caddy at `place`. Nothing is asked before the first call. `containers` should be
    /// behind the gate.
    #[must_use]
    pub fn new(containers: Arc<dyn Containers>, place: CaddyLocation) -> Self {
        Self { containers, place, loaded: Loaded::default(), queue: Mutex::new(None) }
    }

    fn inside(&self) -> CaddyContainer {
        CaddyContainer::new(Arc::clone(&self.containers), self.place.clone())
    }

    /// The way to the task that makes changes, which is started on first use.
    fn queue(&self) -> mpsc::UnboundedSender<Request> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match &*queue {
            Some(sender) if !sender.is_closed() => sender.clone(),
            _ => {
                let (sender, receiver) = mpsc::unbounded_channel();
                tokio::spawn(Actor::new(self.inside(), self.loaded.clone(), receiver).run());
                queue.insert(sender).clone()
            }
        }
    }

    async fn submit(&self, call: &'static str, change: Change) -> Effect<()> {
        let gone = || EffectError::unknown_message(call, "the task that changes the configuration has ended");
        let (request, answer) = Request::new(change);
        self.queue().send(request).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[async_trait]
impl Proxy for Caddy {
    /// Whether the container runs. Caddy is its first process, so Caddy runs too; its administration
    /// endpoint listens inside the container only, and nothing in there asks it without changing something.
    async fn ping(&self) -> Effect<()> {
        self.inside().find(PING).await.map(drop)
    }

    async fn routes(&self) -> Effect<Routes> {
        let inside = self.inside();
        let id = inside.find(ROUTES).await?;
        let snippets = inside.snippets(ROUTES, &id).await?.unwrap_or_default();
        let mut facts = Vec::with_capacity(snippets.len());
        for (file, contents) in &snippets {
            facts.push(snippet::facts(file, contents, self.loaded.has(file, contents)));
        }
        Ok(Routes { snippets: facts, served: self.loaded.served() })
    }

    async fn route(&self, site: &SiteName) -> Effect<RouteFacts> {
        let inside = self.inside();
        let id = inside.find(ROUTE).await?;
        let file = naming::snippet_file(site);
        let found = inside.snippet(ROUTE, &id, &file).await?;
        let snippet = found.map(|contents| snippet::facts(&file, &contents, self.loaded.has(&file, &contents)));
        let served = self.loaded.may_have(&file);
        Ok(RouteFacts { snippet, may_be_served: served.unwrap_or(true), is_settled: served.is_some() })
    }

    async fn settle(&self) -> Effect<()> {
        self.submit(SETTLE, Change::Settle).await
    }

    async fn put_route(&self, spec: &RouteSpec) -> Effect<()> {
        self.submit(PUT_ROUTE, Change::Put(spec.clone())).await
    }

    async fn remove_route(&self, instance: InstanceId, site: &SiteRef) -> Effect<()> {
        self.submit(REMOVE_ROUTE, Change::Remove { instance, site: site.clone() }).await
    }
}
