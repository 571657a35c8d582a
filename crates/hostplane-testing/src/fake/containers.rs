//! Fake of the container engine: objects, files and a few programs, all in memory.
//!
//! It answers as Engine 20.10 does through the real adapter, its oddities included: names resolve at the
//! first start, a network under a stopped container can be removed, volumes appear in passing.

mod disk;
mod entries;
mod files;
mod lifecycle;
mod named;
mod networks;
mod programs;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use hostplane_domain::container::{ContainerSpec, VolumeMount};
use hostplane_domain::disk::{DiskSpace, FilesUsage};
use hostplane_domain::mark::{Labels, Mark};
use ipnet::Ipv4Net;
pub use named::{Name, Named};
use serde::{Deserialize, Serialize};

use super::FakeWorld;
use hostplane_infra::clock::{Clock, Timestamp};
use hostplane_infra::containers::{
    ArchiveEntry, ContainerFacts, ContainerState, Containers, EngineEvents, EngineFacts, Exec, ExecOutput, ImageFacts,
    LogLine, LogQuery, LogTail, NetworkFacts, NetworkSpec, Scope, Tuning, VolumeFacts, paths,
};
use hostplane_infra::error::{Dependency, Effect, EffectError, Rejection};

/// State of the container engine. Tests read it and plant foreign things in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainersState {
    /// The images on the host, by reference.
    pub images: BTreeSet<String>,
    /// Times of their builds, of those that say one.
    #[serde(default)]
    pub built: BTreeMap<String, Timestamp>,
    /// Containers by id.
    pub containers: Named<FakeContainer>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, FakeVolume>,
    /// Networks by id.
    pub networks: Named<FakeNetwork>,
    /// Number of ids given out: they are counted, so that a run can be repeated.
    pub ids: u64,
    /// The disk of the Engine's data directory; one that is all zeros stands for an empty one of 100 GiB.
    #[serde(skip)]
    pub space: DiskSpace,
    /// Networks have room for any number of sites, as if they were on several Engines.
    pub has_endless_networks: bool,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeContainer {
    /// The specification that it was made from, name included.
    pub spec: ContainerSpec,
    /// Labels.
    pub labels: Labels,
    /// Its state. A started program never ends on its own.
    pub state: ContainerState,
    /// Its networks by name, with the id that the name had at the first start.
    pub networks: BTreeMap<String, Option<String>>,
    /// Files outside of volumes, by absolute path.
    #[serde(with = "entries")]
    pub files: BTreeMap<String, ArchiveEntry>,
    /// Lines that its programs have printed.
    #[serde(skip)]
    pub log: Vec<LogLine>,
    /// Its health check fails.
    pub unhealthy: bool,
    /// Its limits as last changed.
    pub tuning: Tuning,
}

impl Name for FakeContainer {
    fn name(&self) -> &str {
        &self.spec.name
    }
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeVolume {
    /// Labels.
    pub labels: Labels,
    /// Permission bits of its root.
    pub mode: u32,
    /// Owner of its root.
    pub uid: u32,
    /// Files and directories, by path relative to the root.
    #[serde(with = "entries")]
    pub files: BTreeMap<String, ArchiveEntry>,
    /// Bytes of further files.
    #[serde(default)]
    pub bulk: u64,
}

impl FakeVolume {
    /// An empty volume as the Engine makes it: root's.
    #[must_use]
    pub fn new(labels: Labels) -> Self {
        Self { labels, mode: 0o755, uid: 0, files: BTreeMap::new(), bulk: 0 }
    }
}

/// A bridge network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeNetwork {
    /// The name. Two planted networks may have one name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// The subnet.
    pub subnet: Ipv4Net,
}

impl Name for FakeNetwork {
    fn name(&self) -> &str {
        &self.name
    }
}

fn invalid(message: impl Into<String>) -> EffectError {
    Rejection::Invalid { by: Dependency::DOCKER, message: message.into() }.into()
}

fn absent(what: &str, name: &str) -> EffectError {
    EffectError::NotFound(format!("{what} {name}"))
}

/// The mounts in the order in which they are listed.
fn mounts(spec: &ContainerSpec) -> Vec<VolumeMount> {
    let mut mounts = spec.mounts.clone();
    mounts.sort_by(|one, other| one.path.cmp(&other.path));
    mounts
}

fn owner(labels: &Labels, what: &str, id: &str) -> String {
    match Mark::from_labels(labels) {
        Some(mark) => format!("the site {} (id {}) of the instance {}", mark.site.name, mark.site.id, mark.instance),
        None => format!("another owner ({what} {})", id.get(..12).unwrap_or(id)),
    }
}

