//! WordPress in a site's PHP container: unpacking, installing, running due events.

mod gated;
mod php;

use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::ids::SiteId;
use hostplane_domain::url::SiteUrl;
use hostplane_domain::wordpress::WordpressDetails;
use secrecy::SecretString;

pub use gated::GatedWordpress;
pub use php::PhpWordpress;

use crate::error::{Effect, EffectError, Rejection};

/// Facts of a deep scan: the sites whose WordPress is unpacked and installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordpressFacts {
    /// The site id in the marker that is written after the last file.
    pub unpacked: Option<SiteId>,
    /// The site id in the option that is written after everything else.
    pub installed: Option<SiteId>,
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
}

/// Time limit of one run of events.
pub const EVENTS_DEADLINE: Duration = Duration::from_secs(90);

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
    /// Runs due events; does nothing while an earlier run goes on. A run is ended after [`EVENTS_DEADLINE`].
    /// `Transient` with PHP's message when an event failed.
    async fn run_events(&self, php_container: &str, run: &EventsRun) -> Effect<()>;
}

/// The refusal to unpack over another site's marker.
pub const ANOTHER_SITES_FILES: &str = "the volume already holds another site's files";
/// The refusal to install over another site's marker.
pub const ANOTHER_SITES_TABLES: &str = "the database already holds another site's WordPress";
/// The refusal to install over tables without a marker.
pub const UNMARKED_TABLES: &str = "the database already holds tables that Hostplane didn't make";

/// Refusal to overwrite data without this site's marker.
#[must_use]
pub fn occupied(by: &str) -> EffectError {
    let advice = "nothing was changed: restore the site's marker or destroy the site";
    Rejection::WouldLoseData(format!("{by}; {advice}")).into()
}
