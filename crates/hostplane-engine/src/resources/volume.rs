//! The site's three volumes: `wp_<site>` with its files, `php_<site>` and `nginx_<site>` with generated
//! settings. A volume has no id: its labels are read before each change.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::Owner;
use hostplane_domain::naming;
use hostplane_domain::observed::Observed;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_infra::containers::Scope;
use hostplane_infra::error::{Effect, absent_is_done};

use super::{Resource, present, taken};
use crate::context::SiteCx;
use crate::inventory::snapshot::Snapshot;

/// One of the three.
pub(super) struct Volume(ResourceKind);

pub(super) const FILES: Volume = Volume(ResourceKind::FilesVolume);
pub(super) const PHP: Volume = Volume(ResourceKind::PhpVolume);
pub(super) const NGINX: Volume = Volume(ResourceKind::NginxVolume);

#[async_trait]
impl Resource for Volume {
    fn kind(&self) -> ResourceKind {
        self.0
    }

    fn needs(&self) -> &'static [ResourceKind] {
        &[]
    }

    /// The other two are filled again from the database.
    fn holds_data(&self) -> bool {
        self.0 == ResourceKind::FilesVolume
    }

    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let name = naming::of(self.0, &cx.site.name);
        match seen.volumes.iter().find(|volume| volume.name == name) {
            None => Observed::Absent,
            Some(volume) => present(cx, cx.owner(volume.mark.as_ref()), self.0, want, Vec::new()),
        }
    }

    /// The Engine answers the creation of a volume that exists with the existing one, whoever made it: the
    /// labels that come back decide. One of ours is kept, whatever its spec: it holds data.
    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let name = naming::of(self.0, &cx.site.name);
        let found = cx.world.containers.create_volume(&name, &cx.mark(self.0, want).to_labels()).await?;
        match cx.owner(found.mark.as_ref()) {
            Owner::Ours(_) => Ok(()),
            owner => Err(taken("volume", &name, &owner)),
        }
    }

    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()> {
        let name = naming::of(self.0, &cx.site.name);
        let found = cx.world.containers.volumes(&Scope::Names(vec![name.clone()])).await?;
        match found.first().map(|volume| cx.owner(volume.mark.as_ref())) {
            Some(Owner::Ours(_)) => absent_is_done(cx.world.containers.remove_volume(&name).await),
            Some(Owner::Predecessor(_) | Owner::Foreign) | None => Ok(()),
        }
    }
}