/// The Engine's rule for names of containers and volumes.
fn check_name(what: &str, name: &str) -> Effect<()> {
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if first && name.len() > 1 && name.chars().all(rest) {
        Ok(())
    } else {
        Err(invalid(format!("Invalid {what} name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")))
    }
}

fn volume_facts(name: &str, volume: &FakeVolume) -> VolumeFacts {
    let (mark, labels) = Mark::split(&volume.labels);
    VolumeFacts { name: name.to_owned(), mark, labels }
}

fn in_scope<'a, T: Name>(
    objects: &'a Named<T>,
    scope: &'a Scope,
    labels: fn(&T) -> &Labels,
) -> Box<dyn Iterator<Item = (&'a String, &'a T)> + 'a> {
    match scope {
        Scope::All => Box::new(objects.iter()),
        Scope::Names(names) => {
            let names: BTreeSet<&String> = names.iter().collect();
            Box::new(names.into_iter().flat_map(|name| objects.named(name)))
        }
        Scope::Label(key, value) => {
            Box::new(objects.iter().filter(move |(_, object)| labels(object).get(key) == Some(value)))
        }
    }
}

impl ContainersState {
    /// A new id, as long as the Engine's and different from its beginning on.
    fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("{:012x}{:052x}", self.ids, 0)
    }

    /// A container's id and itself, by id or name.
    #[must_use]
    pub fn container(&self, id_or_name: &str) -> Option<(&str, &FakeContainer)> {
        let by_id = self.containers.get_key_value(id_or_name);
        let found = by_id.or_else(|| self.containers.named(id_or_name).next());
        found.map(|(id, container)| (id.as_str(), container))
    }

    /// A container, to be changed, by id or name.
    pub fn container_mut(&mut self, id_or_name: &str) -> Option<&mut FakeContainer> {
        let id = self.container(id_or_name)?.0.to_owned();
        self.containers.get_mut(&id)
    }

    fn existing(&self, id_or_name: &str) -> Effect<(&str, &FakeContainer)> {
        self.container(paths::segment(id_or_name)?).ok_or_else(|| absent("container", id_or_name))
    }

    fn existing_mut(&mut self, id_or_name: &str) -> Effect<&mut FakeContainer> {
        self.container_mut(paths::segment(id_or_name)?).ok_or_else(|| absent("container", id_or_name))
    }

    fn create_volume(&mut self, name: &str, labels: &Labels) -> Effect<VolumeFacts> {
        check_name("volume", name)?;
        let volume = self.volumes.entry(name.to_owned()).or_insert_with(|| FakeVolume::new(labels.clone()));
        Ok(volume_facts(name, volume))
    }

    fn remove_volume(&mut self, name: &str) -> Effect<()> {
        paths::segment(name)?;
        let mounts = |container: &FakeContainer| container.spec.mounts.iter().any(|mount| mount.volume == name);
        if let Some((id, _)) = self.containers.iter().find(|(_, container)| mounts(container)) {
            let message = format!("remove {name}: volume is in use - [{id}]");
            return Err(EffectError::transient_message("docker.remove_volume", message));
        }
        self.volumes.remove(name).map(drop).ok_or_else(|| absent("volume", name))
    }

    fn container_facts(&self, scope: &Scope) -> Vec<ContainerFacts> {
        let facts = |(id, container): (&String, &FakeContainer)| {
            let (mark, labels) = Mark::split(&container.labels);
            ContainerFacts {
                id: id.clone(),
                name: container.spec.name.clone(),
                mark,
                labels,
                image: container.spec.image.clone(),
                state: container.state,
                unhealthy: container.unhealthy,
                networks: container.networks.keys().cloned().collect(),
                mounts: mounts(&container.spec),
            }
        };
        in_scope(&self.containers, scope, |container| &container.labels).map(facts).collect()
    }

    fn volume_facts(&self, scope: &Scope) -> Vec<VolumeFacts> {
        let facts = |(name, volume): (&String, &FakeVolume)| volume_facts(name, volume);
        match scope {
            Scope::All => self.volumes.iter().map(facts).collect(),
            Scope::Names(names) => {
                let names: BTreeSet<&String> = names.iter().collect();
                names.into_iter().filter_map(|name| self.volumes.get_key_value(name)).map(facts).collect()
            }
            Scope::Label(key, value) => {
                self.volumes.iter().filter(|(_, volume)| volume.labels.get(key) == Some(value)).map(facts).collect()
            }
        }
    }
}

impl FakeWorld {
    fn named(&self, id: &str) -> Option<(String, Labels)> {
        let state = self.state();
        let (_, container) = state.containers.container(id)?;
        Some((container.spec.name.clone(), container.labels.clone()))
    }

