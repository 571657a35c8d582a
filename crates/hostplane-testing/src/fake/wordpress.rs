//! WordPress in the in-memory world: a few of its files and two markers, one in the files volume, one in the database.
//! A file `.maintenance` with the text `running` stands for an update that runs, the index page for all files of core.

use async_trait::async_trait;
use bytes::Bytes;
use hostplane_domain::container::ContainerSpec;
use hostplane_domain::ids::SiteId;
use hostplane_domain::naming;
use hostplane_domain::render::php::WP_CONFIG_STUB;

use super::{FakePath, FakeWorld, State};
use hostplane_infra::clock::Clock;
use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::{Effect, EffectError};
use hostplane_infra::wordpress::{
    ANOTHER_SITES_FILES, ANOTHER_SITES_TABLES, EventsRun, FilesFound, Installation, NO_FILES, NO_SOURCE, NO_TABLES,
    TablesFound, UNMARKED_TABLES, UpdateState, Wordpress, WordpressFacts, occupied, unexpected,
};

const MARKER: &str = ".hostplane-site";
/// The file by which a core is known.
const VERSION: &str = "wp-includes/version.php";
/// The file that says what updates do.
const MAINTENANCE: &str = ".maintenance";
/// The text of a file of core.
const CORE: &[u8] = b"<?php";
/// The version of the image's core, and the text by which it says so.
const SOURCE_VERSION: &str = "6.8";
const SOURCE_VERSION_FILE: &[u8] = b"<?php\n$wp_version = '6.8';\n";
/// The site's own configuration.
const CONFIG: &str = "wp-config.php";
/// The table that an installer makes first and drops last: with it, all tables are an installer's that
/// broke off.
pub(super) const INSTALLING: &str = "hostplane_installing";

/// The volume that a running container has at a path.
fn volume_at(state: &State, container: &str, path: &str, call: &'static str) -> Effect<String> {
    let spec = running(state, container, call)?;
    let mount = spec.mounts.iter().find(|mount| mount.path == path);
    let missing = || EffectError::transient_message(call, format!("php finds nothing at {path}"));
    mount.map(|mount| mount.volume.clone()).ok_or_else(missing)
}

fn running<'a>(state: &'a State, container: &str, call: &'static str) -> Effect<&'a ContainerSpec> {
    let (_, found) =
        state.containers.container(container).ok_or_else(|| EffectError::NotFound(format!("container {container}")))?;
    if found.state == ContainerState::Running {
        Ok(&found.spec)
    } else {
        Err(EffectError::transient_message(call, format!("the container {container} isn't running")))
    }
}

/// The database that the container's settings name, if their password opens it.
fn database(state: &State, container: &str, call: &'static str) -> Effect<String> {
    let volume = volume_at(state, container, naming::PHP_SETTINGS_DIR, call)?;
    opened(state, &config(state, &volume), call)
}

/// The same for visitors' requests, by the configuration that the owner has.
pub(super) fn database_of_visitors(state: &State, container: &str, call: &'static str) -> Effect<String> {
    let volume = volume_at(state, container, naming::DOCROOT, call)?;
    let own = config(state, &volume);
    if own.contains("require '/etc/hostplane/wp-config.php';") {
        database(state, container, call)
    } else {
        opened(state, &own, call)
    }
}

/// A configuration in a volume; empty without one.
fn config(state: &State, volume: &str) -> String {
    String::from_utf8_lossy(&state.containers.read_file(volume, CONFIG).unwrap_or_default()).into_owned()
}

/// The database that a configuration names, if its password opens it.
fn opened(state: &State, config: &str, call: &'static str) -> Effect<String> {
    let refused = || EffectError::transient_message(call, "php can't connect to the database");
    let value = |name: &str| {
        let line = config.split_once(&format!("define( '{name}', '"))?.1;
        Some(line.split_once('\'')?.0.to_owned())
    };
    let (name, password) = (value("DB_NAME").ok_or_else(refused)?, value("DB_PASSWORD").ok_or_else(refused)?);
    if matches!(state.database_path, FakePath::Closed(_)) {
        return Err(refused());
    }
    let user = state.databases.users.get(&name).ok_or_else(refused)?;
    let may = user.grants_exact && user.password_hash == hostplane_domain::secret::mariadb_hash(&password.into());
    if may && state.databases.databases.contains_key(&name) { Ok(name) } else { Err(refused()) }
}

