//! Fake of the site probe: a visitor's page follows from the rest of the state.

use async_trait::async_trait;
use bytes::Bytes;
use hostplane_domain::health::{Fatal, Health, Stage};
use hostplane_domain::mark::Mark;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_domain::probe_key::{PROBE_PATH, ProbeKey, ProbeMode};
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

    async fn ask(&self, url: &SiteUrl, _mode: ProbeMode, path: &str, key: &ProbeKey) -> Effect<Option<Health>> {
        Ok(health(&self.view(), &url.host, path, key))
    }

    async fn reset_code(&self, url: &SiteUrl, key: &ProbeKey) -> Effect<bool> {
        Ok(health(&self.view(), &url.host, PROBE_PATH, key).is_some())
    }
}

/// The program of a site's PHP that answers a request.
struct Reached {
    site: SiteName,
    /// PHP's container.
    php: String,
}

/// The end of a request at a server before PHP: a page of that server's own, or a status.
enum Ended {
    Page(&'static str),
    Status(u16),
}

/// The program that answers under a host name.
fn reached(state: &State, host: &str, path: &str) -> Result<Reached, Ended> {
    use Ended::{Page, Status};
    let file = state.proxy.serving(host).ok_or(Status(404))?;
    let mark = state.proxy.loaded[file].lines().next().and_then(Mark::from_comment).ok_or(Status(404))?;
    if state.proxy.loaded[file].contains(MAINTENANCE_PAGE) {
        return Err(Status(503));
    }
    let site = &mark.site.name;
    let running = |name: &str| {
        let (_, container) = state.containers.container(name)?;
        (container.state == ContainerState::Running).then_some(container)
    };
    let nginx = running(&naming::nginx_container(site)).ok_or(Status(502))?;
    let settings = naming::nginx_volume(site);
    if !nginx.spec.mounts.iter().any(|mount| mount.volume == settings) {
        // The image's own settings.
        return Err(if path == "/" { Page("Welcome to nginx!") } else { Status(404) });
    }
    let block = state.containers.read_file(&settings, "default.conf").ok_or(Status(502))?;
    if !String::from_utf8_lossy(&block).contains(&mark.site.id.to_string()) {
        return Err(Status(421));
    }
    if path != PROBE_PATH && (path.starts_with("/.") || path.starts_with("/wp-admin/install.php")) {
        return Err(Status(403));
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
        return Err(Status(without_it));
    }
    let own = naming::network(site);
    let php = running(&naming::php_container(site)).ok_or(Status(502))?;
    if !nginx.networks.contains_key(&own) || !php.networks.contains_key(&own) {
        return Err(Status(502));
    }
    Ok(Reached { site: site.clone(), php: php.spec.name.clone() })
}

/// The status that the owner's plugins make of a path: a line with it and a status.
fn answer_of_plugins(state: &State, site: &SiteName, path: &str) -> Option<u16> {
    let answers = state.containers.read_file(&naming::files_volume(site), ANSWERS).unwrap_or_default();
    let answers = String::from_utf8_lossy(&answers).into_owned();
    let answer = answers.lines().filter_map(|line| line.split_once(' ')).find(|(of, _)| *of == path);
    answer.and_then(|(_, status)| status.parse().ok())
}

/// The title of the site that answers under a host name, or the status that a visitor gets.
fn served(state: &State, host: &str, path: &str) -> Result<String, u16> {
    let Reached { site, php } = match reached(state, host, path) {
        Ok(reached) => reached,
        Err(Ended::Page(title)) => return Ok(title.to_owned()),
        Err(Ended::Status(status)) => return Err(status),
    };
    let database = wordpress::database_of_visitors(state, &php, "probe.get").map_err(|_| 500_u16)?;
    if let Some(status) = answer_of_plugins(state, &site, path) {
        return Err(status);
    }
    // Before the installation WordPress sends visitors to its installer.
    let options = wordpress::options(state, &naming::files_volume(&site));
    let title = state.databases.databases[&database].tables.get(&options).ok_or(302_u16)?;
    if matches!(path, "/" | "/wp-login.php") { Ok(title.clone()) } else { Err(404) }
}

/// WordPress's answer to a signed question, if its configuration reads the hooks that have the key.
fn health(state: &State, host: &str, path: &str, key: &ProbeKey) -> Option<Health> {
    let Reached { site, php } = reached(state, host, path).ok()?;
    let has = |volume: &str, file: &str, text: &str| {
        let contents = state.containers.read_file(volume, file)?;
        String::from_utf8_lossy(&contents).contains(text).then_some(())
    };
    has(&naming::files_volume(&site), "wp-config.php", naming::PHP_SETTINGS_DIR)?;
    has(&naming::php_volume(&site), "hostplane.php", &key.public())?;
    let ended = |status, database, to: Option<&str>| Health {
        stage: Stage::Config,
        status,
        database,
        fatal: None,
        location: to.map(str::to_owned),
    };
    let options = wordpress::options(state, &naming::files_volume(&site));
    let Ok(database) = wordpress::database_of_visitors(state, &php, "probe.ask") else {
        return Some(ended(500, false, None));
    };
    if !state.databases.databases[&database].tables.contains_key(&options) {
        return Some(ended(302, true, Some("/wp-admin/install.php")));
    }
    let loaded = Health { stage: Stage::WpLoaded, ..ended(200, true, None) };
    Some(match answer_of_plugins(state, &site, path) {
        Some(status @ 500..) => Health { status, fatal: Some(Fatal { file: ANSWERS.to_owned(), line: 1 }), ..loaded },
        Some(status) => Health { status, ..loaded },
        None => loaded,
    })
}
