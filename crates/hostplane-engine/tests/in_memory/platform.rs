//! The platform that sites share.

use hostplane_domain::container::ContainerSpec;
use hostplane_domain::mark::Labels;
use hostplane_domain::render::guard::NamedServer;
use hostplane_engine::platform::{Platform, PlatformSettings};
use hostplane_infra::containers::{ContainerState, Containers};
use hostplane_infra::error::{Dependency, EffectError, Rejection};
use hostplane_testing::specs;

use crate::harness::Harness;
use hostplane_testing::harness::PHP_IMAGE;

fn settings() -> PlatformSettings {
    PlatformSettings {
        shared_network: "platform".into(),
        mariadb_elsewhere: false,
        mariadb_container: "mariadb".into(),
        mariadb_image: "hostplane/mariadb:test".into(),
        mariadb_port: 3306,
        mariadb_admin_port: 3307,
        allow_private_networks: true,
        php_image: PHP_IMAGE.into(),
        subnet_pool: "10.213.0.0/16".parse().unwrap(),
        guard_image: "g:1".into(),
        caddy_container: "caddy".into(),
        caddy_image: "hostplane/caddy:test".into(),
        caddy_conf_dir: "/etc/caddy".into(),
        http_port: 8080,
        https_port: 8443,
        ..PlatformSettings::default()
    }
}

async fn platform(harness: &Harness, settings: PlatformSettings) -> Platform {
    use hostplane_infra::containers::NetworkSpec;
    let images = [settings.mariadb_image.clone(), settings.caddy_image.clone(), settings.guard_image.clone()];
    harness.world.state().containers.images.extend(images);
    // The Engine's own network, which gives its gateway away.
    let spec =
        NetworkSpec { name: "bridge".into(), subnet: Some("172.17.0.0/16".parse().unwrap()), labels: Labels::new() };
    let _ = harness.world.create_network(&spec).await;
    let instance = harness.store().await.instance().await.unwrap();
    Platform::new(harness.gated(), settings, instance, harness.secrets.clone())
}

#[tokio::test]
async fn up_makes_it_once_and_clean_leaves_nothing() {
    let harness = Harness::new().await;
    let platform = platform(&harness, settings()).await;
    let before = harness.state();
    platform.up().await.unwrap();
    let up = harness.state();
    assert_eq!(up.containers.containers.len(), 4);
    assert!(up.containers.containers.values().all(|c| c.state == ContainerState::Running));
    let mariadb = harness.world.state().containers.container("mariadb").unwrap().1.clone();
    assert!(mariadb.spec.publish.contains(&("172.17.0.1".to_owned(), 3306, 3306)));
    platform.up().await.unwrap();
    assert_eq!(harness.state(), up, "again changes nothing");
    platform.clean().await.unwrap();
    assert_eq!(harness.state(), before);
    platform.clean().await.unwrap();
}

#[tokio::test]
async fn the_probe_takes_the_last_subnet_but_never_the_only_one() {
    for (pool, subnet) in [("10.213.0.0/16", Some("10.213.255.248/29")), ("10.213.0.0/29", None)] {
        let harness = Harness::new().await;
        platform(&harness, PlatformSettings { subnet_pool: pool.parse().unwrap(), ..settings() })
            .await
            .up()
            .await
            .unwrap();
        let state = harness.state();
        let network = state.containers.networks.values().find(|network| network.name == "platform_probe").unwrap();
        let is_in_pool = network.subnet.to_string().starts_with("10.213.");
        assert_eq!(is_in_pool.then(|| network.subnet.to_string()).as_deref(), subnet);
    }
}

#[tokio::test]
async fn without_its_probe_the_platform_is_up() {
    let harness = Harness::new().await;
    let platform = platform(&harness, settings()).await;
    harness.world.state().containers.images.remove(PHP_IMAGE);
    platform.up().await.unwrap();
    assert_eq!(harness.state().containers.containers.len(), 3);
}

