//! A site's own containers.

use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::{Owner, SiteRef};
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_infra::containers::{ContainerFacts, Scope};
use hostplane_infra::error::Effect;
use hostplane_infra::world::HostWorld;

/// One of the site's containers, if it is there. Another owner's container of that name doesn't count.
pub(crate) async fn container(
    host: &HostWorld,
    instance: InstanceId,
    site: &SiteRef,
    kind: ResourceKind,
) -> Effect<Option<ContainerFacts>> {
    let name = naming::of(kind, &site.name);
    let found = host.containers.containers(&Scope::Names(vec![name.clone()])).await?;
    let owner = |found: &ContainerFacts| Owner::judge(found.mark.clone(), instance, site.id);
    Ok(found.into_iter().find(|found| found.name == name && matches!(owner(found), Owner::Ours(_))))
}
