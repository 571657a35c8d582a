//! Where a case runs: an engine, names of its own, and the clearing up.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use hostplane_domain::container::{ContainerSpec, VolumeMount};
use hostplane_domain::desired::ContainerLimits;
use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{ArchiveEntry, ContainerFacts, ContainerState, Exec, ExecOutput, NetworkSpec, Scope};
use hostplane_infra::error::{Effect, EffectError, Rejection, absent_is_done};
use hostplane_infra::fake::{ContainersState, FakeWorld};
use ipnet::Ipv4Net;

use super::Containers;

/// The label that everything of a case carries.
const LABEL: &str = "hostplane.test";
/// How long the Engine may take for what it does on its own.
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine and what a case calls its own there.
pub struct Bed {
    /// The engine.
    pub containers: Arc<dyn Containers>,
    /// Starts every name.
    pub prefix: String,
    /// An image that is on the host and has the usual programs.
    pub image: String,
}

impl Bed {
    fn new(containers: Arc<dyn Containers>, image: String) -> Self {
        Self { containers, prefix: format!("hptest-{:016x}", fastrand::u64(..)), image }
    }

    /// A name of this case.
    pub fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    /// The labels of this case.
    pub fn labels(&self) -> Labels {
        Labels::from([(LABEL.to_owned(), self.prefix.clone())])
    }

    /// Everything of this case.
    pub fn scope(&self) -> Scope {
        Scope::Label(LABEL.to_owned(), self.prefix.clone())
    }

    /// A container that stays up, without a network.
    pub fn spec(&self, what: &str) -> ContainerSpec {
        ContainerSpec { name: self.name(what), image: self.image.clone(), ..spec() }
    }

    /// A mount of a volume of this case.
    pub fn mount(&self, volume: &str, path: &str) -> VolumeMount {
        VolumeMount { volume: self.name(volume), path: path.to_owned(), read_only: false }
    }

    /// Makes a container.
    pub async fn create(&self, spec: &ContainerSpec) -> String {
        self.containers.create_container(spec, &self.labels()).await.expect("the container is made")
    }

    /// Makes a container without a network and starts it.
    pub async fn run(&self, what: &str) -> String {
        let id = self.create(&self.spec(what)).await;
        self.containers.start_container(&id).await.expect("the container starts");
        id
    }

    /// A container as listed by its name.
    pub async fn facts(&self, what: &str) -> Option<ContainerFacts> {
        let scope = Scope::Names(vec![self.name(what)]);
        self.containers.containers(&scope).await.expect("containers are listed").pop()
    }

    /// What a container is doing.
    pub async fn state(&self, what: &str) -> Option<ContainerState> {
        self.facts(what).await.map(|facts| facts.state)
    }

    /// Makes a network of this case with a subnet of a length that nothing uses. Cases that run at the
    /// same time may choose the same; then another is tried.
    pub async fn network(&self, what: &str, prefix_length: u8) -> (String, Ipv4Net) {
        for _ in 0..100 {
            let address = (10 << 24) | (fastrand::u32(240..256) << 16) | fastrand::u32(..1 << 16);
            let subnet = Ipv4Net::new(address.into(), prefix_length).expect("a length").trunc();
            let all = self.containers.networks(&Scope::All).await.expect("networks are listed");
            if all
                .iter()
                .flat_map(|network| &network.subnets)
                .any(|used| used.contains(&subnet) || subnet.contains(used))
            {
                continue;
            }
            let spec = NetworkSpec { name: self.name(what), subnet: Some(subnet), labels: self.labels() };
            match self.containers.create_network(&spec).await {
                Ok(id) => return (id, subnet),
                Err(EffectError::Rejected(Rejection::SubnetOverlap(_))) => {}
                Err(error) => panic!("the network is made: {}", error.chain()),
            }
        }
        panic!("no subnet is free");
    }

    /// Runs a program with an input.
    pub async fn exec(&self, id: &str, argv: &[&str], stdin: &[u8]) -> Effect<ExecOutput> {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        self.containers.exec(id, &Exec { argv, user: None, stdin: Bytes::copy_from_slice(stdin) }).await
    }

    /// Removes everything of this case, as often as it takes.
    async fn clear(&self) {
        let engine = &self.containers;
        let scope = self.scope();
        eventually("everything is removed", async || {
            let containers = engine.containers(&scope).await?;
            for container in &containers {
                absent_is_done(engine.remove_container(&container.id).await)?;
            }
            let networks = engine.networks(&scope).await?;
            for network in &networks {
                absent_is_done(engine.remove_network(&network.id).await)?;
            }
            let volumes = engine.volumes(&scope).await?;
            for volume in &volumes {
                absent_is_done(engine.remove_volume(&volume.name).await)?;
            }
            Ok(containers.is_empty() && networks.is_empty() && volumes.is_empty())
        })
        .await;
    }
}

