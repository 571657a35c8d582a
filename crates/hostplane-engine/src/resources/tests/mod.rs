//! Rules that hold for every resource, checked over the registry.

mod drift;

use std::time::Duration;

use hostplane_domain::container;
use hostplane_domain::desired::{DesiredSite, SiteLimits};
use hostplane_domain::disk::DiskLimits;
use hostplane_domain::ids::{HostId, InstanceId, JobId, SiteId};
use hostplane_domain::mark::{Labels, Mark, SiteRef};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_domain::site_kind::{SiteDetails, SiteKind};
use hostplane_domain::status::SiteStatus;
use hostplane_domain::wordpress::{PhpSettings, SiteImages};
use hostplane_infra::clock::Timestamp;
use hostplane_infra::containers::{Containers, NetworkSpec};
use hostplane_infra::gate::LiveGate;
use hostplane_infra::world::World;
use hostplane_testing::fake::{FakeWorld, LedgerRow, State};
use hostplane_testing::harness::{NGINX_IMAGE, PHP_IMAGE, SHARED_NETWORK, world as empty};
use uuid::Uuid;

use crate::context::{Intent, SiteCx};
use crate::pace::Pace;
use crate::site_settings::{DiskSettings, SiteSettings};
use crate::sites::{self, Blueprint};
use crate::store::SiteRecord;

const DETAILS: &str = r#"{"title":"Hello","admin_user":"admin","admin_email":"admin@example.com"}"#;

fn settings() -> SiteSettings {
    SiteSettings {
        base_domain: "localhost".parse().unwrap(),
        public_port: 8080,
        images: SiteImages { php: PHP_IMAGE.into(), nginx: NGINX_IMAGE.into() },
        platform_images: Vec::new(),
        limits: SiteLimits::default(),
        php: PhpSettings::default(),
        mail: None,
        mail_password: None,
        shared_network: SHARED_NETWORK.into(),
        database_host: "host.docker.internal:3306".into(),
        subnet_pool: "10.213.0.0/16".parse().unwrap(),
        concurrency: 1,
        repair_concurrency: 1,
        statement_limit: std::time::Duration::ZERO,
        disk: DiskSettings {
            limits: DiskLimits::default(),
            seen_from: "caddy".into(),
            interval: Duration::from_mins(15),
            tick: Duration::from_secs(15),
        },
        pace: Pace::default(),
    }
}

fn hello(kind: SiteKind, site: SiteId) -> DesiredSite {
    let (details, settings) = (SiteDetails::from_json(kind, DETAILS).unwrap(), settings());
    let site = SiteRef { id: site, name: SiteName::parse("hello").unwrap() };
    let spec = sites::of(kind).new_spec(&details, &settings, Some("10.213.0.0/29".parse().unwrap()));
    let now = Timestamp(0);
    let record = SiteRecord {
        site,
        status: SiteStatus::Created,
        details,
        secret_version: 1,
        spec: None,
        created_at: now,
        updated_at: now,
    };
    settings.desired(&record, spec, 1)
}

/// A site on a world, as a job sees it.
struct Site {
    world: World,
    secrets: Keyring,
    want: DesiredSite,
    intent: Intent,
}

impl Site {
    fn on(world: &FakeWorld, kind: SiteKind) -> Self {
        Self {
            world: world.behind(LiveGate::new()),
            secrets: Keyring::new(MasterSecret::new([7; 32])),
            want: hello(kind, SiteId::new(Uuid::from_u128(1))),
            intent: Intent::New,
        }
    }

    fn cx(&self) -> SiteCx<'_> {
        SiteCx {
            world: &self.world,
            host: self.world.local(),
            secrets: &self.secrets,
            mail: None,
            instance: InstanceId::new(Uuid::from_u128(1)),
            site: &self.want.site,
            job: JobId::new(Uuid::from_u128(1)),
            pace: Pace { serving_patience: std::time::Duration::ZERO, ..Pace::default() },
            intent: self.intent,
            baseline: None,
            hashes: None,
        }
    }
}

/// The state without its counters.
fn state(world: &FakeWorld) -> State {
    let mut state = world.state().clone();
    state.containers.ids = 0;
    state
}

