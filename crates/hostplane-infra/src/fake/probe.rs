//! The site probe in the in-memory world: what a visitor sees follows from everything else.

use async_trait::async_trait;
use bytes::Bytes;
use hostplane_domain::mark::Mark;
use hostplane_domain::naming;
use hostplane_domain::url::SiteUrl;

use super::{FakeWorld, State};
use crate::containers::ContainerState;
use crate::error::Effect;
use crate::probe::{Page, SiteProbe};

#[async_trait]
impl SiteProbe for FakeWorld {
    async fn get(&self, url: &SiteUrl, _path: &str) -> Effect<Page> {
        let state = self.view();
        let body = |text: &str| Bytes::from(format!("<html><body>{text}</body></html>"));
        Ok(match served(&state, &url.host) {
            Ok(title) => Page { status: 200, body: body(&title.repeat(200 / title.len().max(1) + 1)) },
            Err(status) => Page { status, body: body("") },
        })
    }
}

/// The title of the site that answers under a host name, or the status that a visitor gets.
fn served(state: &State, host: &str) -> Result<String, u16> {
    let file = state.proxy.serving(host).ok_or(404_u16)?;
    let mark = state.proxy.loaded[file].lines().next().and_then(Mark::from_comment).ok_or(404_u16)?;
    let site = &mark.site.name;
    let running = |name: &str| {
        let (_, container) = state.containers.container(name)?;
        (container.state == ContainerState::Running).then_some(container)
    };
    let nginx = running(&naming::nginx_container(site)).ok_or(502_u16)?;
    let own = naming::network(site);
    if !nginx.networks.contains_key(&own) {
        return Err(502);
    }
    let block = state.containers.read_file(&naming::nginx_volume(site), "default.conf").ok_or(502_u16)?;
    if !String::from_utf8_lossy(&block).contains(&mark.site.id.to_string()) {
        return Err(421);
    }
    let php = running(&naming::php_container(site)).ok_or(502_u16)?;
    if !php.networks.contains_key(&own) {
        return Err(502);
    }
    if state.containers.read_file(&naming::files_volume(site), "index.php").is_none() {
        return Err(403);
    }
    let database = state.databases.databases.get(&naming::database(site)).ok_or(500_u16)?;
    match (database.installed, database.tables.get("wp_options")) {
        // Before the installation WordPress sends visitors to its installer.
        (None, _) => Err(302),
        (Some(_), title) => Ok(title.cloned().unwrap_or_default()),
    }
}
