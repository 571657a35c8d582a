//! The container engine: containers, volumes, networks, images.
//!
//! The traits speak in the Engine's terms and know nothing of what a site needs. Objects of other
//! owners are listed like ours; whether something may be touched is decided by its labels, above.

mod docker;
mod gated;
mod log;
pub mod paths;

use std::net::Ipv4Addr;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use hostplane_domain::container::{ContainerSpec, VolumeMount};
use hostplane_domain::mark::{Labels, Mark};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

pub use docker::{BadCertificates, ConnectError, Docker, engine_host};
pub use gated::{CREATE_DEADLINE, GatedContainers};
pub use log::{LOG_LIMIT, LogLine, LogQuery, LogStream, LogTime, Newest};

use crate::clock::Timestamp;
use crate::error::Effect;

/// Which objects to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All there are, whoever made them.
    All,
    /// Those with exactly these names, whoever made them.
    Names(Vec<String>),
    /// Those with this label and value.
    Label(String, String),
}

/// A container, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFacts {
    /// The Engine's id.
    pub id: String,
    /// The name, without the leading slash.
    pub name: String,
    /// The mark that its labels are, if they are one.
    pub mark: Option<Mark>,
    /// Labels beside the mark, the image's among them.
    pub labels: Labels,
    /// The image as it was named when the container was made, or its id once that name means another.
    pub image: String,
    /// What it is doing.
    pub state: ContainerState,
    /// It runs, and its own health check says that it shouldn't be relied on.
    pub unhealthy: bool,
    /// The networks that it is connected to, by name; those of one that doesn't run need not exist.
    pub networks: Vec<String>,
    /// Its volumes, by path.
    pub mounts: Vec<VolumeMount>,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
    /// On its way out: its name may stay taken for a moment.
    Removing,
    /// Frozen.
    Paused,
    /// Ended, and the Engine is about to start it again.
    Restarting,
    /// Half removed, or of a state that we don't know.
    Dead,
}

/// What can be changed on a container after it was made, and no list shows. 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuning {
    /// Bytes.
    pub memory: i64,
    /// Bytes; as much as `memory` when there is no swap.
    pub memory_and_swap: i64,
    /// Billionths of a core.
    pub nano_cpus: i64,
    /// Processes and threads.
    pub pids: i64,
    /// It comes back after a crash and after the Engine's restart.
    pub restarts: bool,
}

impl Tuning {
    /// What a container has that was made like this, and not changed since.
    #[must_use]
    pub fn of(spec: &ContainerSpec) -> Self {
        let memory = i64::from(spec.limits.memory_mib) * 1024 * 1024;
        Self {
            memory,
            // Together with swap: equal means none of it.
            memory_and_swap: memory,
            nano_cpus: i64::from(spec.limits.cpu_milli) * 1_000_000,
            pids: i64::from(spec.limits.pids),
            restarts: spec.restart,
        }
    }
}

/// The container engine, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFacts {
    /// Its version.
    pub version: String,
    /// Its machine's kernel, as that names its version.
    pub kernel: String,
    /// Its clock; `None` when it doesn't say.
    pub time: Option<Timestamp>,
    /// Where it keeps everything, on its own machine.
    pub data_dir: String,
}

/// Something that happened to a container, a volume or a network, and that may be harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// The name of the container, volume or network.
    pub name: String,
    /// What happened, in the engine's word: `die`, `destroy`, `disconnect`, …
    pub action: String,
    /// A container's labels among others; the engine tells none of volumes and networks.
    pub labels: Labels,
}

/// Events as they come. It ends, or fails, when the connection does.
pub type EngineEvents = BoxStream<'static, Effect<EngineEvent>>;

/// A volume, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFacts {
    /// The name, which is also its id.
    pub name: String,
    /// The mark that its labels are, if they are one.
    pub mark: Option<Mark>,
    /// Labels beside the mark.
    pub labels: Labels,
}

/// A network, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFacts {
    /// The Engine's id. Two networks may have one name.
    pub id: String,
    /// The name.
    pub name: String,
    /// The mark that its labels are, if they are one.
    pub mark: Option<Mark>,
    /// Labels beside the mark.
    pub labels: Labels,
    /// The IPv4 subnets.
    pub subnets: Vec<Ipv4Net>,
    /// The first IPv4 gateway.
    pub gateway: Option<Ipv4Addr>,
}

/// A bridge network to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// The name.
    pub name: String,
    /// The subnet; the Engine chooses one when there is none.
    pub subnet: Option<Ipv4Net>,
    /// Labels.
    pub labels: Labels,
}

/// A file to be written into, or read out of, a container. Its contents may be secret and are never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// Path relative to the archive's directory, without `..`.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub uid: u32,
    /// The contents; `None` for a directory.
    pub contents: Option<Bytes>,
}

impl std::fmt::Debug for ArchiveEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.contents.as_ref().map(Bytes::len);
        write!(f, "ArchiveEntry({} mode={:o} uid={} bytes={bytes:?})", self.path, self.mode, self.uid)
    }
}

