//! The bridge network of the site's PHP and nginx alone, with a small subnet of its own: no other site
//! can speak to its PHP.

use async_trait::async_trait;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::Owner;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::Reason;
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::containers::{NetworkFacts, NetworkSpec, Scope};
use hostplane_infra::error::{Effect, EffectError, Rejection, absent_is_done};

use super::image::require_image;
use super::{Resource, came_late, present, taken};
use crate::context::{Intent, SiteCx};
use crate::inventory::ObjectKind;
use crate::inventory::snapshot::Snapshot;

/// `site_<site>`.
pub(crate) struct Network;

#[async_trait]
impl Resource for Network {
    fn kind(&self) -> ResourceKind {
        ResourceKind::Network
    }

    fn needs(&self) -> &'static [ResourceKind] {
        &[]
    }

    fn object(&self) -> Option<ObjectKind> {
        Some(ObjectKind::Network)
    }

    fn spec_hash(&self, want: &DesiredSite) -> SpecHash {
        SpecHash::of(&(self.object_name(&want.site.name), want.wordpress().subnet))
    }

    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let owners = seen.networks.iter().map(|network| cx.owner(network.mark.as_ref()));
        let ours =
            seen.networks.iter().filter(|network| matches!(cx.owner(network.mark.as_ref()), Owner::Ours(_))).count();
        // A name that two of ours have is ambiguous for the Engine.
        let differs = (ours > 1).then(|| Difference {
            reason: Reason::Network,
            field: "networks",
            wanted: "1".to_owned(),
            found: ours.to_string(),
            remedy: Remedy::InPlace,
        });
        // Two networks can have one name; ours counts.
        match owners.reduce(|a, b| if matches!(a, Owner::Ours(_)) { a } else { b }) {
            None => Observed::Absent,
            Some(owner) => present(self, cx, owner, want, differs.into_iter().collect()),
        }
    }

    /// Replaces a network of ours that was made from another spec, with the containers that are on it; a repair keeps
    /// what another release made.
    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let mark = self.mark(cx, want);
        let mut kept = false;
        for network in find(cx).await? {
            match cx.owner(network.mark.as_ref()) {
                // A second one of ours comes from a request whose reply was lost.
                Owner::Ours(found) if (found.spec == mark.spec || cx.intent == Intent::Repair) && !kept => kept = true,
                Owner::Ours(found) => {
                    if found.spec != mark.spec && cx.intent != Intent::Repair {
                        remove_containers_on(cx, want).await?;
                    }
                    absent_is_done(cx.host.containers.remove_network(&network.id).await)?;
                }
                owner => return Err(taken(ObjectKind::Network, &network.name, &owner)),
            }
        }
        if kept {
            return Ok(());
        }
        let spec = NetworkSpec {
            name: naming::network(&cx.site.name),
            subnet: Some(want.wordpress().subnet),
            labels: mark.to_labels(),
        };
        let created = cx.host.containers.create_network(&spec).await.map(|_| ());
        if let Err(EffectError::Rejected(Rejection::NameTaken { .. })) = &created {
            let ours = |found: &NetworkFacts| matches!(cx.owner(found.mark.as_ref()), Owner::Ours(_));
            if find(cx).await?.iter().any(ours) {
                return Err(came_late("docker.create_network", &spec.name));
            }
        }
        created
    }

    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()> {
        for network in find(cx).await? {
            if matches!(cx.owner(network.mark.as_ref()), Owner::Ours(_)) {
                absent_is_done(cx.host.containers.remove_network(&network.id).await)?;
            }
        }
        Ok(())
    }
}

/// Removes the site's containers from its network, which the Engine removes only then. They are made again by steps of
/// their own, for which their images have to be there.
async fn remove_containers_on(cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
    let images = &want.wordpress().images;
    for image in [&images.php, &images.nginx] {
        require_image(cx, image).await?;
    }
    let network = naming::network(&cx.site.name);
    let names = vec![naming::php_container(&cx.site.name), naming::nginx_container(&cx.site.name)];
    for found in cx.host.containers.containers(&Scope::Names(names)).await? {
        if found.networks.contains(&network) && matches!(cx.owner(found.mark.as_ref()), Owner::Ours(_)) {
            absent_is_done(cx.host.containers.remove_container(&found.id).await)?;
        }
    }
    Ok(())
}

async fn find(cx: &SiteCx<'_>) -> Effect<Vec<NetworkFacts>> {
    cx.host.containers.networks(&Scope::Names(vec![naming::network(&cx.site.name)])).await
}
