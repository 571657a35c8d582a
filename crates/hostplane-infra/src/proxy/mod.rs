//! The proxy in front of all sites: one snippet per site, and only valid configurations.

mod caddy;
mod gated;
pub mod snippet;

use std::collections::BTreeSet;

use async_trait::async_trait;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::{Mark, SiteRef};
use hostplane_domain::name::SiteName;

pub use caddy::{Caddy, CaddyLocation};
pub use gated::GatedProxy;

use crate::error::Effect;

/// A snippet, as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnippetFacts {
    /// The file's name: `<site>.caddy`.
    pub file: String,
    /// The mark in its first line, if there is one.
    pub mark: Option<Mark>,
    /// All of it.
    pub contents: String,
    /// This process has seen the proxy load it as it is. What is only on disk is not served yet.
    pub loaded: bool,
}

/// The routes that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// Every snippet on disk, whoever wrote it.
    pub snippets: Vec<SnippetFacts>,
    /// What the proxy serves, whatever is on disk now.
    pub served: Served,
}

/// What there is of one site's route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteFacts {
    /// The snippet of its name, whoever wrote it.
    pub snippet: Option<SnippetFacts>,
    /// The proxy serves the snippet of its name, or may: it can outlive the file.
    pub may_be_served: bool,
    /// What the proxy serves is known at all.
    pub is_settled: bool,
}

/// The snippets that a proxy serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// Not known: this process has not seen it load anything yet.
    Unknown,
    /// The files that it has loaded, or may have loaded when a change broke off.
    These(BTreeSet<String>),
}

impl Served {
    /// The proxy may serve what is, or was, in this file.
    #[must_use]
    pub fn may_have(&self, file: &str) -> bool {
        match self {
            Self::Unknown => true,
            Self::These(files) => files.contains(file),
        }
    }
}

/// A snippet to be put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// Whose. The file is named after `mark.site.name`.
    pub mark: Mark,
    /// The host names that it serves, to tell whose route is in the way when it is refused.
    pub hosts: Vec<String>,
    /// All of it, mark included.
    pub contents: String,
}

/// The proxy. Changes that wait at the same time are loaded together, so that a burst costs
/// few reloads; one that is refused is set aside and hinders no other.
#[async_trait]
pub trait Proxy: Send + Sync {
    /// Whether the proxy answers.
    async fn ping(&self) -> Effect<()>;

    /// Every snippet there is, and what the proxy serves.
    async fn routes(&self) -> Effect<Routes>;

    /// The same of one site, at a cost that doesn't grow with the others.
    async fn route(&self, site: &SiteName) -> Effect<RouteFacts>;

    /// Has the proxy load what is on disk, unless it is known that it did.
    async fn settle(&self) -> Effect<()>;

    /// Puts a snippet in place: the proxy loads the whole configuration with it, and then it is renamed into
    /// place; on refusal the last good configuration stays, on disk too. Answers when it is loaded and in place.
    /// `Rejected`: `HostTaken`, `ConfigRejected`, or `NameTaken` when the file is another's.
    async fn put_route(&self, spec: &RouteSpec) -> Effect<()>;

    /// Takes a site's snippet away if it is this instance's and this site's, and answers when the proxy
    /// has reloaded without it. Anybody else's file of that name stays and is no error.
    async fn remove_route(&self, instance: InstanceId, site: &SiteRef) -> Effect<()>;
}
