//! Every call of every trait without a listener or without an answer, on the fakes and on the adapters. No server is
//! needed for that.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use hostplane_domain::container::ContainerSpec;
use hostplane_domain::ids::HostId;
use hostplane_domain::mark::Labels;
use hostplane_domain::probe_key::{PROBE_PATH, ProbeMode};
use hostplane_domain::secret::MasterSecret;
use hostplane_domain::url::SiteUrl;
use hostplane_infra::clock::SystemClock;
use hostplane_infra::containers::{Docker, Exec, GatedContainers, LogQuery, NetworkSpec, Scope};
use hostplane_infra::database_path::{ContainerPath, HOST_NAME, PathSettings};
use hostplane_infra::databases::{Mariadb, MariadbAddress, TenantKey, TenantSpec, Tenants};
use hostplane_infra::error::{Dependency, Effect, EffectError};
use hostplane_infra::gate::{Call, Gate, LiveGate, Verdict};
use hostplane_infra::probe::HttpProbe;
use hostplane_infra::proxy::{Caddy, CaddyLocation, RouteSpec};
use hostplane_infra::wordpress::{EventsLimits, EventsRun, Installation, PhpWordpress};
use hostplane_infra::world::{Adapters, HostWorld, World};
use hostplane_testing::fake::{FakeWorld, ScriptedGate};
use hostplane_testing::specs;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::Instant;

use crate::containers::harness::{file, mark};

/// A secret that no error may contain.
const SECRET: &str = "s3cret";
/// The longest deadline that there is.
const LONGEST: Duration = Duration::from_mins(2);

/// Every call of every trait: its name, whether it may change something, and how it ended.
async fn each_call(world: &World) -> Vec<(&'static str, bool, EffectError)> {
    let World { databases, probe, .. } = world;
    let HostWorld { containers, proxy, wordpress, .. } = world.local();
    let id = "0123456789ab".repeat(5) + "0123";
    let id = id.as_str();
    let labels = Labels::new();
    let network = NetworkSpec { name: "site_a".into(), subnet: None, labels: labels.clone() };
    let container = ContainerSpec { name: "php_a".into(), image: "php:1".into(), ..specs::container() };
    let files = [file("a", SECRET)];
    let exec = Exec { argv: vec!["php".into()], user: None, stdin: SECRET.into() };
    let mark = mark();
    let tenant = TenantSpec {
        mark: mark.clone(),
        password_hash: format!("*{}", "A".repeat(40)),
        max_connections: 1,
        restricted: false,
    };
    let key = TenantKey { instance: mark.instance, site: mark.site.clone() };
    let contents = format!("{}\nhttp://a.test {{\n}}\n", mark.to_comment());
    let route = RouteSpec { mark: mark.clone(), hosts: vec!["a.test".into()], contents };
    let url = SiteUrl { host: "a.test".into(), port: 80 };
    let installation = Installation {
        site: mark.site.id,
        url: url.clone(),
        details: specs::wordpress().details,
        admin_password: SECRET.into(),
    };

    let probe_key = MasterSecret::new([7; 32]).probe_key(mark.site.id, 1);
    let events = EventsRun { url: url.clone(), memory_mib: 64, limits: EventsLimits::default() };

    let (reads, changes) = (false, true);
    let calls: Vec<(&'static str, bool, LocalBoxFuture<'_, Effect<()>>)> = vec![
        ("containers", reads, containers.containers(&Scope::All).map(none).boxed_local()),
        ("volumes", reads, containers.volumes(&Scope::All).map(none).boxed_local()),
        ("networks", reads, containers.networks(&Scope::All).map(none).boxed_local()),
        ("tuning", reads, containers.tuning(id).map(none).boxed_local()),
        ("about", reads, containers.about().map(none).boxed_local()),
        ("events", reads, containers.events().map(none).boxed_local()),
        ("image", reads, containers.image("php:1").map(none).boxed_local()),
        ("create_volume", changes, containers.create_volume("wp_a", &labels).map(none).boxed_local()),
        ("remove_volume", changes, containers.remove_volume("wp_a")),
        ("create_network", changes, containers.create_network(&network).map(none).boxed_local()),
        ("remove_network", changes, containers.remove_network(id)),
        ("connect", changes, containers.connect(id, id)),
        ("create_container", changes, containers.create_container(&container, &labels).map(none).boxed_local()),
        ("start_container", changes, containers.start_container(id)),
        ("stop_container", changes, containers.stop_container(id, 1)),
        ("remove_container", changes, containers.remove_container(id)),
        ("upload", changes, containers.upload(id, "/data", &files)),
        ("download", reads, containers.download(id, "/data").map(none).boxed_local()),
        ("download_file", reads, containers.download_file(id, "/data/a").map(none).boxed_local()),
        ("exec", changes, containers.exec(id, &exec).map(none).boxed_local()),
        ("log", reads, containers.log(id, LogQuery { newest: 1, after: None }).map(none).boxed_local()),
        ("tenants", reads, databases.tenants(&Tenants::All).map(none).boxed_local()),
        ("ensure_tenant", changes, databases.ensure_tenant(&tenant)),
        ("confirm_tenant", changes, databases.confirm_tenant(&key)),
        ("end_long_statements", changes, databases.end_long_statements(key.instance, 1).map(none).boxed_local()),
        ("remove_tenant", changes, databases.remove_tenant(&key)),
        ("next_events", reads, databases.next_events(key.instance).map(none).boxed_local()),
        ("routes", reads, proxy.routes().map(none).boxed_local()),
        ("route", reads, proxy.route(&key.site.name).map(none).boxed_local()),
        ("settle", changes, proxy.settle()),
        ("put_route", changes, proxy.put_route(&route)),
        ("remove_route", changes, proxy.remove_route(key.instance, &key.site)),
        ("facts", reads, wordpress.facts(id).map(none).boxed_local()),
        ("unpack", changes, wordpress.unpack(id, mark.site.id)),
        ("install", changes, wordpress.install(id, &installation)),
        ("mark_files", changes, wordpress.mark_files(id, mark.site.id)),
        ("mark_tables", changes, wordpress.mark_tables(id, mark.site.id)),
        ("hold_updates", changes, wordpress.hold_updates(id).map(none).boxed_local()),
        ("repair_core", changes, wordpress.repair_core(id)),
        ("run_events", changes, wordpress.run_events(id, &events)),
        ("get", reads, probe.get(&url, "/").map(none).boxed_local()),
        ("ask", reads, probe.ask(&url, ProbeMode::Alive, PROBE_PATH, &probe_key).map(none).boxed_local()),
        ("reset_code", reads, probe.reset_code(&url, &probe_key).map(none).boxed_local()),
        // Pings come last: one that fails keeps the other calls from being made.
        ("ping of the engine", reads, containers.ping()),
        ("ping of the database server", reads, databases.ping()),
        ("ping of the proxy", reads, proxy.ping()),
    ];
    let mut ended = Vec::new();
    for (name, changes, call) in calls {
        let begun = Instant::now();
        let error = call.await.expect_err(name);
        assert!(begun.elapsed() <= LONGEST, "{name} took {:?}", begun.elapsed());
        assert!(!format!("{error:?} {}", error.chain()).contains(SECRET), "{name}: {error:?}");
        ended.push((name, changes, error));
    }
    ended
}

