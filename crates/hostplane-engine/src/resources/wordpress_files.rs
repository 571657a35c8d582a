//! WordPress unpacked into the files volume. Its marker is written after the last file.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::{Difference, Observed, Reason, Remedy};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::error::Effect;
use hostplane_infra::wordpress::{FilesFound, UpdateState, WordpressFacts};
use tracing::debug;

use super::wordpress_install::{marker, observe_within};
use super::{Resource, container};
use crate::context::{Intent, SiteCx};
use crate::inventory::snapshot::Snapshot;
use crate::inventory::{ObjectKind, ScanTargets};

/// WordPress's files in `wp_<site>`.
pub(crate) struct WordpressFiles;

#[async_trait]
impl Resource for WordpressFiles {
    fn kind(&self) -> ResourceKind {
        ResourceKind::WordpressFiles
    }

    fn needs(&self) -> &'static [ResourceKind] {
        &[ResourceKind::PhpContainer]
    }

    fn object(&self) -> Option<ObjectKind> {
        None
    }

    fn scan_targets(&self, site: &SiteName, targets: &mut ScanTargets) {
        targets.wordpress = Some(naming::php_container(site));
    }

    fn spec_hash(&self, want: &DesiredSite) -> SpecHash {
        SpecHash::of(&(naming::of(self.kind(), &want.site.name), want.site.id))
    }

    fn within(&self) -> Option<ResourceKind> {
        Some(ResourceKind::FilesVolume)
    }

    fn holds_data(&self) -> bool {
        true
    }

    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let volume = naming::files_volume(&cx.site.name);
        let volume = seen.volumes.iter().find(|found| found.name == volume);
        observe_within(volume.map(|volume| cx.owner(volume.mark.as_ref())), want, seen, |facts| differences(cx, facts))
    }

    /// Unpacks WordPress for a new site. The files of a site in service are its owner's: they are marked again, and
    /// core is laid again where an update was interrupted.
    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let php = container::running(cx, ResourceKind::PhpContainer).await?;
        let wordpress = &cx.host.wordpress;
        if cx.intent == Intent::New {
            return wordpress.unpack(&php.id, cx.site.id).await;
        }
        let facts = wordpress.facts(&php.id).await?;
        if facts.unpacked != Some(cx.site.id) && !facts.read_only {
            wordpress.mark_files(&php.id, cx.site.id).await?;
        }
        if facts.update == UpdateState::Core && !facts.read_only {
            wordpress.repair_core(&php.id).await?;
            // Else PHP mixes old and new files until it reads their dates again, two seconds later.
            if !cx.world.probe.reset_code(&want.url, &cx.probe_key(want)).await.is_ok_and(|done| done) {
                debug!(site = %cx.site.name, "PHP didn't forget its compiled code");
            }
        }
        Ok(())
    }

    async fn remove(&self, _cx: &SiteCx<'_>) -> Effect<()> {
        Ok(())
    }
}

/// The differences of the files from WordPress's, marked; `None` when they aren't there.
fn differences(cx: &SiteCx<'_>, facts: &WordpressFacts) -> Option<Vec<Difference>> {
    let is_marked = facts.unpacked == Some(cx.site.id);
    // Without its marker, the copy of a new site broke off.
    if facts.files == FilesFound::Nothing || (cx.intent == Intent::New && !is_marked) {
        return None;
    }
    let remedy = if facts.read_only { Remedy::Operator } else { Remedy::InPlace };
    let mut differs = Vec::new();
    if !is_marked {
        let remedy = if facts.files == FilesFound::Other { Remedy::Operator } else { remedy };
        differs.push(marker("unpacked", facts.unpacked, cx, remedy));
    }
    let version = match &facts.files {
        FilesFound::Wordpress(version) => version.as_str(),
        FilesFound::Nothing | FilesFound::Other => "unknown",
    };
    let found = match facts.update {
        UpdateState::None | UpdateState::Running => return Some(differs),
        UpdateState::Core => format!("core {version} half updated"),
        UpdateState::Other => format!("an interrupted update, with core {version}"),
    };
    let remedy = if facts.update == UpdateState::Core { remedy } else { Remedy::Operator };
    let wanted = "whole updates".to_owned();
    differs.push(Difference { reason: Reason::HalfUpdate, field: "update", wanted, found, remedy });
    Some(differs)
}
