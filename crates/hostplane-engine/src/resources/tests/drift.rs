//! Every difference is observed with its remedy, and repaired in place unless data would be lost.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::{LABEL_SPEC, Mark};
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::{Observed, Remedy};
use hostplane_domain::site_kind::SiteKind;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::containers::ContainerState;
use hostplane_testing::fake::{DatabaseState, FakeWorld, State};

use super::{SHARED_NETWORK, Site, SiteId, Uuid, empty};
use crate::context::Intent;
use crate::inventory::snapshot::Depth;
use crate::resources::Resource;
use crate::sites;

fn resource(kind: ResourceKind) -> &'static dyn Resource {
    sites::of(SiteKind::Wordpress).resource(kind).unwrap()
}

/// A world in which the site is as wanted, and in service.
async fn whole() -> (FakeWorld, Site) {
    let world = empty().await;
    let mut site = Site::on(&world, SiteKind::Wordpress);
    for resource in sites::of(SiteKind::Wordpress).resources() {
        resource.ensure(&site.cx(), &site.want).await.unwrap();
    }
    site.intent = Intent::Change;
    (world, site)
}

/// The differences of one resource with their remedies. An absent one differs in its presence.
async fn differs(site: &Site, want: &DesiredSite, kind: ResourceKind) -> Vec<(&'static str, Remedy)> {
    let cx = site.cx();
    let seen = sites::of(SiteKind::Wordpress).snapshot(&cx, Depth::Deep).await.unwrap();
    match resource(kind).observe(&cx, Some(want), &seen) {
        Observed::Absent => vec![("presence", Remedy::Recreate)],
        Observed::NotObserved => panic!("{kind}: not observed"),
        Observed::Unknown(why) => panic!("{kind}: {why}"),
        Observed::Present { differs, .. } => differs.iter().map(|differs| (differs.field, differs.remedy)).collect(),
    }
}

/// The file that WordPress leaves when its update breaks off.
const INTERRUPTED: &str = "<?php $upgrading = 1500000000; ?>";

