//! A container of a site that serves.

use std::collections::BTreeSet;

use async_trait::async_trait;
use hostplane_domain::container::{ContainerSpec, VolumeMount};
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::{Mark, Owner};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::{Difference, Observed, Reason, Remedy};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::containers::{ContainerFacts, ContainerState, NetworkFacts, Scope, Tuning};
use hostplane_infra::error::{Effect, EffectError, Rejection, absent_is_done};

use super::image::require_image;
use super::network::Network;
use super::{Resource, came_late, of_another_release, present, taken, wanted_hash};
use crate::context::{Intent, SiteCx};
use crate::inventory::lookup;
use crate::inventory::snapshot::{Fact, Snapshot, own_volume_exists};
use crate::inventory::{ObjectKind, ScanTargets};

/// A container of a site that serves.
pub(crate) struct Container {
    /// Its kind.
    pub kind: ResourceKind,
    /// The resources that are made before it.
    pub needs: &'static [ResourceKind],
    /// The container to be made.
    pub spec: fn(&DesiredSite) -> ContainerSpec,
    /// The networks that it is on.
    pub networks: fn(&DesiredSite) -> BTreeSet<String>,
    /// The hash of its desired state: of all that it reads when it starts.
    pub spec_hash: fn(&DesiredSite) -> SpecHash,
}

#[async_trait]
impl Resource for Container {
    fn kind(&self) -> ResourceKind {
        self.kind
    }

    fn needs(&self) -> &'static [ResourceKind] {
        self.needs
    }

    fn object(&self) -> Option<ObjectKind> {
        Some(ObjectKind::Container)
    }

    fn runs(&self) -> bool {
        true
    }

    fn scan_targets(&self, site: &SiteName, targets: &mut ScanTargets) {
        targets.add(ObjectKind::Container, self.object_name(site));
        targets.tuned.push(self.object_name(site));
    }

    fn spec_hash(&self, want: &DesiredSite) -> SpecHash {
        (self.spec_hash)(want)
    }

    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let name = self.object_name(&cx.site.name);
        let Some(found) = seen.containers.iter().find(|container| container.name == name) else {
            return Observed::Absent;
        };
        let tuning = match &seen.tunings {
            Fact::Known(tunings) => tunings.get(&name),
            Fact::Unknown(_) | Fact::NotObserved => None,
        };
        let differs = want.map(|want| {
            let mut differs = differences(&(self.spec)(want), &(self.networks)(want), found, tuning);
            differs.extend(network_of_another_release(cx, want, found, seen));
            differs
        });
        present(self, cx, cx.owner(found.mark.as_ref()), want, differs.unwrap_or_default())
    }

    /// Replaces a container of ours that was made from another spec, or whose differences can't be repaired in place. A
    /// repair brings up what another release made, as long as it can run.
    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let (spec, networks, mark) = ((self.spec)(want), (self.networks)(want), self.mark(cx, want));
        let mut kept = None;
        for found in find(cx, &spec.name).await? {
            match cx.owner(found.mark.as_ref()) {
                Owner::Ours(made)
                    if (made.spec == mark.spec || cx.intent == Intent::Repair)
                        && is_kept(cx, (&spec, &networks), &found, made.spec != mark.spec).await? =>
                {
                    kept = Some(found);
                }
                Owner::Ours(_) => {
                    require_image(cx, &spec.image).await?;
                    absent_is_done(cx.host.containers.remove_container(&found.id).await)?;
                }
                owner => return Err(taken(ObjectKind::Container, &spec.name, &owner)),
            }
        }
        require_volumes(cx, &spec).await?;
        if let Some(found) = kept {
            match bring_up(cx, want, &networks, &found).await {
                // It was made for a network that is gone, and can't be started any more.
                Err(EffectError::NotFound(_)) => {
                    require_image(cx, &spec.image).await?;
                    absent_is_done(cx.host.containers.remove_container(&found.id).await)?;
                }
                other => return other,
            }
        }
        let id = create(cx, &spec, &mark).await?;
        for network in networks.iter().filter(|network| spec.network.as_ref() != Some(*network)) {
            connect(cx, want, network, &id).await?;
        }
        cx.host.containers.start_container(&id).await
    }

    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()> {
        for found in find(cx, &self.object_name(&cx.site.name)).await? {
            if matches!(cx.owner(found.mark.as_ref()), Owner::Ours(_)) {
                absent_is_done(cx.host.containers.remove_container(&found.id).await)?;
            }
        }
        Ok(())
    }
}

