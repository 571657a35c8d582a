//! Fake of the proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use async_trait::async_trait;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::SiteRef;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use serde::{Deserialize, Serialize};

use super::FakeWorld;
use super::injected::Parts;
use hostplane_infra::error::{Effect, EffectError, Rejection};
use hostplane_infra::proxy::{Proxy, RouteFacts, RouteSpec, Routes, Served, snippet};

/// The proxy's directory and the configuration that it runs. Tests plant foreign files in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyState {
    /// Snippets by file name.
    pub snippets: BTreeMap<String, String>,
    /// The snippets that the proxy has loaded. A change loads those of the directory.
    pub loaded: BTreeMap<String, String>,
}

/// Knowledge of the proxy that one process has: real adapters learn it from the reloads that they have seen.
#[derive(Debug, Clone)]
pub(super) struct ProxyKnowledge {
    /// It has seen a reload of everything.
    whole: bool,
    /// Files that the proxy may or may not serve.
    doubted: BTreeSet<String>,
}

impl Default for ProxyKnowledge {
    /// All is known.
    fn default() -> Self {
        Self { whole: true, doubted: BTreeSet::new() }
    }
}

impl ProxyKnowledge {
    /// Knowledge of a process that has just started.
    pub fn nothing() -> Self {
        Self { whole: false, doubted: BTreeSet::new() }
    }
}

impl ProxyState {
    /// The file that serves a host name under `http://`, as far as the proxy has loaded it.
    #[must_use]
    pub fn serving(&self, host: &str) -> Option<&str> {
        let place = snippet::http_place(host);
        let serves =
            |(_, contents): &(&String, &String)| contents.contains(host) && snippet::places(contents).contains(&place);
        // There may be thousands, of which one does: most likely that of the host's first label.
        let label = host.split('.').next().unwrap_or(host);
        let likely = self.loaded.get_key_value(&format!("{label}.caddy")).filter(serves);
        let found = likely.or_else(|| self.loaded.iter().find(serves))?;
        Some(found.0.as_str())
    }

    fn put(&mut self, spec: &RouteSpec, known: bool, parts: &mut Parts) -> Effect<()> {
        let file = naming::snippet_file(&spec.mark.site.name);
        snippet::check(spec)?;
        if let Some(there) = self.snippets.get(&file) {
            snippet::own(&file, there.as_bytes(), spec.mark.instance, spec.mark.site.id)?;
        }
        let mut places = snippet::places(&spec.contents);
        places.extend(spec.hosts.iter().map(|host| snippet::http_place(host)));
        for (by, contents) in self.snippets.iter().filter(|(other, _)| **other != file) {
            if let Some(place) = snippet::places(contents).intersection(&places).next() {
                return Err(Rejection::HostTaken { host: snippet::host(place).to_owned(), by: by.clone() }.into());
            }
        }
        let mut candidate = self.snippets.clone();
        candidate.insert(file, spec.contents.clone());
        match complaint(&candidate) {
            Some(why) if complaint(&self.snippets).is_none() => Err(Rejection::ConfigRejected(why).into()),
            _ => self.load(candidate, known, parts),
        }
    }

    fn remove(&mut self, instance: InstanceId, site: &SiteRef, known: bool, parts: &mut Parts) -> Effect<()> {
        let file = naming::snippet_file(&site.name);
        let is_ours = |there: &String| snippet::own(&file, there.as_bytes(), instance, site.id).is_ok();
        let mut candidate = self.snippets.clone();
        candidate.retain(|name, there| *name != file || !is_ours(there));
        self.load(candidate, known, parts)
    }

    /// Loads a configuration and then puts it on disk, unless it is there and known to be loaded.
    fn load(&mut self, candidate: BTreeMap<String, String>, known: bool, parts: &mut Parts) -> Effect<()> {
        if known && self.loaded == self.snippets && candidate == self.snippets {
            return Ok(());
        }
        if let Some(why) = complaint(&candidate) {
            let message = format!("the present configuration is not valid: {why}");
            return Err(Rejection::ConfigRejected(message).into());
        }
        parts.next()?;
        self.loaded.clone_from(&candidate);
        parts.next()?;
        self.snippets = candidate;
        Ok(())
    }
}

