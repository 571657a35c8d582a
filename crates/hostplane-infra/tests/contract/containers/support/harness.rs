//! Ground of a case: an engine, names of its own, and the clearing up.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use hostplane_domain::container::{ContainerSpec, VolumeMount};
use hostplane_domain::mark::{Labels, Mark, SiteRef};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::containers::{
    ArchiveEntry, ContainerFacts, ContainerState, Containers, Exec, ExecOutput, NetworkSpec, Scope,
};
use hostplane_infra::error::{Effect, EffectError, Rejection, absent_is_done};
use hostplane_testing::fake::{ContainersState, FakeNetwork, FakeWorld};
use hostplane_testing::specs;
use ipnet::Ipv4Net;

/// The label that everything of a case carries.
const LABEL: &str = "hostplane.test";
/// The label that says which test process made a thing, so that those of killed ones are found.
pub const PROCESS: &str = "hostplane.contract-process";
/// Longest time of work that the Engine does on its own.
const PATIENCE: Duration = Duration::from_secs(20);

/// Hands that reach past the adapter.
#[async_trait]
pub trait Hands: Send + Sync {
    /// Makes a network though there is one of that name, as two calls at once may.
    async fn second_network(&self, name: &str, labels: &Labels, subnet: Ipv4Net);
    /// Begins to remove a container in a way that takes a while, the longer the more `effort`.
    async fn begin_removal(&self, id: &str, effort: u32);
    /// Waits until the container is gone.
    async fn end_removal(&self, id: &str);
}

/// An engine and what a case calls its own there.
pub struct Harness {
    /// The engine.
    pub containers: Arc<dyn Containers>,
    /// Hands that reach past the adapter.
    pub hands: Box<dyn Hands>,
    /// Starts every name.
    pub prefix: String,
    /// An image that is on the host and has the usual programs.
    pub image: String,
}

impl Harness {
    fn new(containers: Arc<dyn Containers>, hands: Box<dyn Hands>, image: String) -> Self {
        Self { containers, hands, prefix: format!("hptest-{:016x}", fastrand::u64(..)), image }
    }

    /// A name of this case.
    pub fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.prefix)
    }

    /// The labels of this case.
    pub fn labels(&self) -> Labels {
        labels_of(&self.prefix)
    }

    /// Everything of this case.
    pub fn scope(&self) -> Scope {
        scope_of(&self.prefix)
    }

    /// A container that stays up, without a network.
    pub fn spec(&self, what: &str) -> ContainerSpec {
        ContainerSpec { name: self.name(what), image: self.image.clone(), ..specs::container() }
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

    /// The state of a container.
    pub async fn state(&self, what: &str) -> Option<ContainerState> {
        self.facts(what).await.map(|facts| facts.state)
    }

    /// Makes a network of this case.
    pub async fn network(&self, what: &str, prefix_length: u8) -> (String, Ipv4Net) {
        make_network(&*self.containers, &self.name(what), &self.labels(), prefix_length).await
    }

    /// Runs a program with an input.
    pub async fn exec(&self, id: &str, argv: &[&str], stdin: &[u8]) -> Effect<ExecOutput> {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        self.containers.exec(id, &Exec { argv, user: None, stdin: Bytes::copy_from_slice(stdin) }).await
    }
}

/// The label of this process.
pub fn process_label() -> Labels {
    Labels::from([(PROCESS.to_owned(), std::process::id().to_string())])
}

/// The labels of what a case makes.
pub fn labels_of(case: &str) -> Labels {
    let mut labels = process_label();
    labels.insert(LABEL.to_owned(), case.to_owned());
    labels
}

/// Everything of a case.
pub fn scope_of(case: &str) -> Scope {
    Scope::Label(LABEL.to_owned(), case.to_owned())
}

/// The mark of a site of ours.
pub fn mark() -> Mark {
    Mark {
        instance: "00000000-0000-7000-8000-000000000001".parse().expect("an id"),
        site: SiteRef {
            id: "00000000-0000-7000-9000-000000000001".parse().expect("an id"),
            name: SiteName::parse("holder").expect("a name"),
        },
        kind: ResourceKind::Network,
        job: "00000000-0000-7000-a000-000000000001".parse().expect("an id"),
        spec: SpecHash::of(&"contract"),
    }
}