/// A world in which every object under the site's names carries these marks' labels, or none. Without containers,
/// only the marks protect volumes and networks.
async fn held_by(mark: impl Fn(ResourceKind) -> Option<Mark>, containers: bool) -> FakeWorld {
    let world = empty().await;
    let want = hello(SiteKind::Wordpress, SiteId::new(Uuid::from_u128(1)));
    let name = &want.site.name;
    let labels = |kind| mark(kind).map_or_else(Labels::new, |mark| mark.to_labels());
    let subnet = Some("10.99.0.0/24".parse().unwrap());
    let network = NetworkSpec { name: naming::network(name), subnet, labels: labels(ResourceKind::Network) };
    world.create_network(&network).await.unwrap();
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

/// Calls both verbs of every resource twice, in a world where another owner holds the names.
async fn leave_it_alone(mark: impl Fn(ResourceKind) -> Option<Mark>) {
    for containers in [true, false] {
        for blueprint in sites::all() {
            leave_alone(held_by(&mark, containers).await, *blueprint).await;
        }
    }
}

async fn leave_alone(world: FakeWorld, blueprint: &dyn Blueprint) {
    let before = state(&world);
    let site = Site::on(&world, blueprint.kind());
    let (cx, want) = (site.cx(), &site.want);
    for resource in blueprint.resources() {
        for _ in 0..2 {
            let ensured = resource.ensure(&cx, want).await;
            assert!(ensured.is_err(), "{} took over another owner's object", resource.kind());
            assert_eq!(state(&world), before, "ensure {}", resource.kind());
            // A removal may report another owner's object, or nothing.
            let _ = resource.remove(&cx).await;
            assert_eq!(state(&world), before, "remove {}", resource.kind());
        }
    }
}

fn mark_of(instance: u128, site: u128) -> impl Fn(ResourceKind) -> Option<Mark> {
    move |kind| {
        let want = hello(SiteKind::Wordpress, SiteId::new(Uuid::from_u128(site)));
        let (instance, job) = (InstanceId::new(Uuid::from_u128(instance)), JobId::new(Uuid::from_u128(9)));
        Some(Mark { instance, spec: sites::resource(kind).unwrap().spec_hash(&want), site: want.site, kind, job })
    }
}

#[tokio::test]
async fn no_verb_touches_objects_without_a_mark() {
    leave_it_alone(|_| None).await;
}

#[tokio::test]
async fn no_verb_touches_a_predecessor_s_objects() {
    leave_it_alone(mark_of(1, 2)).await;
}

#[tokio::test]
async fn no_verb_touches_another_installation_s_objects() {
    leave_it_alone(mark_of(2, 1)).await;
}

#[tokio::test]
async fn an_unknown_host_is_refused_not_absent() {
    let site = Site::on(&empty().await, SiteKind::Wordpress);
    let Err(error) = site.world.at(HostId::new(Uuid::from_u128(7))) else { panic!("a host that is not there") };
    assert!(matches!(error, hostplane_infra::error::EffectError::Rejected(_)), "{error}");
    assert!(error.to_string().contains("restore"), "{error}");
}

#[tokio::test]
async fn every_verb_can_be_called_twice() {
    for blueprint in sites::all() {
        call_twice(*blueprint).await;
    }
}

async fn call_twice(blueprint: &dyn Blueprint) {
    let world = empty().await;
    let empty = state(&world);
    let site = Site::on(&world, blueprint.kind());
    let (cx, want) = (site.cx(), &site.want);
    for resource in blueprint.resources() {
        resource.ensure(&cx, want).await.unwrap();
        let once = state(&world);
        resource.ensure(&cx, want).await.unwrap();
        assert_eq!(state(&world), once, "ensure {}", resource.kind());
    }
    for resource in blueprint.resources().iter().rev() {
        resource.remove(&cx).await.unwrap();
        let once = state(&world);
        resource.remove(&cx).await.unwrap();
        assert_eq!(state(&world), once, "remove {}", resource.kind());
    }
    assert_eq!(state(&world), empty);
    for resource in blueprint.resources() {
        resource.remove(&cx).await.expect("an absent resource is removed");
    }
}