/// The table of a site's options, by its own configuration.
pub(super) fn options(state: &State, volume: &str) -> String {
    let config = config(state, volume);
    let named = config.split_once("$table_prefix = '").and_then(|(_, rest)| rest.split_once('\''));
    format!("{}options", named.map_or("wp_", |(prefix, _)| prefix))
}

/// The tables of a database, by WordPress's options.
fn found_tables(state: &State, volume: &str, database: &str) -> TablesFound {
    let options = options(state, volume);
    let tables = &state.databases.databases[database].tables;
    if tables.contains_key(&options) {
        TablesFound::Wordpress
    } else if tables.is_empty() {
        TablesFound::Nothing
    } else {
        TablesFound::Other
    }
}

/// The version that a core says it is.
fn version(state: &State, volume: &str) -> Option<String> {
    let text = state.containers.read_file(volume, VERSION)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let named = text.split_once("$wp_version = '").and_then(|(_, rest)| rest.split_once('\''));
    Some(named.map_or("unknown", |(version, _)| version).to_owned())
}

fn has_source(state: &State, volume: &str) -> bool {
    version(state, volume).as_deref() == Some(SOURCE_VERSION)
}

/// Refuses to write into a root that its owner has made read-only.
fn writable(state: &State, volume: &str, call: &'static str) -> Effect<()> {
    if is_read_only(state, volume) { Err(EffectError::transient_message(call, "can't write")) } else { Ok(()) }
}

fn is_read_only(state: &State, volume: &str) -> bool {
    state.containers.volumes[volume].mode & 0o200 == 0
}

/// The state of updates.
fn update(state: &State, volume: &str) -> UpdateState {
    match state.containers.read_file(volume, MAINTENANCE).as_deref() {
        Some(b"running") => UpdateState::Running,
        Some(since) if since.starts_with(b"<?php $upgrading = 1") => {
            let index = state.containers.read_file(volume, "index.php");
            let is_mixed = has_source(state, volume) && index.as_deref() != Some(CORE);
            if is_mixed { UpdateState::Core } else { UpdateState::Other }
        }
        _ => UpdateState::None,
    }
}

/// The text of the marker, if it is there.
fn marker(state: &State, volume: &str) -> Option<String> {
    let text = state.containers.read_file(volume, MARKER)?;
    Some(String::from_utf8_lossy(&text).trim().to_owned())
}

#[async_trait]
impl Wordpress for FakeWorld {
    async fn facts(&self, php_container: &str) -> Effect<WordpressFacts> {
        let call = "wordpress.facts";
        let state = self.view();
        let volume = volume_at(&state, php_container, naming::DOCROOT, call)?;
        let database = database(&state, php_container, call)?;
        let tables = found_tables(&state, &volume, &database);
        Ok(WordpressFacts {
            unpacked: marker(&state, &volume).and_then(|text| text.parse().ok()),
            files: match version(&state, &volume) {
                Some(version) => FilesFound::Wordpress(version),
                None if state.containers.volumes[&volume].files.keys().all(|file| file.starts_with(".hostplane-")) => {
                    FilesFound::Nothing
                }
                None => FilesFound::Other,
            },
            read_only: is_read_only(&state, &volume),
            installed: state.databases.databases[&database].installed.filter(|_| tables == TablesFound::Wordpress),
            tables,
            update: update(&state, &volume),
        })
    }

    async fn unpack(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let call = "wordpress.unpack";
        let mut parts = self.parts(call);
        let mut state = self.state();
        let volume = volume_at(&state, php_container, naming::DOCROOT, call)?;
        match marker(&state, &volume) {
            Some(found) if found == site.to_string() => return Ok(()),
            Some(_) => return Err(occupied(ANOTHER_SITES_FILES)),
            None => writable(&state, &volume, call)?,
        }
        let files = [
            ("index.php", Bytes::from_static(CORE)),
            ("wp-login.php", Bytes::from_static(CORE)),
            (VERSION, Bytes::from_static(SOURCE_VERSION_FILE)),
            (CONFIG, Bytes::from_static(WP_CONFIG_STUB.as_bytes())),
            (MARKER, Bytes::from(format!("{site}\n"))),
        ];
        for (path, contents) in files {
            parts.next()?;
            // A run that broke off may have left what it would have renamed.
            state.containers.delete_file(&volume, &format!("{path}.new"));
            state.containers.write_file(&volume, path, contents);
        }
        Ok(())
    }

