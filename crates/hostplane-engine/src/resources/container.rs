//! What the PHP and the nginx container have in common.

use hostplane_domain::container::ContainerSpec;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::kind::Kind;
use hostplane_domain::mark::{Mark, Owner};
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_infra::containers::{ContainerFacts, ContainerState, Scope};
use hostplane_infra::error::{Effect, EffectError, Rejection, absent_is_done};

use super::{came_late, present, taken};
use crate::context::SiteCx;
use crate::snapshot::{Snapshot, own_volume_exists};

/// Compares the container of a name with what is wanted: its spec, its state and its networks.
pub(super) fn observe(
    cx: &SiteCx<'_>,
    kind: Kind,
    name: &str,
    networks: &[String],
    want: Option<&DesiredSite>,
    seen: &Snapshot,
) -> Observed {
    let Some(found) = seen.containers.iter().find(|container| container.name == name) else {
        return Observed::Absent;
    };
    let mut differs = Vec::new();
    if found.state != ContainerState::Running {
        differs.push(Difference {
            field: "state",
            wanted: "running".to_owned(),
            found: format!("{:?}", found.state).to_lowercase(),
            remedy: Remedy::InPlace,
        });
    }
    for network in networks.iter().filter(|network| !found.networks.contains(network)) {
        differs.push(Difference {
            field: "network",
            wanted: network.clone(),
            found: found.networks.join(", "),
            remedy: Remedy::InPlace,
        });
    }
    present(cx.owner(&found.labels), kind, want, differs)
}

/// Makes the container, connects it to the networks besides its first, and starts it. One of ours that was
/// made from something else is replaced.
pub(super) async fn ensure(
    cx: &SiteCx<'_>,
    kind: Kind,
    spec: &ContainerSpec,
    also_on: &[String],
    want: &DesiredSite,
) -> Effect<()> {
    let mark = cx.mark(kind, want);
    let mut kept = None;
    for found in find(cx, &spec.name).await? {
        match cx.owner(&found.labels) {
            Owner::Ours(made) if made.spec == mark.spec && found.state != ContainerState::Removing => {
                kept = Some(found);
            }
            Owner::Ours(_) => absent_is_done(cx.world.containers.remove_container(&found.id).await)?,
            owner => return Err(taken("container", &spec.name, &owner)),
        }
    }
    require_volumes(cx, spec).await?;
    let (id, connected) = match kept {
        Some(found) if found.state == ContainerState::Running && also_on.iter().all(|n| found.networks.contains(n)) => {
            return Ok(());
        }
        Some(found) => (found.id, found.networks),
        None => (create(cx, spec, &mark).await?, Vec::new()),
    };
    for network in also_on.iter().filter(|network| !connected.contains(network)) {
        connect(cx, network, &id).await?;
    }
    cx.world.containers.start_container(&id).await
}

/// A name that is taken by this site's own container was taken by an earlier call, whose effect came late.
async fn create(cx: &SiteCx<'_>, spec: &ContainerSpec, mark: &Mark) -> Effect<String> {
    let created = cx.world.containers.create_container(spec, &mark.to_labels()).await;
    if let Err(EffectError::Rejected(Rejection::NameTaken { .. })) = &created {
        let ours = |found: &ContainerFacts| matches!(cx.owner(&found.labels), Owner::Ours(_));
        if find(cx, &spec.name).await?.iter().any(ours) {
            return Err(came_late("docker.create_container", &spec.name));
        }
    }
    created
}

pub(super) async fn remove(cx: &SiteCx<'_>, name: &str) -> Effect<()> {
    for found in find(cx, name).await? {
        if matches!(cx.owner(&found.labels), Owner::Ours(_)) {
            absent_is_done(cx.world.containers.remove_container(&found.id).await)?;
        }
    }
    Ok(())
}

/// No container is made or started while its volumes are absent or unknown: the Engine would make empty
/// ones under their names.
pub(super) async fn require_volumes(cx: &SiteCx<'_>, spec: &ContainerSpec) -> Effect<()> {
    let names: Vec<String> = spec.mounts.iter().map(|mount| mount.volume.clone()).collect();
    let found = cx.world.containers.volumes(&Scope::Names(names.clone())).await?;
    match names.iter().find(|name| !own_volume_exists(cx, &found, name)) {
        Some(missing) => Err(EffectError::NotFound(format!("the volume {missing} of this site"))),
        None => Ok(()),
    }
}

/// The site's own running container of a name.
pub(super) async fn running(cx: &SiteCx<'_>, name: &str) -> Effect<ContainerFacts> {
    let mine = |c: &ContainerFacts| matches!(cx.owner(&c.labels), Owner::Ours(_));
    let found = find(cx, name).await?.into_iter().find(mine);
    match found {
        Some(container) if container.state == ContainerState::Running => Ok(container),
        Some(_) => {
            Err(EffectError::transient_message("docker.containers", format!("the container {name} doesn't run")))
        }
        None => Err(EffectError::NotFound(format!("the container {name} of this site"))),
    }
}

async fn find(cx: &SiteCx<'_>, name: &str) -> Effect<Vec<ContainerFacts>> {
    cx.world.containers.containers(&Scope::Names(vec![name.to_owned()])).await
}

/// Connects by the network's id: of two networks of one name, the site's own.
async fn connect(cx: &SiteCx<'_>, network: &str, container: &str) -> Effect<()> {
    let found = cx.world.containers.networks(&Scope::Names(vec![network.to_owned()])).await?;
    let own = found.into_iter().find(|found| matches!(cx.owner(&found.labels), Owner::Ours(_)));
    match own {
        Some(own) => cx.world.containers.connect(&own.id, container).await,
        None => Err(EffectError::NotFound(format!("the network {network} of this site"))),
    }
}