/// The words of a refusal for the site that holds a name.
pub fn owner_of(mark: &Mark) -> String {
    format!("the site {} (id {}) of the instance {}", mark.site.name, mark.site.id, mark.instance)
}

/// Makes a network with a subnet of a length that nothing uses. Cases that run at the same time may choose
/// the same; then another is tried.
pub async fn make_network(
    engine: &dyn Containers,
    name: &str,
    labels: &Labels,
    prefix_length: u8,
) -> (String, Ipv4Net) {
    for _ in 0..100 {
        let address = (10 << 24) | (fastrand::u32(240..256) << 16) | fastrand::u32(..1 << 16);
        let subnet = Ipv4Net::new(address.into(), prefix_length).expect("a length").trunc();
        let all = engine.networks(&Scope::All).await.expect("networks are listed");
        let overlaps = |used: &Ipv4Net| used.contains(&subnet) || subnet.contains(used);
        if all.iter().flat_map(|network| &network.subnets).any(overlaps) {
            continue;
        }
        let spec = NetworkSpec { name: name.to_owned(), subnet: Some(subnet), labels: labels.clone() };
        match engine.create_network(&spec).await {
            Ok(id) => return (id, subnet),
            Err(EffectError::Rejected(Rejection::SubnetOverlap(_))) => {}
            Err(error) => panic!("the network is made: {}", error.chain()),
        }
    }
    panic!("no subnet is free");
}

/// Removes everything of a case, as often as it takes.
pub async fn clear(engine: &dyn Containers, case: &str) {
    let scope = scope_of(case);
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

/// Runs a case on a fake of its own.
pub async fn on_fake(case: impl AsyncFnOnce(&Harness)) {
    let world = FakeWorld::default();
    let image = "hostplane/php:test".to_owned();
    world.state().containers.images.insert(image.clone());
    world.state().containers.built.insert(image.clone(), Timestamp(1));
    on(Harness::new(Arc::new(world.clone()), Box::new(world), image), case).await;
}

/// Runs a case on the real Engine.
#[cfg(feature = "stack")]
pub async fn on_engine(case: impl AsyncFnOnce(&Harness)) {
    use super::real_hands::RealHands;
    use crate::server::{docker, image};

    let engine = Arc::new(docker());
    on(Harness::new(engine.clone(), Box::new(RealHands::new(engine)), image("PHP_IMAGE")), case).await;
}

#[async_trait]
impl Hands for FakeWorld {
    async fn second_network(&self, name: &str, labels: &Labels, subnet: Ipv4Net) {
        let network = FakeNetwork { name: name.to_owned(), labels: labels.clone(), subnet };
        self.state().containers.networks.insert(format!("{:016x}", fastrand::u64(..)).repeat(4), network);
    }

    async fn begin_removal(&self, id: &str, _effort: u32) {
        self.state().containers.container_mut(id).expect("it is there").state = ContainerState::Removing;
    }

    async fn end_removal(&self, id: &str) {
        self.state().containers.containers.remove(id);
    }
}

async fn on(harness: Harness, case: impl AsyncFnOnce(&Harness)) {
    let running: CaseFuture<'_> = Box::pin(case(&harness));
    let ended = AssertUnwindSafe(running).catch_unwind().await;
    clear(&*harness.containers, &harness.prefix).await;
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

#[tokio::test]
async fn a_case_that_fails_leaves_nothing_behind() {
    let world = FakeWorld::default();
    world.state().containers.images.insert("image".to_owned());
    let before = world.state().containers.clone();
    let harness = Harness::new(Arc::new(world.clone()), Box::new(world.clone()), "image".to_owned());
    let failing = on(harness, async |harness: &Harness| {
        let mut spec = harness.spec("c");
        spec.mounts.push(harness.mount("v", "/data"));
        spec.network = Some(harness.name("n"));
        harness.network("n", 28).await;
        harness.create(&spec).await;
        panic!("as a failing case does");
    });
    assert!(AssertUnwindSafe(failing).catch_unwind().await.is_err());
    let ids = world.state().containers.ids;
    assert_eq!(world.state().containers, ContainersState { ids, ..before });
}
