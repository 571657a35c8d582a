//! Container engine: containers, volumes, networks, images.
//!
//! The trait uses the Engine's terms and knows nothing of sites. Lists include objects of other owners; the engine
//! crate decides by their labels which ones it may change.

mod docker;
mod gated;
mod log;
pub mod paths;

use std::net::Ipv4Addr;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use hostplane_domain::container::{ContainerSpec, VolumeMount};
use hostplane_domain::disk::{DiskSpace, FilesUsage};
use hostplane_domain::mark::{Labels, Mark};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

pub use docker::{BadCertificates, ConnectError, Docker, engine_host};
pub use gated::{CREATE_DEADLINE, GatedContainers};
pub use log::{LOG_LIMIT, LogLine, LogQuery, LogStream, LogTail, LogTime};

use crate::clock::Timestamp;
use crate::error::Effect;

/// Selection of objects to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All objects, of any owner.
    All,
    /// Objects with exactly these names, of any owner.
    Names(Vec<String>),
    /// Objects with this label and value.
    Label(String, String),
}

/// Facts about a container, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFacts {
    /// The Engine's id.
    pub id: String,
    /// The name, without the leading slash.
    pub name: String,
    /// The mark in the labels, if there is one.
    pub mark: Option<Mark>,
    /// Labels beside the mark, including the image's.
    pub labels: Labels,
    /// The image's name when the container was made, or its id once the name means another image.
    pub image: String,
    /// Lifecycle state.
    pub state: ContainerState,
    /// True if the container runs and its own health check fails.
    pub unhealthy: bool,
    /// Names of the connected networks. Those of a stopped container need not exist.
    pub networks: Vec<String>,
    /// Mounted volumes, ordered by path.
    pub mounts: Vec<VolumeMount>,
}

/// Lifecycle state of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
    /// Being removed: its name may stay taken for a moment.
    Removing,
    /// Frozen.
    Paused,
    /// Ended, and the Engine is about to start it again.
    Restarting,
    /// Half removed, or in an unknown state.
    Dead,
}

/// Limits and restart policy of a container, which can change after its creation and which no list shows. 0 is no
/// limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuning {
    /// Memory, in bytes.
    pub memory: i64,
    /// Memory and swap together, in bytes; equal to `memory` without swap.
    pub memory_and_swap: i64,
    /// CPU time, in billionths of a core.
    pub nano_cpus: i64,
    /// Number of processes and threads.
    pub pids: i64,
    /// True if the container restarts after a crash and with the Engine.
    pub restarts: bool,
}

impl Tuning {
    /// The tuning of a container made from `spec`.
    #[must_use]
    pub fn of(spec: &ContainerSpec) -> Self {
        let memory = i64::from(spec.limits.memory_mib) * 1024 * 1024;
        Self {
            memory,
            memory_and_swap: memory,
            nano_cpus: i64::from(spec.limits.cpu_milli) * 1_000_000,
            pids: i64::from(spec.limits.pids),
            restarts: spec.restart,
        }
    }
}

/// Facts about the container engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineFacts {
    /// The Engine's version.
    pub version: String,
    /// The version of the host's kernel.
    pub kernel: String,
    /// The host's clock; `None` when the Engine doesn't report it.
    pub time: Option<Timestamp>,
    /// The Engine's data directory on its host.
    pub data_dir: String,
    /// Memory of the host, in MiB.
    pub memory_mib: u32,
    /// Cores of the host.
    pub cores: u32,
}

/// Facts about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageFacts {
    /// The time of its build, as its label `hostplane.built` or else the engine has it; `None` when neither does.
    pub built: Option<Timestamp>,
}

/// Event of a container, a volume or a network that may be drift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// The name of the container, volume or network.
    pub name: String,
    /// The engine's name for the event: `die`, `destroy`, `disconnect`, …
    pub action: String,
    /// A container's labels among others; the engine reports none of volumes and networks.
    pub labels: Labels,
}

/// Stream of events. The stream ends, or fails, with its connection.
pub type EngineEvents = BoxStream<'static, Effect<EngineEvent>>;

/// Facts about a volume, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFacts {
    /// The name, which is also the id.
    pub name: String,
    /// The mark in the labels, if there is one.
    pub mark: Option<Mark>,
    /// Labels beside the mark.
    pub labels: Labels,
}

/// Facts about a network, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFacts {
    /// The Engine's id. Two networks may have one name.
    pub id: String,
    /// The name.
    pub name: String,
    /// The mark in the labels, if there is one.
    pub mark: Option<Mark>,
    /// Labels beside the mark.
    pub labels: Labels,
    /// The IPv4 subnets.
    pub subnets: Vec<Ipv4Net>,
    /// The first IPv4 gateway.
    pub gateway: Option<Ipv4Addr>,
}

/// Desired bridge network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    /// The name.
    pub name: String,
    /// The subnet; the Engine chooses one for `None`.
    pub subnet: Option<Ipv4Net>,
    /// Labels.
    pub labels: Labels,
}

/// A file written into, or read from, a container. Its contents may be secret and are never printed.
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

/// A program to run in a running container, without a shell.
#[derive(Clone)]
pub struct Exec {
    /// The argument vector, which every client of the engine can inspect: never a secret.
    pub argv: Vec<String>,
    /// `uid:gid`; the container's own when `None`.
    pub user: Option<String>,
    /// Standard input, which may be secret.
    pub stdin: Bytes,
}

