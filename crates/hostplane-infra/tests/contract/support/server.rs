//! Servers for tests: containers made from the project's images, published on a free loopback port, and a
//! network; removed when the test is over, however it ends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hostplane_domain::container::ContainerSpec;
use hostplane_domain::desired::ContainerLimits;
use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{ArchiveEntry, Containers, Docker, Scope};
use hostplane_infra::error::absent_is_done;
use hostplane_testing::specs;

use crate::containers::harness;

/// A running container that goes when it is dropped.
pub struct TestContainer {
    pub docker: Arc<Docker>,
    pub id: String,
    pub name: String,
    /// The loopback port under which its port is published.
    pub port: u16,
}

/// Parts of a test container.
pub struct Ingredients<'a> {
    /// Part of its name.
    pub what: &'a str,
    /// The key in the file of images.
    pub image: &'a str,
    pub command: &'a [&'a str],
    pub user: &'a str,
    pub port: u16,
    /// Files that are there before it starts, by directory.
    pub files: Vec<(&'a str, Vec<ArchiveEntry>)>,
}

impl TestContainer {
    pub async fn start(ingredients: Ingredients<'_>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let docker = Arc::new(docker());
        remove_stale(&docker).await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("hostplane-contract-{}-{}-{number}", ingredients.what, std::process::id());
        let port = crate::port::free();
        let spec = ContainerSpec {
            name: name.clone(),
            image: image(ingredients.image),
            command: ingredients.command.iter().map(|&word| word.to_owned()).collect(),
            user: ingredients.user.to_owned(),
            network: Some("bridge".to_owned()),
            publish: vec![("127.0.0.1".to_owned(), port, ingredients.port)],
            limits: ContainerLimits { memory_mib: 768, cpu_milli: 2000, pids: 256, log_mib: 10 },
            ..specs::container()
        };
        let id = docker.create_container(&spec, &harness::process_label()).await.expect("a container is made");
        let container = Self { docker, id, name, port };
        for (dir, entries) in &ingredients.files {
            container.docker.upload(&container.id, dir, entries).await.expect("files are written");
        }
        container.docker.start_container(&container.id).await.expect("the container starts");
        container
    }
}

impl Drop for TestContainer {
    fn drop(&mut self) {
        let id = self.id.clone();
        // Also while a panic unwinds, and inside a runtime, where one can't wait for another.
        let removed = std::thread::spawn(move || block_on(async move { docker().remove_container(&id).await })).join();
        if !matches!(removed, Ok(Ok(()))) {
            eprintln!("the container {} was not removed: {removed:?}", self.name);
        }
    }
}

/// A bridge network that goes when it is dropped: after the servers that are connected to it.
pub struct TestNetwork {
    pub id: String,
    pub name: String,
}

impl TestNetwork {
    pub async fn make(what: &str) -> Self {
        let name = format!("hostplane-contract-{what}-{}", std::process::id());
        let (id, _) = harness::make_network(&docker(), &name, &harness::process_label(), 24).await;
        Self { id, name }
    }
}

impl Drop for TestNetwork {
    fn drop(&mut self) {
        let id = self.id.clone();
        let remove = move || {
            block_on(async {
                let docker = docker();
                let gone = async || absent_is_done(docker.remove_network(&id).await).map(|()| true);
                harness::eventually("the network is removed", gone).await;
            });
        };
        if std::thread::spawn(remove).join().is_err() {
            eprintln!("the network {} was not removed", self.name);
        }
    }
}

/// Removes what test processes left that were killed.
async fn remove_stale(docker: &Docker) {
    let is_stale = |labels: &Labels| {
        let Some(process) = labels.get(harness::PROCESS) else { return false };
        // A process that has ended and wasn't waited for has no command line any more.
        let command = std::fs::read(Path::new("/proc").join(process).join("cmdline"));
        command.is_ok_and(|line| line.is_empty()) || !Path::new("/proc").join(process).exists()
    };
    // Another test process may be doing the same, so that nothing has to succeed.
    for container in docker.containers(&Scope::All).await.expect("the Engine answers") {
        if is_stale(&container.labels) {
            let _ = docker.remove_container(&container.id).await;
        }
    }
    for network in docker.networks(&Scope::All).await.expect("the Engine answers") {
        if is_stale(&network.labels) {
            let _ = docker.remove_network(&network.id).await;
        }
    }
    for volume in docker.volumes(&Scope::All).await.expect("the Engine answers") {
        if is_stale(&volume.labels) {
            let _ = docker.remove_volume(&volume.name).await;
        }
    }
}

/// The real Engine.
pub fn docker() -> Docker {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let certificates = std::env::var_os("DOCKER_CERT_DIR").map(PathBuf::from);
    Docker::connect(&host, certificates.as_deref()).expect("DOCKER_HOST is an address")
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// An image of the file that the build of the images wrote.
pub fn image(key: &str) -> String {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/test-images.env");
    let path = std::env::var_os("HOSTPLANE_TEST_ENV").map_or_else(default, PathBuf::from);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let images: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    (*images.get(key).unwrap_or_else(|| panic!("{} has no {key}", path.display()))).to_owned()
}

/// A file that all may read.
pub fn file(path: &str, uid: u32, contents: impl Into<bytes::Bytes>) -> ArchiveEntry {
    ArchiveEntry { path: path.to_owned(), mode: 0o644, uid, contents: Some(contents.into()) }
}

/// A directory.
pub fn directory(path: &str, uid: u32) -> ArchiveEntry {
    ArchiveEntry { path: path.to_owned(), mode: 0o755, uid, contents: None }
}

/// Asks until it is so.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