fn none<T>(result: Effect<T>) -> Effect<()> {
    result.map(drop)
}

/// Without a listener nothing was begun.
async fn without_a_listener(world: &World) {
    for (name, _, error) in each_call(world).await {
        assert!(matches!(error, EffectError::Transient { .. }), "{name}: {error:?}");
    }
}

/// Without an answer something may have been changed, or may be yet, unless the adapter knows better.
async fn without_an_answer(world: &World) -> usize {
    let mut unknown = 0;
    for (name, changes, error) in each_call(world).await {
        match error {
            EffectError::OutcomeUnknown { .. } if changes => unknown += 1,
            EffectError::Transient { .. } => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    unknown
}

/// The adapters, for servers at a socket and a port.
fn adapters(socket: &std::path::Path, port: u16) -> World {
    let gate = LiveGate::new();
    let docker = Arc::new(Docker::connect(&format!("unix://{}", socket.display()), None).unwrap());
    let inside = Arc::new(GatedContainers::new(docker.clone(), HostId::LOCAL, gate.clone()));
    let place = CaddyLocation { container: "caddy".into(), conf_dir: "/etc/caddy".into() };
    let path = PathSettings { container: "probe".into(), guard: "guard".into(), server: format!("{HOST_NAME}:{port}") };
    let adapters = Adapters {
        databases: Arc::new(Mariadb::new(MariadbAddress::new("127.0.0.1", port, "hostplane", SECRET.into()))),
        proxy: Arc::new(Caddy::new(inside.clone(), place)),
        wordpress: Arc::new(PhpWordpress::new(inside.clone())),
        database_path: Arc::new(ContainerPath::new(inside, path)),
        probe: Arc::new(HttpProbe::new(format!("127.0.0.1:{port}")).unwrap()),
        containers: docker,
        clock: Arc::new(SystemClock),
    };
    World::new(adapters, gate)
}

/// A path for a socket, which goes when this is dropped.
struct Socket(PathBuf);

impl Socket {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("hptest-{:016x}.sock", fastrand::u64(..))))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A gate behind which nothing is ever done or answered.
struct Silent;

impl Gate for Silent {
    fn admit(&self, _: &Call) -> Verdict {
        Verdict::Hang
    }

    fn ended(&self, _: &Call, _: Duration, _: Option<&EffectError>) {}
}

#[tokio::test]
async fn without_a_listener_calls_of_fakes_are_transient() {
    let gate = ScriptedGate::new();
    for dependency in [Dependency::DOCKER, Dependency::Mariadb, Dependency::CADDY, Dependency::Site] {
        gate.cut_off(dependency);
    }
    without_a_listener(&FakeWorld::default().behind(gate)).await;
}

#[tokio::test]
async fn without_a_listener_calls_of_adapters_are_transient() {
    without_a_listener(&adapters(&Socket::new().0, crate::port::free())).await;
}

#[tokio::test(start_paused = true)]
async fn unanswered_changes_of_fakes_are_unknown() {
    let unknown = without_an_answer(&FakeWorld::default().behind(Arc::new(Silent))).await;
    assert_eq!(unknown, 25, "every change, because no adapter knows better");
}

/// The sockets take every connection, and never say a word.
#[tokio::test(start_paused = true)]
async fn unanswered_changes_of_adapters_are_unknown() {
    let socket = Socket::new();
    let _engine = UnixListener::bind(&socket.0).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let unknown = without_an_answer(&adapters(&socket.0, server.local_addr().unwrap().port())).await;
    assert!(unknown >= 10, "{unknown}: what is asked of the Engine can't be taken back");
}
