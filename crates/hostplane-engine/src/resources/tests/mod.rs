//! What holds for every resource, over the registry.

mod drift;

use std::collections::BTreeSet;

use hostplane_domain::container;
use hostplane_domain::desired::{DesiredSite, PhpSettings, SiteImages, SiteLimits, WordpressDetails};
use hostplane_domain::details::{AdminEmail, AdminUser, SiteTitle};
use hostplane_domain::ids::{InstanceId, JobId, SiteId};
use hostplane_domain::mark::{Labels, Mark, SiteRef};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_domain::url::SiteUrl;
use hostplane_infra::containers::{Containers, NetworkSpec};
use hostplane_infra::gate::LiveGate;
use hostplane_infra::world::World;
use hostplane_testing::fake::{FakeWorld, LedgerRow, State};
use uuid::Uuid;

use super::RESOURCES;
use crate::context::SiteCx;
use crate::pace::Pace;

fn hello(site: SiteId) -> DesiredSite {
    DesiredSite {
        site: SiteRef { id: site, name: SiteName::parse("hello").unwrap() },
        subnet: "10.213.0.0/29".parse().unwrap(),
        url: SiteUrl { host: "hello.localhost".into(), port: 8080 },
        wordpress: WordpressDetails {
            title: SiteTitle::parse("Hello").unwrap(),
            admin_user: AdminUser::parse("admin").unwrap(),
            admin_email: AdminEmail::parse("admin@example.com").unwrap(),
        },
        images: SiteImages { php: "php:1".into(), nginx: "nginx:1".into() },
        limits: SiteLimits::default(),
        php: PhpSettings::default(),
        mail: None,
        shared_network: "shared".into(),
        database_host: "host.docker.internal:3306".into(),
        secret_version: 1,
        secret_generation: 1,
        admin_generation: 1,
        suspended: false,
    }
}

/// A site on a world, as a job sees it.
struct Site {
    world: World,
    secrets: Keyring,
    want: DesiredSite,
}

impl Site {
    fn on(world: &FakeWorld) -> Self {
        Self {
            world: world.behind(LiveGate::new()),
            secrets: Keyring::new(MasterSecret::new([7; 32])),
            want: hello(SiteId::new(Uuid::from_u128(1))),
        }
    }

    fn cx(&self) -> SiteCx<'_> {
        SiteCx {
            world: &self.world,
            secrets: &self.secrets,
            mail: None,
            instance: InstanceId::new(Uuid::from_u128(1)),
            site: &self.want.site,
            job: JobId::new(Uuid::from_u128(1)),
            pace: Pace { serving_patience: std::time::Duration::ZERO, ..Pace::default() },
            hashes: None,
        }
    }
}

/// The state without what only counts.
fn state(world: &FakeWorld) -> State {
    let mut state = world.state().clone();
    state.containers.ids = 0;
    state
}

/// A world without the site, in which it can be made.
async fn empty() -> FakeWorld {
    let world = FakeWorld::default();
    world.state().containers.images.extend(["php:1".to_owned(), "nginx:1".to_owned()]);
    let shared = Some("172.31.0.0/16".parse().unwrap());
    world.create_network(&NetworkSpec { name: "shared".into(), subnet: shared, labels: Labels::new() }).await.unwrap();
    world
}

