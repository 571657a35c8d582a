//! Proxy in front of all sites: one snippet per site, and only valid configurations.

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

/// Facts about a snippet on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnippetFacts {
    /// The file's name: `<site>.caddy`.
    pub file: String,
    /// The mark in its first line, if there is one.
    pub mark: Option<Mark>,
    /// The whole text.
    pub contents: String,
    /// True if this process had the proxy load this text. A snippet on disk alone is not served.
    pub loaded: bool,
}

/// Facts about every route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// Every snippet on disk, of any owner.
    pub snippets: Vec<SnippetFacts>,
    /// The snippets that the proxy serves, on disk or not.
    pub served: Served,
}

/// Facts about one site's route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteFacts {
    /// The snippet of the site's name, of any owner.
    pub snippet: Option<SnippetFacts>,
    /// True if the proxy serves, or may serve, a snippet of the site's name, which can outlive its file.
    pub may_be_served: bool,
    /// True once the served snippets are known.
    pub is_settled: bool,
}

/// Snippets that the proxy serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// Unknown: this process has not had the proxy load a configuration yet.
    Unknown,
    /// Files that the proxy loaded, or may have loaded when a change was interrupted.
    These(BTreeSet<String>),
}

impl Served {
    /// True if the proxy may serve a present or past text of this file.
    #[must_use]
    pub fn may_have(&self, file: &str) -> bool {
        match self {
            Self::Unknown => true,
            Self::These(files) => files.contains(file),
        }
    }
}

/// Desired snippet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// The owner's mark. The file is named after `mark.site.name`.
    pub mark: Mark,
    /// The host names that the snippet serves, to find a conflicting route.
    pub hosts: Vec<String>,
    /// The whole text, mark included.
    pub contents: String,
}

/// The proxy. Concurrent changes are loaded together, so that a burst costs few reloads; a refused change is set aside
/// and blocks no other.
#[async_trait]
pub trait Proxy: Send + Sync {
    /// Pings the proxy.
    async fn ping(&self) -> Effect<()>;

    /// Reads every snippet, on disk and served.
    async fn routes(&self) -> Effect<Routes>;

    /// Reads one site's route, at a cost independent of the other sites.
    async fn route(&self, site: &SiteName) -> Effect<RouteFacts>;

    /// Has the proxy load the snippets on disk, unless it is known to run them.
    async fn settle(&self) -> Effect<()>;

    /// Puts a snippet in place: the proxy loads the whole configuration with it, then the file is renamed into place.
    /// On refusal the last good configuration stays, on disk too. Returns when the snippet is loaded and in place.
    /// `Rejected`: `HostTaken`, `ConfigRejected`, or `NameTaken` when the file has another owner.
    async fn put_route(&self, spec: &RouteSpec) -> Effect<()>;

    /// Removes a site's snippet if its mark has this instance and site, and returns when the proxy has reloaded without
    /// it. A foreign file of that name stays, without an error.
    async fn remove_route(&self, instance: InstanceId, site: &SiteRef) -> Effect<()>;
}