    async fn install(&self, php_container: &str, installation: &Installation) -> Effect<()> {
        let call = "wordpress.install";
        let mut parts = self.parts(call);
        let mut state = self.state();
        let name = database(&state, php_container, call)?;
        let volume = volume_at(&state, php_container, naming::DOCROOT, call)?;
        let unpacked = marker(&state, &volume).is_some_and(|found| found == installation.site.to_string());
        let database = state.databases.databases.entry(name).or_default();
        match database.installed {
            Some(site) if site == installation.site => {
                database.tables.remove(INSTALLING);
                return Ok(());
            }
            Some(_) => return Err(occupied(ANOTHER_SITES_TABLES)),
            None if !database.tables.is_empty() && !database.tables.contains_key(INSTALLING) => {
                return Err(occupied(UNMARKED_TABLES));
            }
            None if !unpacked => return Err(EffectError::transient_message(call, "WordPress isn't unpacked")),
            None => {}
        }
        database.tables.clear();
        parts.next()?;
        database.tables.insert(INSTALLING.to_owned(), String::new());
        parts.next()?;
        database.tables.insert("wp_options".to_owned(), installation.details.title.to_string());
        parts.next()?;
        database.installed = Some(installation.site);
        database.tables.remove(INSTALLING);
        Ok(())
    }

    async fn mark_files(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let mut state = self.state();
        let call = "wordpress.mark_files";
        let volume = volume_at(&state, php_container, naming::DOCROOT, call)?;
        if version(&state, &volume).is_none() {
            return Err(unexpected(NO_FILES));
        }
        writable(&state, &volume, call)?;
        state.containers.write_file(&volume, MARKER, Bytes::from(format!("{site}\n")));
        Ok(())
    }

    async fn mark_tables(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let mut state = self.state();
        let call = "wordpress.mark_tables";
        let name = database(&state, php_container, call)?;
        let volume = volume_at(&state, php_container, naming::DOCROOT, call)?;
        if found_tables(&state, &volume, &name) != TablesFound::Wordpress {
            return Err(unexpected(NO_TABLES));
        }
        state.databases.databases.entry(name).or_default().installed = Some(site);
        Ok(())
    }

    async fn hold_updates(&self, php_container: &str) -> Effect<bool> {
        let state = self.view();
        let volume = volume_at(&state, php_container, naming::DOCROOT, "wordpress.hold_updates")?;
        Ok(update(&state, &volume) != UpdateState::Running)
    }

    async fn repair_core(&self, php_container: &str) -> Effect<()> {
        let call = "wordpress.repair_core";
        let mut state = self.state();
        let volume = volume_at(&state, php_container, naming::DOCROOT, call)?;
        match update(&state, &volume) {
            UpdateState::Running => return Err(EffectError::transient_message(call, "an update runs")),
            _ if !has_source(&state, &volume) => return Err(unexpected(NO_SOURCE)),
            UpdateState::None | UpdateState::Other => return Ok(()),
            UpdateState::Core => writable(&state, &volume, call)?,
        }
        if let Some(replaced) = state.containers.read_file(&volume, "index.php") {
            let kept = format!(".hostplane-replaced-{}/index.php", self.clock().now().0);
            state.containers.write_file(&volume, &kept, replaced);
            state.containers.write_file(&volume, "index.php", Bytes::from_static(CORE));
        }
        state.containers.delete_file(&volume, MAINTENANCE);
        Ok(())
    }

    async fn run_events(&self, php_container: &str, _run: &EventsRun) -> Effect<()> {
        let call = "wordpress.run_events";
        let now = self.clock().now();
        let mut state = self.state();
        let name = database(&state, php_container, call)?;
        let volume = volume_at(&state, php_container, naming::DOCROOT, call)?;
        if found_tables(&state, &volume, &name) != TablesFound::Wordpress {
            return Err(EffectError::transient_message(call, "WordPress isn't installed"));
        }
        let database = state.databases.databases.entry(name).or_default();
        database.next_event = database.next_event.filter(|due| *due > now);
        Ok(())
    }
}
