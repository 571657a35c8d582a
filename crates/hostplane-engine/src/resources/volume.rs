//! A volume of a site. It has no id, so its labels are read before each change.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::Owner;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Observed;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::containers::Scope;
use hostplane_infra::error::{Effect, absent_is_done};

use super::{Resource, taken};
use crate::context::SiteCx;
use crate::inventory::ObjectKind;
use crate::inventory::snapshot::Snapshot;

/// A volume of a site.
pub(crate) struct Volume {
    kind: ResourceKind,
    holds_data: bool,
}

impl Volume {
    /// A volume whose content can't be made again.
    pub const fn of_data(kind: ResourceKind) -> Self {
        Self { kind, holds_data: true }
    }

    /// A volume that is filled from the control database.
    pub const fn of_settings(kind: ResourceKind) -> Self {
        Self { kind, holds_data: false }
    }
}

#[async_trait]
impl Resource for Volume {
    fn kind(&self) -> ResourceKind {
        self.kind
    }

    fn needs(&self) -> &'static [ResourceKind] {
        &[]
    }

    fn object(&self) -> Option<ObjectKind> {
        Some(ObjectKind::Volume)
    }

    fn holds_data(&self) -> bool {
        self.holds_data
    }

    fn spec_hash(&self, want: &DesiredSite) -> SpecHash {
        SpecHash::of(&self.object_name(&want.site.name))
    }

    fn observe(&self, cx: &SiteCx<'_>, _want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let name = self.object_name(&cx.site.name);
        match seen.volumes.iter().find(|volume| volume.name == name) {
            None => Observed::Absent,
            // Another release's volume is as good: a volume has nothing that could be changed without its content.
            Some(volume) => Observed::Present { owner: cx.owner(volume.mark.as_ref()), differs: Vec::new() },
        }
    }

    /// Creates the volume. The Engine answers with an existing one of that name, even another owner's, so the labels
    /// that come back decide. One of ours is kept with any spec, as it holds data.
    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let name = self.object_name(&cx.site.name);
        let found = cx.host.containers.create_volume(&name, &self.mark(cx, want).to_labels()).await?;
        match cx.owner(found.mark.as_ref()) {
            Owner::Ours(_) => Ok(()),
            owner => Err(taken(ObjectKind::Volume, &name, &owner)),
        }
    }

    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()> {
        let name = self.object_name(&cx.site.name);
        let found = cx.host.containers.volumes(&Scope::Names(vec![name.clone()])).await?;
        match found.first().map(|volume| cx.owner(volume.mark.as_ref())) {
            Some(Owner::Ours(_)) => absent_is_done(cx.host.containers.remove_volume(&name).await),
            Some(Owner::Predecessor(_) | Owner::Foreign) | None => Ok(()),
        }
    }
}
