//! [`Containers`] behind the gate: names and deadlines of its calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::container::ContainerSpec;
use hostplane_domain::disk::{DiskSpace, FilesUsage};
use hostplane_domain::ids::HostId;
use hostplane_domain::mark::Labels;

use super::{
    ArchiveEntry, ContainerFacts, Containers, EngineEvents, EngineFacts, Exec, ExecOutput, ImageFacts, LogLine,
    LogQuery, NetworkFacts, NetworkSpec, Scope, Tuning, VolumeFacts,
};
use crate::error::{Dependency, Effect};
use crate::gate::{Call, Gate, pass};

/// Time limit of a call that creates an object. Past it the object exists or never will, as an Engine works no longer
/// on a creation.
pub const CREATE_DEADLINE: Duration = Duration::from_secs(30);

const PING: Call = Call::ping("docker.ping", Dependency::DOCKER);
const CONTAINERS: Call = Call::read("docker.containers", Dependency::DOCKER, Duration::from_secs(15));
const VOLUMES: Call = Call::read("docker.volumes", Dependency::DOCKER, Duration::from_secs(15));
const NETWORKS: Call = Call::read("docker.networks", Dependency::DOCKER, Duration::from_secs(15));
const TUNING: Call = Call::read("docker.tuning", Dependency::DOCKER, Duration::from_secs(15));
const ABOUT: Call = Call::read("docker.about", Dependency::DOCKER, Duration::from_secs(15));
const EVENTS: Call = Call::read("docker.events", Dependency::DOCKER, Duration::from_secs(15));
const IMAGE: Call = Call::read("docker.image", Dependency::DOCKER, Duration::from_secs(15));
const CREATE_VOLUME: Call = Call::change("docker.create_volume", Dependency::DOCKER, CREATE_DEADLINE);
const REMOVE_VOLUME: Call = Call::change("docker.remove_volume", Dependency::DOCKER, Duration::from_secs(30));
const CREATE_NETWORK: Call = Call::change("docker.create_network", Dependency::DOCKER, CREATE_DEADLINE);
const REMOVE_NETWORK: Call = Call::change("docker.remove_network", Dependency::DOCKER, Duration::from_secs(20));
const CONNECT: Call = Call::change("docker.connect", Dependency::DOCKER, Duration::from_secs(20));
const CREATE_CONTAINER: Call = Call::change("docker.create_container", Dependency::DOCKER, CREATE_DEADLINE);
const START_CONTAINER: Call = Call::change("docker.start_container", Dependency::DOCKER, Duration::from_secs(30));
const STOP_CONTAINER: Call = Call::change("docker.stop_container", Dependency::DOCKER, Duration::from_mins(1));
const REMOVE_CONTAINER: Call = Call::change("docker.remove_container", Dependency::DOCKER, Duration::from_secs(30));
const UPLOAD: Call = Call::change("docker.upload", Dependency::DOCKER, Duration::from_secs(30));
const DOWNLOAD: Call = Call::read("docker.download", Dependency::DOCKER, Duration::from_secs(30));
const EXEC: Call = Call::change("docker.exec", Dependency::DOCKER, Duration::from_mins(2));
const USAGE: Call = Call::read("docker.usage", Dependency::DOCKER, Duration::from_secs(150));
const SPACE: Call = Call::read("docker.space", Dependency::DOCKER, Duration::from_secs(30));
const LOG: Call = Call::read("docker.log", Dependency::DOCKER, Duration::from_secs(15));

/// Any [`Containers`], with every call passed through the gate.
pub struct GatedContainers {
    inner: Arc<dyn Containers>,
    host: HostId,
    gate: Arc<dyn Gate>,
}

impl GatedContainers {
    /// Puts the adapter of a host behind the gate.
    #[must_use]
    pub fn new(inner: Arc<dyn Containers>, host: HostId, gate: Arc<dyn Gate>) -> Self {
        Self { inner, host, gate }
    }
}