/// Directives that the fake accepts: those that its tests use, and some more.
const DIRECTIVES: &[&str] = &[
    "respond",
    "reverse_proxy",
    "redir",
    "rewrite",
    "handle",
    "route",
    "root",
    "file_server",
    "php_fastcgi",
    "header",
    "encode",
    "request_body",
    "log",
    "tls",
];

/// The proxy's error about the first snippet that it can't read.
fn complaint(snippets: &BTreeMap<String, String>) -> Option<String> {
    snippets.iter().find_map(|(file, contents)| {
        if !snippet::is_closed(contents) {
            return Some(format!("sites/{file}: unexpected end of file"));
        }
        let mut depth = 0_i64;
        for (number, line) in contents.lines().enumerate() {
            let words: Vec<&str> = snippet::tokens(line).collect();
            let is_known = |word: &str| word == "}" || word.starts_with('@') || DIRECTIVES.contains(&word);
            if let Some(word) = words.first().filter(|word| depth == 1 && !is_known(word)) {
                return Some(format!("sites/{file}:{}: unrecognized directive: {word}", number + 1));
            }
            for word in words {
                depth += i64::from(word == "{") - i64::from(word == "}");
            }
        }
        None
    })
}

#[async_trait]
impl Proxy for FakeWorld {
    async fn ping(&self) -> Effect<()> {
        Ok(())
    }

    async fn routes(&self) -> Effect<Routes> {
        let state = &self.view().proxy;
        let seen = self.proxy_knowledge();
        let facts = |(file, contents): (&String, &String)| {
            let known = seen.whole && !seen.doubted.contains(file);
            snippet::facts(file, contents.as_bytes(), known && state.loaded.get(file) == Some(contents))
        };
        let snippets = state.snippets.iter().map(facts).collect();
        let served = if seen.whole {
            Served::These(state.loaded.keys().chain(&seen.doubted).cloned().collect())
        } else {
            Served::Unknown
        };
        Ok(Routes { snippets, served })
    }

    async fn route(&self, site: &SiteName) -> Effect<RouteFacts> {
        let state = &self.view().proxy;
        let seen = self.proxy_knowledge();
        let file = naming::snippet_file(site);
        let known = seen.whole && !seen.doubted.contains(&file);
        let loaded = state.loaded.get(&file);
        let facts = |contents: &String| snippet::facts(&file, contents.as_bytes(), known && loaded == Some(contents));
        Ok(RouteFacts {
            snippet: state.snippets.get(&file).map(facts),
            may_be_served: !known || loaded.is_some(),
            is_settled: seen.whole,
        })
    }

    async fn settle(&self) -> Effect<()> {
        let proxy = &mut self.state().proxy;
        let settled = proxy.load(proxy.snippets.clone(), self.knows(), &mut self.parts("caddy.settle"));
        self.learn(&settled, None);
        settled
    }

    async fn put_route(&self, spec: &RouteSpec) -> Effect<()> {
        let known = self.knows();
        let put = self.state().proxy.put(spec, known, &mut self.parts("caddy.put_route"));
        self.learn(&put, Some(&spec.mark.site));
        put
    }

    async fn remove_route(&self, instance: InstanceId, site: &SiteRef) -> Effect<()> {
        let known = self.knows();
        let removed = self.state().proxy.remove(instance, site, known, &mut self.parts("caddy.remove_route"));
        self.learn(&removed, Some(site));
        removed
    }
}

impl FakeWorld {
    fn proxy_knowledge(&self) -> MutexGuard<'_, ProxyKnowledge> {
        self.proxy_knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process knows all that the proxy serves.
    fn knows(&self) -> bool {
        let seen = self.proxy_knowledge();
        seen.whole && seen.doubted.is_empty()
    }

    /// A change that went through has loaded everything; one that broke off leaves a doubt.
    fn learn(&self, change: &Effect<()>, site: Option<&SiteRef>) {
        let mut seen = self.proxy_knowledge();
        match change {
            Ok(()) => *seen = ProxyKnowledge::default(),
            Err(EffectError::OutcomeUnknown { .. }) => {
                seen.doubted.extend(site.map(|site| naming::snippet_file(&site.name)));
            }
            Err(_) => {}
        }
    }
}