/// A world in which everything under the site's names carries these marks' labels, or none at all. Without
/// containers nothing but the marks protects volumes and networks.
async fn held_by(mark: impl Fn(ResourceKind) -> Option<Mark>, containers: bool) -> FakeWorld {
    let world = FakeWorld::default();
    let want = hello(SiteId::new(Uuid::from_u128(1)));
    let name = &want.site.name;
    let labels = |kind| mark(kind).map_or_else(Labels::new, |mark| mark.to_labels());
    world.state().containers.images.extend(["php:1".to_owned(), "nginx:1".to_owned()]);
    for (network, subnet, labels) in [
        ("shared".to_owned(), "172.31.0.0/16", Labels::new()),
        (naming::network(name), "10.99.0.0/24", labels(ResourceKind::Network)),
    ] {
        let subnet = Some(subnet.parse().unwrap());
        world.create_network(&NetworkSpec { name: network, subnet, labels }).await.unwrap();
    }
    for kind in [ResourceKind::FilesVolume, ResourceKind::PhpVolume, ResourceKind::NginxVolume] {
        world.create_volume(&naming::of(kind, name), &labels(kind)).await.unwrap();
    }
    for (kind, spec) in [
        (ResourceKind::PhpContainer, container::php(&want)),
        (ResourceKind::NginxContainer, container::nginx(&want)),
        (ResourceKind::Settings, container::writer(&want)),
    ]
    .into_iter()
    .filter(|_| containers)
    {
        world.create_container(&spec, &labels(kind)).await.unwrap();
    }
    {
        let mut state = world.state();
        let database = naming::database(name);
        state.databases.databases.entry(database.clone()).or_default();
        if let Some(mark) = mark(ResourceKind::Database) {
            state.databases.ledger.insert(database, LedgerRow { mark: Some(mark), confirmed: false });
        }
        let comment = mark(ResourceKind::Route).map_or_else(|| "# mine".to_owned(), |mark| mark.to_comment());
        let snippet = format!("{comment}\nhttp://else.where {{\n}}\n");
        state.proxy.snippets.insert(naming::snippet_file(name), snippet.clone());
        state.proxy.loaded.insert(naming::snippet_file(name), snippet);
    }
    world
}

/// Both verbs of every resource, twice, on a world that is another's.
async fn leave_it_alone(mark: impl Fn(ResourceKind) -> Option<Mark>) {
    for containers in [true, false] {
        leave_alone(held_by(&mark, containers).await).await;
    }
}

async fn leave_alone(world: FakeWorld) {
    let before = state(&world);
    let site = Site::on(&world);
    let (cx, want) = (site.cx(), &site.want);
    for resource in RESOURCES {
        for _ in 0..2 {
            let ensured = resource.ensure(&cx, want).await;
            assert!(ensured.is_err(), "{} took over what is another's", resource.kind());
            assert_eq!(state(&world), before, "ensure {}", resource.kind());
            // A removal may say that another's thing is in the way, or nothing.
            let _ = resource.remove(&cx).await;
            assert_eq!(state(&world), before, "remove {}", resource.kind());
        }
    }
}

fn mark_of(instance: u128, site: u128) -> impl Fn(ResourceKind) -> Option<Mark> {
    move |kind| {
        let want = hello(SiteId::new(Uuid::from_u128(site)));
        let (instance, job) = (InstanceId::new(Uuid::from_u128(instance)), JobId::new(Uuid::from_u128(9)));
        Some(Mark { instance, spec: want.spec_hash(kind), site: want.site, kind, job })
    }
}

#[tokio::test]
async fn no_verb_touches_what_carries_no_mark() {
    leave_it_alone(|_| None).await;
}

#[tokio::test]
async fn no_verb_touches_what_an_earlier_site_of_the_name_left() {
    leave_it_alone(mark_of(1, 2)).await;
}

#[tokio::test]
async fn no_verb_touches_what_another_installation_made() {
    leave_it_alone(mark_of(2, 1)).await;
}

#[tokio::test]
async fn every_verb_can_be_called_twice() {
    let world = empty().await;
    let empty = state(&world);
    let site = Site::on(&world);
    let (cx, want) = (site.cx(), &site.want);
    for resource in RESOURCES {
        resource.ensure(&cx, want).await.unwrap();
        let once = state(&world);
        resource.ensure(&cx, want).await.unwrap();
        assert_eq!(state(&world), once, "ensure {}", resource.kind());
    }
    for resource in RESOURCES.iter().rev() {
        resource.remove(&cx).await.unwrap();
        let once = state(&world);
        resource.remove(&cx).await.unwrap();
        assert_eq!(state(&world), once, "remove {}", resource.kind());
    }
    assert_eq!(state(&world), empty);
    for resource in RESOURCES {
        resource.remove(&cx).await.expect("what was never there is removed");
    }
}

#[test]
fn there_is_one_resource_of_every_kind() {
    let kinds: Vec<ResourceKind> = RESOURCES.iter().map(|resource| resource.kind()).collect();
    assert_eq!(kinds, ResourceKind::ALL);
}

#[test]
fn what_a_resource_needs_comes_before_it() {
    let mut before = BTreeSet::new();
    for resource in RESOURCES {
        assert!(resource.needs().iter().all(|kind| before.contains(kind)), "{}", resource.kind());
        assert!(resource.within().is_none_or(|kind| before.contains(&kind)), "{}", resource.kind());
        before.insert(resource.kind());
    }
}
