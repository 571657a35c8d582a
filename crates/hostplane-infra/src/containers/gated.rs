//! [`Containers`] behind the gate: names and deadlines of its calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hostplane_domain::container::ContainerSpec;
use hostplane_domain::mark::Labels;

use super::{
    ArchiveEntry, ContainerFacts, Containers, Exec, ExecOutput, NetworkFacts, NetworkSpec, Scope, VolumeFacts,
};
use crate::error::{Dependency, Effect};
use crate::gate::{Call, Gate, pass};

/// The longest that a call takes which makes something. When it has passed, what was asked for is there or
/// never will be: an Engine works on it no longer than on any other.
pub const CREATE_DEADLINE: Duration = Duration::from_secs(30);

const PING: Call = Call::ping("docker.ping", Dependency::Docker);
const CONTAINERS: Call = Call::read("docker.containers", Dependency::Docker, Duration::from_secs(15));
const VOLUMES: Call = Call::read("docker.volumes", Dependency::Docker, Duration::from_secs(15));
const NETWORKS: Call = Call::read("docker.networks", Dependency::Docker, Duration::from_secs(15));
const IMAGE_EXISTS: Call = Call::read("docker.image_exists", Dependency::Docker, Duration::from_secs(15));
const CREATE_VOLUME: Call = Call::change("docker.create_volume", Dependency::Docker, CREATE_DEADLINE);
const REMOVE_VOLUME: Call = Call::change("docker.remove_volume", Dependency::Docker, Duration::from_secs(30));
const CREATE_NETWORK: Call = Call::change("docker.create_network", Dependency::Docker, CREATE_DEADLINE);
const REMOVE_NETWORK: Call = Call::change("docker.remove_network", Dependency::Docker, Duration::from_secs(20));
const CONNECT: Call = Call::change("docker.connect", Dependency::Docker, Duration::from_secs(20));
const CREATE_CONTAINER: Call = Call::change("docker.create_container", Dependency::Docker, CREATE_DEADLINE);
const START_CONTAINER: Call = Call::change("docker.start_container", Dependency::Docker, Duration::from_secs(30));
const STOP_CONTAINER: Call = Call::change("docker.stop_container", Dependency::Docker, Duration::from_mins(1));
const REMOVE_CONTAINER: Call = Call::change("docker.remove_container", Dependency::Docker, Duration::from_secs(30));
const UPLOAD: Call = Call::change("docker.upload", Dependency::Docker, Duration::from_secs(30));
const DOWNLOAD: Call = Call::read("docker.download", Dependency::Docker, Duration::from_secs(30));
const EXEC: Call = Call::change("docker.exec", Dependency::Docker, Duration::from_mins(2));

/// Any [`Containers`], with every call passed through the gate.
pub struct GatedContainers {
    inner: Arc<dyn Containers>,
    gate: Arc<dyn Gate>,
}

impl GatedContainers {
    /// Wraps.
    #[must_use]
    pub fn new(inner: Arc<dyn Containers>, gate: Arc<dyn Gate>) -> Self {
        Self { inner, gate }
    }
}

#[async_trait]
impl Containers for GatedContainers {
    async fn ping(&self) -> Effect<()> {
        pass(&*self.gate, PING, self.inner.ping()).await
    }

    async fn containers(&self, scope: &Scope) -> Effect<Vec<ContainerFacts>> {
        pass(&*self.gate, CONTAINERS, self.inner.containers(scope)).await
    }

    async fn volumes(&self, scope: &Scope) -> Effect<Vec<VolumeFacts>> {
        pass(&*self.gate, VOLUMES, self.inner.volumes(scope)).await
    }

    async fn networks(&self, scope: &Scope) -> Effect<Vec<NetworkFacts>> {
        pass(&*self.gate, NETWORKS, self.inner.networks(scope)).await
    }

    async fn image_exists(&self, image: &str) -> Effect<bool> {
        pass(&*self.gate, IMAGE_EXISTS, self.inner.image_exists(image)).await
    }

    async fn create_volume(&self, name: &str, labels: &Labels) -> Effect<VolumeFacts> {
        pass(&*self.gate, CREATE_VOLUME, self.inner.create_volume(name, labels)).await
    }

    async fn remove_volume(&self, name: &str) -> Effect<()> {
        pass(&*self.gate, REMOVE_VOLUME, self.inner.remove_volume(name)).await
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Effect<String> {
        pass(&*self.gate, CREATE_NETWORK, self.inner.create_network(spec)).await
    }

    async fn remove_network(&self, id: &str) -> Effect<()> {
        pass(&*self.gate, REMOVE_NETWORK, self.inner.remove_network(id)).await
    }

    async fn connect(&self, network_id: &str, container_id: &str) -> Effect<()> {
        pass(&*self.gate, CONNECT, self.inner.connect(network_id, container_id)).await
    }

    async fn create_container(&self, spec: &ContainerSpec, labels: &Labels) -> Effect<String> {
        pass(&*self.gate, CREATE_CONTAINER, self.inner.create_container(spec, labels)).await
    }

    async fn start_container(&self, id: &str) -> Effect<()> {
        pass(&*self.gate, START_CONTAINER, self.inner.start_container(id)).await
    }

    async fn stop_container(&self, id: &str, grace_s: u16) -> Effect<()> {
        pass(&*self.gate, STOP_CONTAINER, self.inner.stop_container(id, grace_s)).await
    }

    async fn remove_container(&self, id: &str) -> Effect<()> {
        pass(&*self.gate, REMOVE_CONTAINER, self.inner.remove_container(id)).await
    }

    async fn upload(&self, container_id: &str, dir: &str, entries: &[ArchiveEntry]) -> Effect<()> {
        pass(&*self.gate, UPLOAD, self.inner.upload(container_id, dir, entries)).await
    }

    async fn download(&self, container_id: &str, dir: &str) -> Effect<Vec<ArchiveEntry>> {
        pass(&*self.gate, DOWNLOAD, self.inner.download(container_id, dir)).await
    }

    async fn exec(&self, container_id: &str, exec: &Exec) -> Effect<ExecOutput> {
        pass(&*self.gate, EXEC, self.inner.exec(container_id, exec)).await
    }
}
