//! WordPress unpacked into the files volume. Its marker is written after the last file.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::Observed;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::error::Effect;

use super::wordpress_install::observe_marker;
use super::{Resource, container};
use crate::context::SiteCx;
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
        observe_marker(cx, self.kind(), volume.map(|volume| cx.owner(volume.mark.as_ref())), want, seen, |facts| {
            facts.unpacked
        })
    }

    async fn ensure(&self, cx: &SiteCx<'_>, _want: &DesiredSite) -> Effect<()> {
        let php = container::running(cx, ResourceKind::PhpContainer).await?;
        cx.host.wordpress.unpack(&php.id, cx.site.id).await
    }

    async fn remove(&self, _cx: &SiteCx<'_>) -> Effect<()> {
        Ok(())
    }
}