/// Output of a program, each stream cut at [`EXEC_OUTPUT_LIMIT`] bytes. Hostile until parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub code: i64,
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
}

/// Most bytes kept of each output stream of a program.
pub const EXEC_OUTPUT_LIMIT: usize = 256 * 1024;
/// Most bytes of an archive read from a container.
pub const ARCHIVE_LIMIT: usize = 64 * 1024 * 1024;

/// The container engine. Every method is one outside call; an exec is three requests, but one effect.
///
/// Errors are classified: a missing object is `NotFound`; a taken name, a missing image, an overlapping subnet and
/// exhausted pools are `Rejected`; a name or volume about to come free ("removal in progress", "volume is in use",
/// "has active endpoints") is `Transient`; a changing request without an answer is `OutcomeUnknown`.
#[async_trait]
pub trait Containers: Send + Sync {
    /// Pings the engine.
    async fn ping(&self) -> Effect<()>;

    /// Lists containers, running or not.
    async fn containers(&self, scope: &Scope) -> Effect<Vec<ContainerFacts>>;
    /// Lists volumes.
    async fn volumes(&self, scope: &Scope) -> Effect<Vec<VolumeFacts>>;
    /// Lists networks, with their subnets.
    async fn networks(&self, scope: &Scope) -> Effect<Vec<NetworkFacts>>;
    /// Inspects the limits and the restart policy of a container.
    async fn tuning(&self, container_id: &str) -> Effect<Tuning>;
    /// Asks for the engine's facts.
    async fn about(&self) -> Effect<EngineFacts>;
    /// Subscribes to events. Some may be lost, so they are hints: the reconciler also runs full scans, the first right
    /// after subscribing.
    async fn events(&self) -> Effect<EngineEvents>;
    /// Inspects an image; `None` if it isn't on the host.
    async fn image(&self, image: &str) -> Effect<Option<ImageFacts>>;

    /// Makes a volume. The labels of the answer are those of the existing volume of that name, which may have another
    /// owner: the caller compares.
    async fn create_volume(&self, name: &str, labels: &Labels) -> Effect<VolumeFacts>;
    /// Removes a volume by name. `Transient` while a container uses it.
    async fn remove_volume(&self, name: &str) -> Effect<()>;

    /// Makes a bridge network and returns its id. A taken name is `Rejected`, but two concurrent calls may both
    /// succeed.
    async fn create_network(&self, spec: &NetworkSpec) -> Effect<String>;
    /// Removes a network by id. `Transient` while it has endpoints.
    async fn remove_network(&self, id: &str) -> Effect<()>;
    /// Connects a container to a network; succeeds if it is connected.
    async fn connect(&self, network_id: &str, container_id: &str) -> Effect<()>;

    /// Makes a container without starting it, and returns its id. Volumes that the engine makes implicitly get `labels`
    /// too.
    async fn create_container(&self, spec: &ContainerSpec, labels: &Labels) -> Effect<String>;
    /// Starts a container; succeeds if it runs. `NotFound` names the network when that is missing.
    async fn start_container(&self, id: &str) -> Effect<()>;
    /// Stops a container, with a kill after `grace_s` seconds; succeeds if it is stopped.
    async fn stop_container(&self, id: &str, grace_s: u16) -> Effect<()>;
    /// Kills and removes a container by id. "Removal in progress" is `Transient`.
    async fn remove_container(&self, id: &str) -> Effect<()>;

    /// Writes files below a directory of a container, running or not. A missing directory is `NotFound`; a read-only
    /// root or volume, and paths that leave the directory, are `Rejected`. An entry in the directory above a volume
    /// sets the volume's own mode and owner.
    async fn upload(&self, container_id: &str, dir: &str, entries: &[ArchiveEntry]) -> Effect<()>;
    /// Reads the regular files below a directory of a container, paths relative to that directory.
    /// At most [`ARCHIVE_LIMIT`] bytes; links and special files are left out.
    async fn download(&self, container_id: &str, dir: &str) -> Effect<Vec<ArchiveEntry>>;
    /// Reads one regular file of a container; the entry has the given path. `None` for another type of file; `NotFound`
    /// without a file or a container.
    async fn download_file(&self, container_id: &str, path: &str) -> Effect<Option<ArchiveEntry>>;
    /// Runs a program in a running container and waits for its end. A program that can't start ends with code 126 or
    /// 127; a stopped container is `Transient`.
    async fn exec(&self, container_id: &str, exec: &Exec) -> Effect<ExecOutput>;

    /// Measures the files below a directory of a running container, on that directory's file system. They are counted in
    /// the container, with the rights of its user and in the time that its CPU takes: who runs programs in it can hide
    /// files. `Transient` when they can't be counted within a minute.
    async fn usage(&self, container_id: &str, dir: &str) -> Effect<FilesUsage>;
    /// Measures the disk under the root of a running container, which is that of the engine's data directory.
    async fn space(&self, container_id: &str) -> Effect<DiskSpace>;

    /// Reads the log of a container, running or not, oldest line first: the newest [`LOG_LIMIT`] bytes at most. The log
    /// of a container that never ran is empty.
    async fn log(&self, container_id: &str, query: LogQuery) -> Effect<Vec<LogLine>>;
}