    fn is_running(&self, id: &str) -> bool {
        let state = self.state();
        state.containers.container(id).is_some_and(|(_, found)| found.state == ContainerState::Running)
    }
}

#[async_trait]
impl Containers for FakeWorld {
    async fn ping(&self) -> Effect<()> {
        Ok(())
    }

    async fn containers(&self, scope: &Scope) -> Effect<Vec<ContainerFacts>> {
        Ok(self.view().containers.container_facts(scope))
    }

    async fn volumes(&self, scope: &Scope) -> Effect<Vec<VolumeFacts>> {
        Ok(self.view().containers.volume_facts(scope))
    }

    async fn networks(&self, scope: &Scope) -> Effect<Vec<NetworkFacts>> {
        Ok(self.view().containers.network_facts(scope))
    }

    async fn tuning(&self, container_id: &str) -> Effect<Tuning> {
        Ok(self.view().containers.existing(container_id)?.1.tuning)
    }

    async fn about(&self) -> Effect<EngineFacts> {
        let time = Some(self.clock.now());
        let (version, kernel) = ("20.10.24".to_owned(), "6.1.0-44-amd64".to_owned());
        let data_dir = "/var/lib/docker".to_owned();
        Ok(EngineFacts { version, kernel, time, data_dir, memory_mib: 7936, cores: 2 })
    }

    async fn events(&self) -> Effect<EngineEvents> {
        Ok(self.listen())
    }

    async fn image(&self, image: &str) -> Effect<Option<ImageFacts>> {
        let state = &self.view().containers;
        let is_there = state.images.contains(paths::segment(image)?);
        Ok(is_there.then(|| ImageFacts { built: state.built.get(image).copied() }))
    }

    async fn create_volume(&self, name: &str, labels: &Labels) -> Effect<VolumeFacts> {
        self.state().containers.create_volume(name, labels)
    }

    async fn remove_volume(&self, name: &str) -> Effect<()> {
        self.state().containers.remove_volume(name)?;
        self.emit_event(name, "destroy", Labels::new());
        Ok(())
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Effect<String> {
        self.state().containers.create_network(spec)
    }

    async fn remove_network(&self, id: &str) -> Effect<()> {
        let name = self.state().containers.networks.get(id).map(|network| network.name.clone());
        self.state().containers.remove_network(id)?;
        self.emit_event(&name.unwrap_or_default(), "destroy", Labels::new());
        Ok(())
    }

    async fn connect(&self, network_id: &str, container_id: &str) -> Effect<()> {
        self.state().containers.connect(network_id, container_id)
    }

    async fn create_container(&self, spec: &ContainerSpec, labels: &Labels) -> Effect<String> {
        self.state().containers.create_container(spec, labels, &mut self.parts("docker.create_container"))
    }

    async fn start_container(&self, id: &str) -> Effect<()> {
        self.state().containers.start_container(id)
    }

    async fn stop_container(&self, id: &str, _grace_s: u16) -> Effect<()> {
        let stopped = self.named(id).filter(|_| self.is_running(id));
        self.state().containers.stop_container(id)?;
        if let Some((name, labels)) = stopped {
            self.emit_event(&name, "die", labels);
        }
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Effect<()> {
        let removed = self.named(id);
        self.state().containers.remove_container(id)?;
        if let Some((name, labels)) = removed {
            self.emit_event(&name, "destroy", labels);
        }
        Ok(())
    }

    async fn upload(&self, container_id: &str, dir: &str, entries: &[ArchiveEntry]) -> Effect<()> {
        self.state().containers.upload(container_id, dir, entries, &mut self.parts("docker.upload"))
    }

    async fn download(&self, container_id: &str, dir: &str) -> Effect<Vec<ArchiveEntry>> {
        self.view().containers.download(container_id, dir)
    }

    async fn download_file(&self, container_id: &str, path: &str) -> Effect<Option<ArchiveEntry>> {
        self.view().containers.download_file(container_id, path)
    }

    async fn exec(&self, container_id: &str, exec: &Exec) -> Effect<ExecOutput> {
        let now = self.clock.now();
        self.state().containers.exec(container_id, exec, now)
    }

    async fn usage(&self, container_id: &str, dir: &str) -> Effect<FilesUsage> {
        self.view().containers.usage(container_id, dir)
    }

    async fn space(&self, container_id: &str) -> Effect<DiskSpace> {
        self.view().containers.disk_space(container_id)
    }

    async fn log(&self, container_id: &str, query: LogQuery) -> Effect<Vec<LogLine>> {
        let view = self.view();
        let (_, container) = view.containers.existing(container_id)?;
        let mut newest = LogTail::new(query);
        container.log.iter().for_each(|line| newest.add(line.clone()));
        Ok(newest.finish())
    }
}