#[tokio::test]
async fn other_settings_replace_a_server_and_keep_its_volumes() {
    let harness = Harness::new().await;
    platform(&harness, settings()).await.up().await.unwrap();
    let volumes = harness.state().containers.volumes;
    let other = PlatformSettings { http_port: 80, ..settings() };
    platform(&harness, other).await.up().await.unwrap();
    let state = harness.state();
    let caddy = harness.world.state().containers.container("caddy").unwrap().1.clone();
    assert!(caddy.spec.publish.contains(&(String::new(), 80, 80)));
    assert_eq!(state.containers.volumes.keys().collect::<Vec<_>>(), volumes.keys().collect::<Vec<_>>());
    assert_eq!(state.containers.containers.len(), 4);
}

#[tokio::test]
async fn a_rotated_secret_replaces_no_server() {
    let harness = Harness::new().await;
    platform(&harness, settings()).await.up().await.unwrap();
    let before = harness.state();
    let running = harness.start().await;
    assert_eq!(running.app.rotate_secret().await.unwrap().generation, 2);
    running.stop().await;
    platform(&harness, settings()).await.up().await.unwrap();
    assert_eq!(harness.state().containers, before.containers);
}

#[tokio::test]
async fn the_guard_has_one_right_and_other_ports_make_other_rules() {
    let harness = Harness::new().await;
    platform(&harness, settings()).await.up().await.unwrap();
    let guard = || harness.world.state().containers.container("platform_guard").unwrap().1.clone().spec;
    let first = guard();
    assert_eq!((first.capabilities, first.network.as_deref()), (vec!["NET_ADMIN".to_owned()], Some("host")));
    assert!(first.mounts.is_empty() && first.read_only_root);
    assert!(first.command[3].contains("ip daddr 172.17.0.1 tcp dport 3306 accept"), "{:?}", first.command);
    let named_servers = vec![NamedServer { address: None, port: 3320 }];
    let other = PlatformSettings { mariadb_port: 3316, named_servers, ..settings() };
    platform(&harness, other).await.up().await.unwrap();
    let rules = guard().command[3].clone();
    assert!(rules.contains("tcp dport 3316 accept") && rules.contains("tcp dport 3320 accept"), "{rules}");
    assert!(!rules.contains("3306"), "{rules}");
}

#[tokio::test]
async fn down_ends_no_update() {
    let (harness, running) = crate::harness::with_hello().await;
    running.stop().await;
    let platform = platform(&harness, settings()).await;
    harness.world.state().containers.write_file("wp_hello", ".maintenance", "running");
    let asked = harness.gate.calls().len();
    let owner = async {
        // The list of containers, and then the question.
        harness.gate.reached(asked + 1).await;
        let php = harness.state().containers.container("php_hello").unwrap().1.state;
        harness.world.state().containers.delete_file("wp_hello", ".maintenance");
        php
    };
    let (down, php) = tokio::join!(platform.down(), owner);
    down.unwrap();
    assert_eq!(php, ContainerState::Running, "it was not stopped meanwhile");
    assert!(harness.state().containers.containers.values().all(|c| c.state == ContainerState::Exited));
}

#[tokio::test]
async fn down_stops_and_up_brings_back() {
    let harness = Harness::new().await;
    let platform = platform(&harness, settings()).await;
    platform.up().await.unwrap();
    platform.down().await.unwrap();
    assert!(harness.state().containers.containers.values().all(|c| c.state == ContainerState::Exited));
    platform.up().await.unwrap();
    assert!(harness.state().containers.containers.values().all(|c| c.state == ContainerState::Running));
}

#[tokio::test]
async fn another_s_things_are_never_taken_over() {
    for name in ["mariadb_data", "caddy_config"] {
        let harness = Harness::new().await;
        let platform = platform(&harness, settings()).await;
        harness.world.create_volume(name, &Labels::new()).await.unwrap();
        let foreign = harness.state().containers.volumes[name].clone();
        let error = platform.up().await.unwrap_err();
        assert!(matches!(&error, EffectError::Rejected(Rejection::NameTaken { name: n, .. }) if n == name), "{error}");
        platform.clean().await.unwrap();
        assert_eq!(harness.state().containers.volumes.get(name), Some(&foreign));
    }
}