/// A container that stays up, without name, image and network.
pub fn spec() -> ContainerSpec {
    ContainerSpec {
        name: String::new(),
        image: String::new(),
        command: vec!["sleep".to_owned(), "3600".to_owned()],
        user: "33:33".to_owned(),
        network: None,
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        env: Vec::new(),
        extra_hosts: Vec::new(),
        read_only_root: false,
        publish: Vec::new(),
        sysctls: Vec::new(),
        limits: ContainerLimits { memory_mib: 64, cpu_milli: 500, pids: 16, log_mib: 1 },
        restart: false,
    }
}

/// Asks again while the answer is `false` or transient: the Engine finishes some things on its own.
pub async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> Effect<bool>) {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(true) => return,
            Ok(false) | Err(EffectError::Transient { .. }) if begun.elapsed() < PATIENCE => {}
            Ok(_) => panic!("not in time: {what}"),
            Err(error) => panic!("{what}: {}", error.chain()),
        }
    }
}

/// A file of root's.
pub fn file(path: &str, contents: &str) -> ArchiveEntry {
    let contents = Some(Bytes::copy_from_slice(contents.as_bytes()));
    ArchiveEntry { path: path.to_owned(), mode: 0o644, uid: 0, contents }
}

/// The paths and contents of files, in order.
pub fn contents(mut files: Vec<ArchiveEntry>) -> Vec<(String, String)> {
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let text = |bytes: Option<Bytes>| String::from_utf8(bytes.unwrap_or_default().to_vec()).expect("text");
    files.into_iter().map(|file| (file.path, text(file.contents))).collect()
}

/// `NotFound`, or a panic that shows what came instead.
#[track_caller]
pub fn not_found<T: std::fmt::Debug>(result: Effect<T>) -> String {
    match result {
        Err(EffectError::NotFound(name)) => name,
        other => panic!("not found was expected: {other:?}"),
    }
}

/// `Transient`, or a panic that shows what came instead.
#[track_caller]
pub fn transient<T: std::fmt::Debug>(result: Effect<T>) -> String {
    match result {
        Err(error @ EffectError::Transient { .. }) => error.chain(),
        other => panic!("transient was expected: {other:?}"),
    }
}

/// `OutcomeUnknown`, or a panic that shows what came instead.
#[track_caller]
pub fn unknown<T: std::fmt::Debug>(result: Effect<T>) -> String {
    match result {
        Err(error @ EffectError::OutcomeUnknown { .. }) => error.chain(),
        other => panic!("unknown was expected: {other:?}"),
    }
}

/// `Rejected`, or a panic that shows what came instead.
#[track_caller]
pub fn rejected<T: std::fmt::Debug>(result: Effect<T>) -> Rejection {
    match result {
        Err(EffectError::Rejected(rejection)) => rejection,
        other => panic!("rejected was expected: {other:?}"),
    }
}

/// `Rejected(Invalid)`, or a panic that shows what came instead.
#[track_caller]
pub fn invalid<T: std::fmt::Debug>(result: Effect<T>) -> String {
    match rejected(result) {
        Rejection::Invalid { message, .. } => message,
        other => panic!("invalid was expected: {other:?}"),
    }
}

type CaseFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs a case on a twin of its own.
pub async fn on_twin(case: impl AsyncFnOnce(&Bed)) {
    let world = FakeWorld::default();
    let image = "hostplane/php:test".to_owned();
    world.state().containers.images.insert(image.clone());
    on(Bed::new(Arc::new(world), image), case).await;
}

/// Runs a case on the real Engine.
#[cfg(feature = "stack")]
pub async fn on_engine(case: impl AsyncFnOnce(&Bed)) {
    use hostplane_infra::containers::Docker;

    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let engine = Docker::connect(&host).expect("DOCKER_HOST is a Unix socket");
    on(Bed::new(Arc::new(engine), base_image()), case).await;
}

async fn on(bed: Bed, case: impl AsyncFnOnce(&Bed)) {
    let running: CaseFuture<'_> = Box::pin(case(&bed));
    let ended = AssertUnwindSafe(running).catch_unwind().await;
    bed.clear().await;
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

/// `PHP_IMAGE` of the file that the images' build writes.
#[cfg(feature = "stack")]
fn base_image() -> String {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-images.env");
    let path = std::env::var("HOSTPLANE_TEST_ENV").unwrap_or_else(|_| default.to_owned());
    let settings =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}; build the images first"));
    let image = settings.lines().find_map(|line| line.strip_prefix("PHP_IMAGE="));
    image.unwrap_or_else(|| panic!("{path} has no PHP_IMAGE")).to_owned()
}

#[tokio::test]
async fn a_case_that_fails_leaves_nothing_behind() {
    let world = FakeWorld::default();
    world.state().containers.images.insert("image".to_owned());
    let before = world.state().containers.clone();
    let bed = Bed::new(Arc::new(world.clone()), "image".to_owned());
    let failing = on(bed, async |bed: &Bed| {
        let mut spec = bed.spec("c");
        spec.mounts.push(bed.mount("v", "/data"));
        spec.network = Some(bed.name("n"));
        bed.network("n", 28).await;
        bed.create(&spec).await;
        panic!("as a failing case does");
    });
    assert!(AssertUnwindSafe(failing).catch_unwind().await.is_err());
    let ids = world.state().containers.ids;
    assert_eq!(world.state().containers, ContainersState { ids, ..before });
}
