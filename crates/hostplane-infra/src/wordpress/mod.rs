//! WordPress in a site's PHP container: unpacking, installing, running due events.

mod gated;
mod php;

use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::ids::SiteId;
use hostplane_domain::render::php::UPDATE_SECONDS;
use hostplane_domain::url::SiteUrl;
use hostplane_domain::wordpress::WordpressDetails;
use secrecy::SecretString;
use serde::Deserialize;

pub use gated::GatedWordpress;
pub use php::PhpWordpress;

use crate::error::{Effect, EffectError, Rejection};

/// Facts of a deep scan: the parts of WordPress in the places of a site, of any origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordpressFacts {
    /// The site id in the marker that is written after the last file.
    pub unpacked: Option<SiteId>,
    /// The files.
    pub files: FilesFound,
    /// The root of the files can't be written.
    pub read_only: bool,
    /// The site id in the option that is written after everything else.
    pub installed: Option<SiteId>,
    /// The tables.
    pub tables: TablesFound,
    /// Updates of core, plugins and themes.
    pub update: UpdateState,
}

/// The content of the place where WordPress's files belong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FilesFound {
    /// Nothing but what is ours.
    #[default]
    Nothing,
    /// WordPress's core, at the root or in a directory of it, in the version that it says.
    Wordpress(String),
    /// Files without a WordPress that is known by its place.
    Other,
}

/// The content of the place where WordPress's tables belong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TablesFound {
    /// No table.
    #[default]
    Nothing,
    /// WordPress's tables, with the prefix that the site's configuration names.
    Wordpress,
    /// Tables, but not those of a WordPress with that prefix.
    Other,
}

/// The state of updates of core, plugins and themes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    /// None runs, and none was interrupted.
    #[default]
    None,
    /// One runs.
    Running,
    /// One was interrupted and has left a mixture of two cores; the image has the one that it says it is.
    Core,
    /// One was interrupted: that of a plugin or a theme, or of a core that the image doesn't have.
    Other,
}

/// Input of the installer.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The site id, written as the marker.
    pub site: SiteId,
    /// The site's address.
    pub url: SiteUrl,
    /// Title and first administrator.
    pub details: WordpressDetails,
    /// The first administrator's password.
    pub admin_password: SecretString,
}

/// Input of a run of due events.
#[derive(Debug, Clone)]
pub struct EventsRun {
    /// The site's address.
    pub url: SiteUrl,
    /// PHP's memory limit for the run, in MiB.
    pub memory_mib: u16,
    /// Its time limits.
    pub limits: EventsLimits,
}

/// The time limits of a run of due events. What takes longer gets SIGTERM and, ten seconds later, SIGKILL.
#[derive(Debug, Clone, Copy)]
pub struct EventsLimits {
    /// That of a run.
    pub event: Duration,
    /// That of a run while an update of core, of a plugin or of a theme runs in the site.
    pub update: Duration,
}

impl Default for EventsLimits {
    fn default() -> Self {
        Self { event: Duration::from_secs(90), update: UPDATE_PATIENCE }
    }
}

/// The time that an update of core, of a plugin or of a theme gets, wherever it runs. All that would end it waits so long.
pub const UPDATE_PATIENCE: Duration = Duration::from_secs(UPDATE_SECONDS);

/// WordPress in a running PHP container, by the container's id. Its output is hostile: parsed strictly, and quoted in
/// errors only when shortened.
#[async_trait]
pub trait Wordpress: Send + Sync {
    /// Reads the markers; a malformed one counts as none. `Transient` while the container or its database is down.
    async fn facts(&self, php_container: &str) -> Effect<WordpressFacts>;
    /// Copies the image's WordPress into the files volume. A complete copy is kept, an interrupted one redone.
    /// `Rejected(WouldLoseData)` when the volume has another marker than this site's.
    async fn unpack(&self, php_container: &str, site: SiteId) -> Effect<()>;
    /// Installs WordPress into the database, one installer at a time. This site's installation is kept, an interrupted
    /// one redone. `Transient` before this site is unpacked; `Rejected(WouldLoseData)` when the tables belong to
    /// another site, or to no installation of ours.
    async fn install(&self, php_container: &str, installation: &Installation) -> Effect<()>;
    /// Marks the files of a site in service again. `Rejected(WouldLoseData)` when WordPress isn't there.
    async fn mark_files(&self, php_container: &str, site: SiteId) -> Effect<()>;
    /// Marks the tables of a site in service again. `Rejected(WouldLoseData)` when WordPress's tables aren't there.
    async fn mark_tables(&self, php_container: &str, site: SiteId) -> Effect<()>;
    /// Keeps updates of core, plugins and themes from beginning for two minutes, or until PHP's container ends, as it is
    /// about to. `false` while one runs, in whichever process of the container; then nothing is held.
    async fn hold_updates(&self, php_container: &str) -> Effect<bool>;
    /// Lays the image's core over a mixture that an interrupted update has left, and keeps what it replaces.
    /// `Transient` while an update runs, `Rejected(WouldLoseData)` when the image has another version.
    async fn repair_core(&self, php_container: &str) -> Effect<()>;
    /// Runs due events; does nothing while an earlier run goes on. A run is ended when its limit is over; one that takes
    /// longer than the call, as an update may, goes on without it. `Transient` with PHP's message when an event failed.
    async fn run_events(&self, php_container: &str, run: &EventsRun) -> Effect<()>;
}

/// The refusal to unpack over another site's marker.
pub const ANOTHER_SITES_FILES: &str = "the volume already holds another site's files";
/// The refusal to install over another site's marker.
pub const ANOTHER_SITES_TABLES: &str = "the database already holds another site's WordPress";
/// The refusal to install over tables without a marker.
pub const UNMARKED_TABLES: &str = "the database already holds tables that Hostplane didn't make";

/// The refusal to mark files that aren't WordPress's.
pub const NO_FILES: &str = "the volume holds no WordPress";
/// The refusal to mark tables that aren't WordPress's.
pub const NO_TABLES: &str = "the database holds no tables of this site's WordPress";
/// The refusal to lay a core of another version.
pub const NO_SOURCE: &str = "the image has another version of WordPress than the site";

/// Refusal to write where not what is expected is.
#[must_use]
pub fn unexpected(found: &str) -> EffectError {
    Rejection::WouldLoseData(format!("{found}; nothing was changed")).into()
}

/// Refusal to overwrite data without this site's marker.
#[must_use]
pub fn occupied(by: &str) -> EffectError {
    let advice = "nothing was changed: restore the site's marker or destroy the site";
    Rejection::WouldLoseData(format!("{by}; {advice}")).into()
}