type Drift = (ResourceKind, &'static str, Remedy, fn(&mut State));

/// Things that can change under a site, one at a time.
const DRIFTS: &[Drift] = &[
    (ResourceKind::Network, "presence", Remedy::Recreate, |state| {
        // No network is removed while containers are connected to it.
        state.containers.containers.clear();
        state.containers.networks.retain(|_, network| network.name != "site_hello");
    }),
    (ResourceKind::Network, "spec", Remedy::Upgrade, |state| {
        state.containers.containers.clear();
        for network in state.containers.networks.values_mut().filter(|network| network.name == "site_hello") {
            network.labels.insert(LABEL_SPEC.to_owned(), SpecHash::of(&"earlier").to_string());
        }
    }),
    (ResourceKind::Network, "networks", Remedy::InPlace, |state| {
        let mut second = state.containers.networks.values().find(|n| n.name == "site_hello").unwrap().clone();
        second.subnet = "10.250.0.0/29".parse().unwrap();
        state.containers.networks.insert("f".repeat(64), second);
    }),
    (ResourceKind::FilesVolume, "presence", Remedy::Recreate, |state| {
        state.containers.containers.clear();
        state.containers.volumes.remove("wp_hello");
    }),
    (ResourceKind::Database, "presence", Remedy::Recreate, |state| {
        state.databases.databases.clear();
        state.databases.users.clear();
        state.databases.ledger.clear();
    }),
    (ResourceKind::Database, "spec", Remedy::Upgrade, |state| {
        let row = state.databases.ledger.get_mut("wp_hello").unwrap();
        row.mark = row.mark.clone().map(|mark| Mark { spec: SpecHash::of(&"earlier"), ..mark });
    }),
    (ResourceKind::Database, "database", Remedy::DataLoss, |state| state.databases.databases.clear()),
    (ResourceKind::Database, "user", Remedy::InPlace, |state| state.databases.users.clear()),
    (ResourceKind::Database, "password", Remedy::InPlace, |state| {
        state.databases.users.get_mut("wp_hello").unwrap().password_hash = format!("*{}", "0".repeat(40));
    }),
    (ResourceKind::Database, "grants", Remedy::InPlace, |state| {
        state.databases.users.get_mut("wp_hello").unwrap().grants_more = true;
    }),
    (ResourceKind::Database, "connections", Remedy::InPlace, |state| {
        state.databases.users.get_mut("wp_hello").unwrap().max_connections = 99;
    }),
    (ResourceKind::Settings, "writer", Remedy::InPlace, |state| {
        let mut writer = state.containers.container("nginx_hello").unwrap().1.clone();
        writer.spec.name = "writer_hello".to_owned();
        writer.state = ContainerState::Created;
        state.containers.containers.insert("f".repeat(64), writer);
    }),
    (ResourceKind::Settings, "wp-config.php", Remedy::InPlace, |state| {
        let files = &mut state.containers.volumes.get_mut("php_hello").unwrap().files;
        files.get_mut("wp-config.php").unwrap().contents = Some("changed".into());
    }),
    (ResourceKind::Settings, "wp-config.php", Remedy::InPlace, |state| {
        state.containers.volumes.get_mut("php_hello").unwrap().files.remove("wp-config.php").unwrap();
    }),
    (ResourceKind::PhpContainer, "presence", Remedy::Recreate, |state| {
        state.containers.containers.retain(|_, container| container.spec.name != "php_hello");
    }),
    (ResourceKind::PhpContainer, "state", Remedy::InPlace, |state| {
        state.containers.container_mut("php_hello").unwrap().state = ContainerState::Exited;
    }),
    (ResourceKind::PhpContainer, "spec", Remedy::Upgrade, |state| {
        let php = state.containers.container_mut("php_hello").unwrap();
        php.labels.insert(LABEL_SPEC.to_owned(), SpecHash::of(&"earlier").to_string());
    }),
    (ResourceKind::PhpContainer, "state", Remedy::Recreate, |state| {
        state.containers.container_mut("php_hello").unwrap().state = ContainerState::Paused;
    }),
    (ResourceKind::PhpContainer, "health", Remedy::Recreate, |state| {
        state.containers.container_mut("php_hello").unwrap().unhealthy = true;
    }),
    (ResourceKind::PhpContainer, "image", Remedy::Recreate, |state| {
        state.containers.container_mut("php_hello").unwrap().spec.image = "php:mine".to_owned();
    }),
    (ResourceKind::PhpContainer, "memory", Remedy::Recreate, |state| {
        state.containers.container_mut("php_hello").unwrap().tuning.memory = 1 << 40;
    }),
    (ResourceKind::PhpContainer, "restart", Remedy::Recreate, |state| {
        state.containers.container_mut("php_hello").unwrap().tuning.restarts = false;
    }),
    (ResourceKind::PhpContainer, "mounts", Remedy::Recreate, |state| {
        state.containers.container_mut("php_hello").unwrap().spec.mounts.pop().unwrap();
    }),
    (ResourceKind::PhpContainer, "networks", Remedy::Recreate, |state| {
        state.containers.container_mut("php_hello").unwrap().networks.insert(SHARED_NETWORK.to_owned(), None);
    }),
    (ResourceKind::NginxContainer, "networks", Remedy::InPlace, |state| {
        state.containers.container_mut("nginx_hello").unwrap().networks.remove("site_hello").unwrap();
    }),
    (ResourceKind::WordpressFiles, "presence", Remedy::Recreate, |state| {
        state.containers.volumes.get_mut("wp_hello").unwrap().files.clear();
    }),
    (ResourceKind::WordpressFiles, "unpacked", Remedy::InPlace, |state| {
        let files = &mut state.containers.volumes.get_mut("wp_hello").unwrap().files;
        files.get_mut(".hostplane-site").unwrap().contents = Some(Uuid::from_u128(9).to_string().into());
    }),
    (ResourceKind::WordpressFiles, "unpacked", Remedy::InPlace, |state| {
        state.containers.delete_file("wp_hello", ".hostplane-site");
    }),
    (ResourceKind::WordpressFiles, "update", Remedy::InPlace, |state| {
        let files = &mut state.containers.volumes.get_mut("wp_hello").unwrap().files;
        files.get_mut("index.php").unwrap().contents = Some("of the next version".into());
        state.containers.write_file("wp_hello", ".maintenance", INTERRUPTED);
    }),
    (ResourceKind::WordpressInstall, "presence", Remedy::Recreate, |state| {
        state.databases.databases.insert("wp_hello".to_owned(), DatabaseState::default());
    }),
    (ResourceKind::WordpressInstall, "installed", Remedy::InPlace, |state| {
        let database = state.databases.databases.get_mut("wp_hello").unwrap();
        database.installed = Some(SiteId::new(Uuid::from_u128(9)));
    }),
    (ResourceKind::WordpressInstall, "installed", Remedy::InPlace, |state| {
        state.databases.databases.get_mut("wp_hello").unwrap().installed = None;
    }),
    (ResourceKind::Route, "presence", Remedy::Recreate, |state| {
        state.proxy.snippets.clear();
        state.proxy.loaded.clear();
    }),
    (ResourceKind::Route, "contents", Remedy::InPlace, |state| {
        let snippet = state.proxy.snippets.get_mut("hello.caddy").unwrap();
        snippet.push_str("# changed\n");
        let snippet = snippet.clone();
        state.proxy.loaded.insert("hello.caddy".to_owned(), snippet);
    }),
    (ResourceKind::Route, "loaded", Remedy::InPlace, |state| state.proxy.loaded.clear()),
];

#[tokio::test]
async fn a_whole_site_differs_in_nothing() {
    let (_, site) = whole().await;
    for resource in sites::of(SiteKind::Wordpress).resources().iter().filter(|resource| !resource.is_visitors_view()) {
        assert_eq!(differs(&site, &site.want, resource.kind()).await, [], "{}", resource.kind());
    }
}

#[tokio::test]
async fn every_drift_is_observed_and_repaired() {
    for (kind, field, remedy, drift) in DRIFTS {
        let (world, site) = whole().await;
        drift(&mut world.state());
        assert_eq!(differs(&site, &site.want, *kind).await, [(*field, *remedy)], "{kind} {field}");
        // No repair makes lost data again.
        if *remedy == Remedy::DataLoss {
            continue;
        }
        let repaired = resource(*kind).ensure(&site.cx(), &site.want).await;
        // Nor does it make the owner's data again that lies within a place of ours.
        if resource(*kind).within().is_some() && *field == "presence" {
            assert!(repaired.is_err(), "{kind}");
            assert_eq!(differs(&site, &site.want, *kind).await, [(*field, *remedy)], "{kind}");
            continue;
        }
        repaired.unwrap_or_else(|error| panic!("{kind} {field}: {error}"));
        assert_eq!(differs(&site, &site.want, *kind).await, [], "{kind} {field}");
    }
}

#[tokio::test]
async fn a_container_under_removal_is_not_kept() {
    let (world, site) = whole().await;
    world.state().containers.container_mut("php_hello").unwrap().state = ContainerState::Removing;
    let waits = resource(ResourceKind::PhpContainer).ensure(&site.cx(), &site.want).await.unwrap_err();
    assert!(waits.to_string().contains("already in progress"), "{waits}");
    world.state().containers.containers.retain(|_, container| container.spec.name != "php_hello");
    resource(ResourceKind::PhpContainer).ensure(&site.cx(), &site.want).await.unwrap();
    assert_eq!(differs(&site, &site.want, ResourceKind::PhpContainer).await, []);
}

#[tokio::test]
async fn stopped_php_is_waited_for() {
    let (world, site) = whole().await;
    world.state().containers.container_mut(&naming::php_container(&site.want.site.name)).unwrap().state =
        ContainerState::Exited;
    for kind in [ResourceKind::WordpressFiles, ResourceKind::WordpressInstall] {
        let error = resource(kind).ensure(&site.cx(), &site.want).await.unwrap_err();
        assert!(error.to_string().contains("doesn't run"), "{kind}: {error}");
    }
}

#[tokio::test]
async fn only_the_container_with_another_spec_is_replaced() {
    let (world, mut site) = whole().await;
    let id = |name: &str| world.state().containers.container(name).map(|(id, _)| id.to_owned());
    let (php, nginx) = (id("php_hello"), id("nginx_hello"));
    world.state().containers.images.insert("php:2".to_owned());
    site.want.kind.wordpress_mut().unwrap().images.php = "php:2".to_owned();
    assert_eq!(
        differs(&site, &site.want, ResourceKind::PhpContainer).await,
        [("spec", Remedy::Upgrade), ("image", Remedy::Upgrade)]
    );
    resource(ResourceKind::PhpContainer).ensure(&site.cx(), &site.want).await.unwrap();
    assert_eq!(differs(&site, &site.want, ResourceKind::PhpContainer).await, []);
    assert_ne!(id("php_hello"), php);
    assert_eq!(id("nginx_hello"), nginx);
    assert_eq!(world.state().containers.container("php_hello").unwrap().1.spec.image, "php:2");
}
