//! The site's two containers: PHP-FPM on the site's own network alone, nginx on that and on the one shared
//! with Caddy.

use async_trait::async_trait;
use hostplane_domain::container::{self, ContainerSpec};
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::kind::Kind;
use hostplane_domain::mark::{Mark, Owner};
use hostplane_domain::naming;
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_infra::containers::{ContainerFacts, ContainerState, Scope};
use hostplane_infra::error::{Effect, EffectError, Rejection, absent_is_done};

use super::{Resource, came_late, present, taken};
use crate::context::SiteCx;
use crate::own;
use crate::snapshot::{Snapshot, own_volume_exists};

/// One of the two.
pub(super) struct Container {
    kind: Kind,
    spec: fn(&DesiredSite) -> ContainerSpec,
}

pub(super) const PHP: Container = Container { kind: Kind::PhpContainer, spec: container::php };
pub(super) const NGINX: Container = Container { kind: Kind::NginxContainer, spec: container::nginx };

#[async_trait]
impl Resource for Container {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn needs(&self) -> &'static [Kind] {
        &[Kind::Network, Kind::Settings]
    }

    /// Its spec, its state, and that it is on the site's own network.
    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let name = naming::of(self.kind, &cx.site.name);
        let Some(found) = seen.containers.iter().find(|container| container.name == name) else {
            return Observed::Absent;
        };
        let mut differs = Vec::new();
        let mut differ = |field, wanted: &str, found: String| {
            differs.push(Difference { field, wanted: wanted.to_owned(), found, remedy: Remedy::InPlace });
        };
        if found.state != ContainerState::Running {
            differ("state", "running", format!("{:?}", found.state).to_lowercase());
        }
        let network = naming::network(&cx.site.name);
        if !found.networks.contains(&network) {
            differ("network", &network, found.networks.join(", "));
        }
        present(cx.owner(&found.labels), self.kind, want, differs)
    }

    /// One of ours that was made from something else is replaced.
    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let (spec, mark) = ((self.spec)(want), cx.mark(self.kind, want));
        let mut kept = None;
        for found in find(cx, &spec.name).await? {
            match cx.owner(&found.labels) {
                Owner::Ours(made) if made.spec == mark.spec && found.state != ContainerState::Removing => {
                    kept = Some(found);
                }
                Owner::Ours(_) => {
                    require_image(cx, &spec.image).await?;
                    absent_is_done(cx.world.containers.remove_container(&found.id).await)?;
                }
                owner => return Err(taken("container", &spec.name, &owner)),
            }
        }
        require_volumes(cx, &spec).await?;
        let network = naming::network(&cx.site.name);
        let (id, is_connected) = match kept {
            Some(found) => {
                let is_connected = found.networks.contains(&network);
                if found.state == ContainerState::Running && is_connected {
                    return Ok(());
                }
                (found.id, is_connected)
            }
            None => (create(cx, &spec, &mark).await?, spec.network.as_ref() == Some(&network)),
        };
        if !is_connected {
            connect(cx, &network, &id).await?;
        }
        cx.world.containers.start_container(&id).await
    }

    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()> {
        for found in find(cx, &naming::of(self.kind, &cx.site.name)).await? {
            if matches!(cx.owner(&found.labels), Owner::Ours(_)) {
                absent_is_done(cx.world.containers.remove_container(&found.id).await)?;
            }
        }
        Ok(())
    }
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

/// What serves is taken away only when there is something to put in its place.
async fn require_image(cx: &SiteCx<'_>, image: &str) -> Effect<()> {
    let exists = cx.world.containers.image_exists(image).await?;
    if exists { Ok(()) } else { Err(Rejection::ImageMissing(image.to_owned()).into()) }
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

/// The site's own running container of a kind.
pub(super) async fn running(cx: &SiteCx<'_>, kind: Kind) -> Effect<ContainerFacts> {
    let name = naming::of(kind, &cx.site.name);
    match own::container(cx.world, cx.instance, cx.site, kind).await? {
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
