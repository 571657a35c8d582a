//! What is done inside a site's own PHP container: unpacking and installing WordPress.

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

/// The deep facts of a site: whose WordPress is unpacked, and whose is installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordpressFacts {
    /// The site id in the marker that is written after the last file.
    pub unpacked: Option<SiteId>,
    /// The site id in the option that is written after everything else.
    pub installed: Option<SiteId>,
}

/// What the installer needs.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Becomes the marker.
    pub site: SiteId,
    /// Where the site is reached.
    pub url: SiteUrl,
    /// Title and first administrator.
    pub details: WordpressDetails,
    /// The first administrator's password.
    pub admin_password: SecretString,
}

/// What a run of scheduled events needs.
#[derive(Debug, Clone)]
pub struct EventsRun {
    /// Where the site is reached.
    pub url: SiteUrl,
    /// What the run may use, in MiB.
    pub memory_mib: u16,
}

/// How long one run of events may take.
pub const EVENTS_DEADLINE: Duration = Duration::from_secs(90);

/// WordPress in a running PHP container, by the container's id. What it prints is the tenant's word:
/// it is parsed strictly and otherwise only quoted, shortened.
#[async_trait]
pub trait Wordpress: Send + Sync {
    /// The markers; one that can't be read is none. `Transient` while the container or its database can't say.
    async fn facts(&self, php_container: &str) -> Effect<WordpressFacts>;
    /// Copies the image's WordPress into the files volume; complete already is fine, and what broke off is
    /// done again. `Rejected(WouldLoseData)` when the volume has any other marker than this site's.
    async fn unpack(&self, php_container: &str, site: SiteId) -> Effect<()>;
    /// Installs into the database; installed already for this site is fine, and what broke off is done
    /// again. Never two at once. `Transient` before this site is unpacked; `Rejected(WouldLoseData)` when
    /// there are tables of another site, or of nobody's.
    async fn install(&self, php_container: &str, installation: &Installation) -> Effect<()>;
    /// Runs the scheduled events that are due; while an earlier run goes on, nothing. A run that takes longer
    /// than [`EVENTS_DEADLINE`] is ended. `Transient` with WordPress's words when an event failed.
    async fn run_events(&self, php_container: &str, run: &EventsRun) -> Effect<()>;
}

/// The refusal to unpack over another site's marker.
pub const ANOTHER_SITES_FILES: &str = "the volume already holds another site's files";
/// The refusal to install over another site's marker.
pub const ANOTHER_SITES_TABLES: &str = "the database already holds another site's WordPress";
/// The refusal to install over tables without a marker.
pub const NOBODYS_TABLES: &str = "the database already holds tables that no installation of ours made";

/// What is there is not this site's, as far as can be told.
#[must_use]
pub fn occupied(by: &str) -> EffectError {
    let advice = "nothing was changed: restore the site's marker or destroy the site";
    Rejection::WouldLoseData(format!("{by}; {advice}")).into()
}