#[tokio::test]
async fn a_server_whose_network_was_removed_is_made_anew() {
    let harness = Harness::new().await;
    let platform = platform(&harness, settings()).await;
    platform.up().await.unwrap();
    platform.down().await.unwrap();
    // As `docker network prune` does: stopped containers hold no network.
    let id = {
        let state = harness.world.state();
        state.containers.networks.iter().find(|(_, network)| network.name == "platform").unwrap().0.clone()
    };
    harness.world.remove_network(&id).await.unwrap();
    platform.up().await.unwrap();
    assert!(harness.state().containers.containers.values().all(|c| c.state == ContainerState::Running));
    assert_eq!(harness.state().containers.containers.len(), 4);
}

#[tokio::test]
async fn one_site_that_can_t_be_started_hinders_no_other() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    for name in ["a", "b", "c"] {
        running.active(name).await;
    }
    running.stop().await;
    let platform = platform(&harness, settings()).await;
    platform.up().await.unwrap();
    platform.down().await.unwrap();
    let id = {
        let state = harness.world.state();
        state.containers.networks.iter().find(|(_, network)| network.name == "site_b").unwrap().0.clone()
    };
    harness.world.remove_network(&id).await.unwrap();
    platform.up().await.unwrap();
    assert_eq!(platform.start_sites(|_| true).await.unwrap(), 4, "both containers of a and of c");
    assert_eq!(platform.start_sites(|_| true).await.unwrap(), 0);
}

#[tokio::test]
async fn a_mariadb_elsewhere_is_not_made_and_is_cleaned_of_tenants() {
    let harness = Harness::new().await;
    let elsewhere = PlatformSettings { mariadb_elsewhere: true, ..settings() };
    let platform = platform(&harness, elsewhere).await;
    platform.up().await.unwrap();
    assert!(harness.world.state().containers.container("mariadb").is_none());
    let running = harness.start().await;
    running.active("hello").await;
    running.stop().await;
    harness.world.state().databases.databases.entry("theirs".into()).or_default();
    harness.gate.cut_off(Dependency::Mariadb);
    platform.clean().await.expect_err("what can't be asked isn't clean");
    harness.gate.reconnect(Dependency::Mariadb);
    platform.clean().await.unwrap();
    let databases = harness.state().databases;
    assert_eq!(databases.databases.keys().collect::<Vec<_>>(), ["theirs"]);
    assert!(databases.users.is_empty() && databases.ledger.is_empty());
}

#[tokio::test]
async fn a_busy_port_is_named_with_its_setting() {
    for (address, port, setting) in [
        ("0.0.0.0", 8080, "HTTP_PORT"),
        ("0.0.0.0", 8443, "HTTPS_PORT"),
        ("172.17.0.1", 3306, "MARIADB_PORT"),
        ("127.0.0.1", 3307, "MARIADB_ADMIN_PORT"),
    ] {
        let harness = Harness::new().await;
        let platform = platform(&harness, settings()).await;
        let spec = ContainerSpec {
            name: "another".to_owned(),
            image: settings().caddy_image,
            publish: vec![(address.to_owned(), port, 80)],
            ..specs::container()
        };
        let id = harness.world.create_container(&spec, &Labels::new()).await.unwrap();
        harness.world.start_container(&id).await.unwrap();
        let error = platform.up().await.unwrap_err();
        assert!(matches!(error, EffectError::Rejected(Rejection::PortTaken(_))), "{error}");
        let says = error.to_string();
        assert!(says.contains(&format!(":{port} ")) && says.contains(&format!("set {setting} to")), "{says}");
        harness.world.remove_container(&id).await.unwrap();
        platform.up().await.unwrap();
    }
}
