//! Fake of the site probe: a visitor's page follows from the rest of the state.

use async_trait::async_trait;
use bytes::Bytes;
use hostplane_domain::mark::Mark;
use hostplane_domain::naming;
use hostplane_domain::render::caddy::MAINTENANCE_PAGE;
use hostplane_domain::url::SiteUrl;

use super::{FakeWorld, State, wordpress};
use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::Effect;
use hostplane_infra::probe::{Page, SiteProbe};

/// A file of the site that stands for plugins which answer otherwise than WordPress.
pub const ANSWERS: &str = "wp-content/plugins/answers";

#[async_trait]
impl SiteProbe for FakeWorld {
    async fn get(&self, url: &SiteUrl, path: &str) -> Effect<Page> {
        let state = self.view();
        let body = |text: &str| Bytes::from(format!("<html><body>{text}</body></html>"));
        if let Some(file) = state.proxy.serving(&url.host)
            && state.proxy.loaded[file].contains(MAINTENANCE_PAGE)
        {
            return Ok(Page { status: 503, body: Bytes::from_static(MAINTENANCE_PAGE.as_bytes()) });
        }
        Ok(match served(&state, &url.host, path) {
            Ok(title) => Page { status: 200, body: body(&title.repeat(200 / title.len().max(1) + 1)) },
            Err(status) => Page { status, body: body("") },
        })
    }
}

/// The title of the site that answers under a host name, or the status that a visitor gets.
fn served(state: &State, host: &str, path: &str) -> Result<String, u16> {
    let file = state.proxy.serving(host).ok_or(404_u16)?;
    let mark = state.proxy.loaded[file].lines().next().and_then(Mark::from_comment).ok_or(404_u16)?;
    let site = &mark.site.name;
    let running = |name: &str| {
        let (_, container) = state.containers.container(name)?;
        (container.state == ContainerState::Running).then_some(container)
    };
    let nginx = running(&naming::nginx_container(site)).ok_or(502_u16)?;
    let settings = naming::nginx_volume(site);
    if !nginx.spec.mounts.iter().any(|mount| mount.volume == settings) {
        // The image's own settings.
        return if path == "/" { Ok("Welcome to nginx!".to_owned()) } else { Err(404) };
    }
    let block = state.containers.read_file(&settings, "default.conf").ok_or(502_u16)?;
    if !String::from_utf8_lossy(&block).contains(&mark.site.id.to_string()) {
        return Err(421);
    }
    if path.starts_with("/.") || path.starts_with("/wp-admin/install.php") {
        return Err(403);
    }
    // What nginx finds it needs no PHP for: a directory without an index is forbidden.
    let (program, without_it) = if path == "/" {
        ("index.php", 403)
    } else if let Some(named) = path.strip_prefix('/').filter(|named| named.strip_suffix(".php").is_some()) {
        (named, 404)
    } else {
        ("index.php", 404)
    };
    if state.containers.read_file(&naming::files_volume(site), program).is_none() {
        return Err(without_it);
    }
    let own = naming::network(site);
    let php = running(&naming::php_container(site)).ok_or(502_u16)?;
    if !nginx.networks.contains_key(&own) || !php.networks.contains_key(&own) {
        return Err(502);
    }
    let database = wordpress::database(state, &php.spec.name, "probe.get").map_err(|_| 500_u16)?;
    // What the owner's plugins make of a path: a line with it and a status.
    let answers = state.containers.read_file(&naming::files_volume(site), ANSWERS).unwrap_or_default();
    let answers = String::from_utf8_lossy(&answers).into_owned();
    let answer = answers.lines().filter_map(|line| line.split_once(' ')).find(|(of, _)| *of == path);
    if let Some(status) = answer.and_then(|(_, status)| status.parse().ok()) {
        return Err(status);
    }
    // Before the installation WordPress sends visitors to its installer.
    let title = state.databases.databases[&database].tables.get("wp_options").ok_or(302_u16)?;
    if matches!(path, "/" | "/wp-login.php") { Ok(title.clone()) } else { Err(404) }
}