/// A program to be run in a running container. No shell is involved.
#[derive(Clone)]
pub struct Exec {
    /// The argument vector: seen by anybody who inspects, so never a secret.
    pub argv: Vec<String>,
    /// `uid:gid`; the container's own when `None`.
    pub user: Option<String>,
    /// What it reads; may be secret.
    pub stdin: Bytes,
}

/// What a program printed, cut at [`EXEC_OUTPUT_LIMIT`] bytes each. Hostile until parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub code: i64,
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
}

/// Bytes that are kept of each output stream of a program.
pub const EXEC_OUTPUT_LIMIT: usize = 256 * 1024;
/// Bytes that an archive read from a container may have.
pub const ARCHIVE_LIMIT: usize = 64 * 1024 * 1024;

/// The container engine. Every method is one outside call (an exec is three requests, but one effect).
///
/// Errors are classified: what doesn't exist is `NotFound`; a taken name, a missing image, an overlapping
/// subnet and exhausted pools are `Rejected`; a name or volume that is about to come free ("removal in
/// progress", "volume is in use", "has active endpoints") is `Transient`; a request that was sent and not
/// answered is `OutcomeUnknown` if it changes something.
#[async_trait]
pub trait Containers: Send + Sync {
    /// Whether the engine answers.
    async fn ping(&self) -> Effect<()>;

    /// Lists containers, running or not.
    async fn containers(&self, scope: &Scope) -> Effect<Vec<ContainerFacts>>;
    /// Lists volumes.
    async fn volumes(&self, scope: &Scope) -> Effect<Vec<VolumeFacts>>;
    /// Lists networks, with their subnets.
    async fn networks(&self, scope: &Scope) -> Effect<Vec<NetworkFacts>>;
    /// What of one container no list shows.
    async fn tuning(&self, container_id: &str) -> Effect<Tuning>;
    /// The engine's description of itself.
    async fn about(&self) -> Effect<EngineFacts>;
    /// What happens from now on. Events are hints: some may be lost, so whoever follows them looks at everything
    /// after this has answered, and now and then besides.
    async fn events(&self) -> Effect<EngineEvents>;
    /// Whether an image is on the host.
    async fn image_exists(&self, image: &str) -> Effect<bool>;

    /// Makes a volume. The labels that come back are those of the volume that exists under the name,
    /// which may be another's: the caller compares.
    async fn create_volume(&self, name: &str, labels: &Labels) -> Effect<VolumeFacts>;
    /// Removes a volume by name. `Transient` while a container uses it.
    async fn remove_volume(&self, name: &str) -> Effect<()>;

    /// Makes a bridge network and answers its id. A name that exists is `Rejected` as far as the engine
    /// notices: two made at once may both succeed.
    async fn create_network(&self, spec: &NetworkSpec) -> Effect<String>;
    /// Removes a network by id. `Transient` while it has endpoints.
    async fn remove_network(&self, id: &str) -> Effect<()>;
    /// Connects a container to a network; connected already is fine.
    async fn connect(&self, network_id: &str, container_id: &str) -> Effect<()>;

    /// Makes a container, without starting it, and answers its id. Volumes that the engine makes in
    /// passing get `labels` too.
    async fn create_container(&self, spec: &ContainerSpec, labels: &Labels) -> Effect<String>;
    /// Starts a container; running already is fine. `NotFound` names the network when that is missing.
    async fn start_container(&self, id: &str) -> Effect<()>;
    /// Stops a container; stopped already is fine. It is killed after `grace_s` seconds.
    async fn stop_container(&self, id: &str, grace_s: u16) -> Effect<()>;
    /// Removes a container by id, killing it if it runs; "removal in progress" is `Transient`.
    async fn remove_container(&self, id: &str) -> Effect<()>;

    /// Writes files below a directory of a container that exists (running or not). A directory that is
    /// missing is `NotFound`; a read-only root or volume, and paths that leave the directory, are
    /// `Rejected`. A volume's own mode and owner are set by an entry in the directory above it.
    async fn upload(&self, container_id: &str, dir: &str, entries: &[ArchiveEntry]) -> Effect<()>;
    /// Reads the regular files below a directory of a container, paths relative to that directory.
    /// At most [`ARCHIVE_LIMIT`] bytes; links and special files are left out.
    async fn download(&self, container_id: &str, dir: &str) -> Effect<Vec<ArchiveEntry>>;
    /// Reads one regular file of a container, its path as that of the entry; `None` when something else is
    /// there. Nothing there is `NotFound`, as is a container that is gone.
    async fn download_file(&self, container_id: &str, path: &str) -> Effect<Option<ArchiveEntry>>;
    /// Runs a program in a running container and waits for its end. A program that can't be started ends
    /// with code 126 or 127; a container that doesn't run is `Transient`.
    async fn exec(&self, container_id: &str, exec: &Exec) -> Effect<ExecOutput>;

    /// What a container has printed, running or not, oldest first; at most [`LOG_LIMIT`] bytes, then the
    /// newest. One that has never run has printed nothing.
    async fn log(&self, container_id: &str, query: LogQuery) -> Effect<Vec<LogLine>>;
}
