//! The twin of the proxy.

use std::collections::BTreeMap;

use async_trait::async_trait;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::SiteRef;
use hostplane_domain::naming;

use super::FakeWorld;
use crate::error::{Effect, Rejection};
use crate::proxy::{Proxy, RouteSpec, Routes, Served, snippet};

/// What there is in the proxy's directory, and what the proxy runs. Tests plant foreign files in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyState {
    /// Snippets by file name.
    pub snippets: BTreeMap<String, String>,
    /// The snippets that the proxy has loaded. A change loads what is there then.
    pub loaded: BTreeMap<String, String>,
}

impl ProxyState {
    /// The file that serves a host name under `http://`, as far as the proxy has loaded it.
    #[must_use]
    pub fn serving(&self, host: &str) -> Option<&str> {
        let place = snippet::http_place(host);
        let serves = |contents: &String| snippet::places(contents).contains(&place);
        self.loaded.iter().find(|(_, contents)| serves(contents)).map(|(file, _)| file.as_str())
    }

    fn put(&mut self, spec: &RouteSpec) -> Effect<()> {
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
        self.snippets.insert(file, spec.contents.clone());
        self.loaded = self.snippets.clone();
        Ok(())
    }

    fn remove(&mut self, instance: InstanceId, site: &SiteRef) {
        let file = naming::snippet_file(&site.name);
        let is_ours = |there: &String| snippet::own(&file, there.as_bytes(), instance, site.id).is_ok();
        if self.snippets.get(&file).is_some_and(is_ours) {
            self.snippets.remove(&file);
        }
        self.loaded = self.snippets.clone();
    }
}

#[async_trait]
impl Proxy for FakeWorld {
    async fn ping(&self) -> Effect<()> {
        Ok(())
    }

    async fn routes(&self) -> Effect<Routes> {
        let state = &self.state().proxy;
        let facts = |(file, contents): (&String, &String)| {
            snippet::facts(file, contents.as_bytes(), state.loaded.get(file) == Some(contents))
        };
        let snippets = state.snippets.iter().map(facts).collect();
        Ok(Routes { snippets, served: Served::These(state.loaded.keys().cloned().collect()) })
    }

    async fn settle(&self) -> Effect<()> {
        let mut state = self.state();
        state.proxy.loaded = state.proxy.snippets.clone();
        Ok(())
    }

    async fn put_route(&self, spec: &RouteSpec) -> Effect<()> {
        self.state().proxy.put(spec)
    }

    async fn remove_route(&self, instance: InstanceId, site: &SiteRef) -> Effect<()> {
        self.state().proxy.remove(instance, site);
        Ok(())
    }
}