#[async_trait]
impl Containers for GatedContainers {
    async fn ping(&self) -> Effect<()> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, PING.on(self.host), async move { inner.ping().await }).await
    }

    async fn containers(&self, scope: &Scope) -> Effect<Vec<ContainerFacts>> {
        let (inner, scope) = (Arc::clone(&self.inner), scope.clone());
        pass(&*self.gate, CONTAINERS.on(self.host), async move { inner.containers(&scope).await }).await
    }

    async fn volumes(&self, scope: &Scope) -> Effect<Vec<VolumeFacts>> {
        let (inner, scope) = (Arc::clone(&self.inner), scope.clone());
        pass(&*self.gate, VOLUMES.on(self.host), async move { inner.volumes(&scope).await }).await
    }

    async fn networks(&self, scope: &Scope) -> Effect<Vec<NetworkFacts>> {
        let (inner, scope) = (Arc::clone(&self.inner), scope.clone());
        pass(&*self.gate, NETWORKS.on(self.host), async move { inner.networks(&scope).await }).await
    }

    async fn tuning(&self, container_id: &str) -> Effect<Tuning> {
        let (inner, id) = (Arc::clone(&self.inner), container_id.to_owned());
        pass(&*self.gate, TUNING.on(self.host), async move { inner.tuning(&id).await }).await
    }

    async fn about(&self) -> Effect<EngineFacts> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, ABOUT.on(self.host), async move { inner.about().await }).await
    }

    async fn events(&self) -> Effect<EngineEvents> {
        let inner = Arc::clone(&self.inner);
        pass(&*self.gate, EVENTS.on(self.host), async move { inner.events().await }).await
    }

    async fn image(&self, image: &str) -> Effect<Option<ImageFacts>> {
        let (inner, image) = (Arc::clone(&self.inner), image.to_owned());
        pass(&*self.gate, IMAGE.on(self.host), async move { inner.image(&image).await }).await
    }

    async fn create_volume(&self, name: &str, labels: &Labels) -> Effect<VolumeFacts> {
        let inner = Arc::clone(&self.inner);
        let (name, labels) = (name.to_owned(), labels.clone());
        pass(&*self.gate, CREATE_VOLUME.on(self.host), async move { inner.create_volume(&name, &labels).await }).await
    }

    async fn remove_volume(&self, name: &str) -> Effect<()> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        pass(&*self.gate, REMOVE_VOLUME.on(self.host), async move { inner.remove_volume(&name).await }).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Effect<String> {
        let (inner, spec) = (Arc::clone(&self.inner), spec.clone());
        pass(&*self.gate, CREATE_NETWORK.on(self.host), async move { inner.create_network(&spec).await }).await
    }

    async fn remove_network(&self, id: &str) -> Effect<()> {
        let (inner, id) = (Arc::clone(&self.inner), id.to_owned());
        pass(&*self.gate, REMOVE_NETWORK.on(self.host), async move { inner.remove_network(&id).await }).await
    }

    async fn connect(&self, network_id: &str, container_id: &str) -> Effect<()> {
        let inner = Arc::clone(&self.inner);
        let (network_id, container_id) = (network_id.to_owned(), container_id.to_owned());
        pass(&*self.gate, CONNECT.on(self.host), async move { inner.connect(&network_id, &container_id).await }).await
    }

    async fn create_container(&self, spec: &ContainerSpec, labels: &Labels) -> Effect<String> {
        let inner = Arc::clone(&self.inner);
        let (spec, labels) = (spec.clone(), labels.clone());
        pass(&*self.gate, CREATE_CONTAINER.on(self.host), async move { inner.create_container(&spec, &labels).await })
            .await
    }

    async fn start_container(&self, id: &str) -> Effect<()> {
        let (inner, id) = (Arc::clone(&self.inner), id.to_owned());
        pass(&*self.gate, START_CONTAINER.on(self.host), async move { inner.start_container(&id).await }).await
    }

    async fn stop_container(&self, id: &str, grace_s: u16) -> Effect<()> {
        let (inner, id) = (Arc::clone(&self.inner), id.to_owned());
        pass(&*self.gate, STOP_CONTAINER.on(self.host), async move { inner.stop_container(&id, grace_s).await }).await
    }

    async fn remove_container(&self, id: &str) -> Effect<()> {
        let (inner, id) = (Arc::clone(&self.inner), id.to_owned());
        pass(&*self.gate, REMOVE_CONTAINER.on(self.host), async move { inner.remove_container(&id).await }).await
    }

    async fn upload(&self, container_id: &str, dir: &str, entries: &[ArchiveEntry]) -> Effect<()> {
        let inner = Arc::clone(&self.inner);
        let (container_id, dir, entries) = (container_id.to_owned(), dir.to_owned(), entries.to_vec());
        pass(&*self.gate, UPLOAD.on(self.host), async move { inner.upload(&container_id, &dir, &entries).await }).await
    }

    async fn download(&self, container_id: &str, dir: &str) -> Effect<Vec<ArchiveEntry>> {
        let inner = Arc::clone(&self.inner);
        let (container_id, dir) = (container_id.to_owned(), dir.to_owned());
        pass(&*self.gate, DOWNLOAD.on(self.host), async move { inner.download(&container_id, &dir).await }).await
    }

    async fn download_file(&self, container_id: &str, path: &str) -> Effect<Option<ArchiveEntry>> {
        let inner = Arc::clone(&self.inner);
        let (container_id, path) = (container_id.to_owned(), path.to_owned());
        pass(&*self.gate, DOWNLOAD.on(self.host), async move { inner.download_file(&container_id, &path).await }).await
    }

    async fn exec(&self, container_id: &str, exec: &Exec) -> Effect<ExecOutput> {
        let inner = Arc::clone(&self.inner);
        let (container_id, exec) = (container_id.to_owned(), exec.clone());
        pass(&*self.gate, EXEC.on(self.host), async move { inner.exec(&container_id, &exec).await }).await
    }

    async fn usage(&self, container_id: &str, dir: &str) -> Effect<FilesUsage> {
        let inner = Arc::clone(&self.inner);
        let (container_id, dir) = (container_id.to_owned(), dir.to_owned());
        pass(&*self.gate, USAGE.on(self.host), async move { inner.usage(&container_id, &dir).await }).await
    }

    async fn space(&self, container_id: &str) -> Effect<DiskSpace> {
        let (inner, container_id) = (Arc::clone(&self.inner), container_id.to_owned());
        pass(&*self.gate, SPACE.on(self.host), async move { inner.space(&container_id).await }).await
    }

    async fn log(&self, container_id: &str, query: LogQuery) -> Effect<Vec<LogLine>> {
        let (inner, container_id) = (Arc::clone(&self.inner), container_id.to_owned());
        pass(&*self.gate, LOG.on(self.host), async move { inner.log(&container_id, query).await }).await
    }
}