/// The differences of a container from its spec. `tuning` has the facts that no list shows, if they were read.
fn differences(
    spec: &ContainerSpec,
    wanted: &BTreeSet<String>,
    found: &ContainerFacts,
    tuning: Option<&Tuning>,
) -> Vec<Difference> {
    let mut differs = Vec::new();
    let mut differ = |reason, field, wanted: String, found: String, remedy| {
        differs.push(Difference { reason, field, wanted, found, remedy });
    };
    let state = |state: ContainerState| format!("{state:?}").to_lowercase();
    if found.state != ContainerState::Running {
        let remedy = match found.state {
            // The Engine starts no frozen container, and a half removed one never again.
            ContainerState::Paused | ContainerState::Dead => Remedy::Recreate,
            _ => Remedy::InPlace,
        };
        differ(Reason::Stopped, "state", state(ContainerState::Running), state(found.state), remedy);
    }
    if found.unhealthy {
        differ(Reason::Unhealthy, "health", "not unhealthy".to_owned(), "unhealthy".to_owned(), Remedy::Recreate);
    }
    // The Engine shows an image's id once its name means another image: that doesn't concern the container.
    if found.image != spec.image && !found.image.starts_with("sha256:") {
        differ(Reason::Image, "image", spec.image.clone(), found.image.clone(), Remedy::Recreate);
    }
    let names = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let connected = found.networks.iter().cloned().collect::<BTreeSet<_>>();
    if connected != *wanted {
        // A missing network is connected; one too many would open a way to this site.
        let remedy = if connected.is_subset(wanted) { Remedy::InPlace } else { Remedy::Recreate };
        differ(Reason::Network, "networks", names(wanted), names(&connected), remedy);
    }
    if !are_the_same(&spec.mounts, &found.mounts) {
        differ(Reason::Mounts, "mounts", mounts(&spec.mounts), mounts(&found.mounts), Remedy::Recreate);
    }
    if let Some(tuning) = tuning {
        let wanted = Tuning::of(spec);
        let mut limit = |field, wanted: i64, found: i64| {
            if wanted != found {
                differ(Reason::Limits, field, wanted.to_string(), found.to_string(), Remedy::Recreate);
            }
        };
        limit("memory", wanted.memory, tuning.memory);
        limit("memory and swap", wanted.memory_and_swap, tuning.memory_and_swap);
        limit("nano_cpus", wanted.nano_cpus, tuning.nano_cpus);
        limit("pids", wanted.pids, tuning.pids);
        let restarts = |always: bool| if always { "always" } else { "not always" }.to_owned();
        if wanted.restarts != tuning.restarts {
            let (wanted, found) = (restarts(wanted.restarts), restarts(tuning.restarts));
            differ(Reason::Limits, "restart", wanted, found, Remedy::Recreate);
        }
    }
    differs
}

/// True for the same mounts in any order.
fn are_the_same(wanted: &[VolumeMount], found: &[VolumeMount]) -> bool {
    let all = |these: &[VolumeMount], those: &[VolumeMount]| these.iter().all(|mount| those.contains(mount));
    all(wanted, found) && all(found, wanted)
}

fn mounts(mounts: &[VolumeMount]) -> String {
    let words = |mount: &VolumeMount| {
        format!("{} at {}{}", mount.volume, mount.path, if mount.read_only { ", read-only" } else { "" })
    };
    let words: BTreeSet<String> = mounts.iter().map(words).collect();
    words.into_iter().collect::<Vec<_>>().join("; ")
}

/// The network that a container is on is to be made again, and goes only when no container is on it.
fn network_of_another_release(
    cx: &SiteCx<'_>,
    want: &DesiredSite,
    found: &ContainerFacts,
    seen: &Snapshot,
) -> Option<Difference> {
    let name = naming::network(&cx.site.name);
    if !found.networks.contains(&name) {
        return None;
    }
    let wanted = wanted_hash(&Network, cx, want);
    seen.networks.iter().filter(|network| network.name == name).find_map(|network| {
        match cx.owner(network.mark.as_ref()) {
            Owner::Ours(mark) if mark.spec != wanted => Some(of_another_release("network", wanted, mark.spec)),
            _ => None,
        }
    })
}

/// True when a container can stay: all its differences from the spec and networks can be repaired in place, or wait for
/// an upgrade.
async fn is_kept(
    cx: &SiteCx<'_>,
    (spec, networks): (&ContainerSpec, &BTreeSet<String>),
    found: &ContainerFacts,
    of_another_release: bool,
) -> Effect<bool> {
    if found.state == ContainerState::Removing {
        return Ok(false);
    }
    let tuning = match cx.host.containers.tuning(&found.id).await {
        Ok(tuning) => tuning,
        Err(EffectError::NotFound(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut differs = differences(spec, networks, found, Some(&tuning));
    if of_another_release {
        differs = differs.into_iter().map(Difference::of_another_release).collect();
    }
    Ok(differs.iter().all(|difference| matches!(difference.remedy, Remedy::InPlace | Remedy::Upgrade)))
}

/// Connects and starts a container that is kept.
async fn bring_up(
    cx: &SiteCx<'_>,
    want: &DesiredSite,
    wanted: &BTreeSet<String>,
    found: &ContainerFacts,
) -> Effect<()> {
    for network in wanted.iter().filter(|network| !found.networks.contains(network)) {
        connect(cx, want, network, &found.id).await?;
    }
    if found.state == ContainerState::Running { Ok(()) } else { cx.host.containers.start_container(&found.id).await }
}

/// Creates a container. If the site's own container holds its name, an earlier call made that one late.
async fn create(cx: &SiteCx<'_>, spec: &ContainerSpec, mark: &Mark) -> Effect<String> {
    let created = cx.host.containers.create_container(spec, &mark.to_labels()).await;
    if let Err(EffectError::Rejected(Rejection::NameTaken { .. })) = &created {
        let ours = |found: &ContainerFacts| matches!(cx.owner(found.mark.as_ref()), Owner::Ours(_));
        if find(cx, &spec.name).await?.iter().any(ours) {
            return Err(came_late("docker.create_container", &spec.name));
        }
    }
    created
}

/// No container is made or started while its volumes are absent or unknown: the Engine would make empty
/// ones under their names.
pub(super) async fn require_volumes(cx: &SiteCx<'_>, spec: &ContainerSpec) -> Effect<()> {
    let names: Vec<String> = spec.mounts.iter().map(|mount| mount.volume.clone()).collect();
    let found = cx.host.containers.volumes(&Scope::Names(names.clone())).await?;
    match names.iter().find(|name| !own_volume_exists(cx, &found, name)) {
        Some(missing) => Err(EffectError::NotFound(format!("the volume {missing} of this site"))),
        None => Ok(()),
    }
}

/// The site's own running container of a kind.
pub(super) async fn running(cx: &SiteCx<'_>, kind: ResourceKind) -> Effect<ContainerFacts> {
    let name = naming::of(kind, &cx.site.name);
    match lookup::container(cx.host, cx.instance, cx.site, kind).await? {
        Some(container) if container.state == ContainerState::Running => Ok(container),
        Some(_) => {
            Err(EffectError::transient_message("docker.containers", format!("the container {name} doesn't run")))
        }
        None => Err(EffectError::NotFound(format!("the container {name} of this site"))),
    }
}

async fn find(cx: &SiteCx<'_>, name: &str) -> Effect<Vec<ContainerFacts>> {
    cx.host.containers.containers(&Scope::Names(vec![name.to_owned()])).await
}

/// Connects by the network's id: of two networks of one name, the one that is ours.
async fn connect(cx: &SiteCx<'_>, want: &DesiredSite, network: &str, container: &str) -> Effect<()> {
    let found = cx.host.containers.networks(&Scope::Names(vec![network.to_owned()])).await?;
    let is_own = |found: &&NetworkFacts| {
        network == want.shared_network || matches!(cx.owner(found.mark.as_ref()), Owner::Ours(_))
    };
    match found.iter().find(is_own) {
        Some(own) => cx.host.containers.connect(&own.id, container).await,
        None => Err(EffectError::NotFound(format!("the network {network} of this site"))),
    }
}
