//! A container's facts that no list shows, the engine's account of itself, and its events.

use std::time::Duration;

use futures_util::StreamExt;
use hostplane_domain::container::ContainerSpec;
use hostplane_infra::containers::{ContainerState, EngineEvents, Tuning};
use tokio::time::timeout;

use super::harness::{Harness, not_found};

/// Longest time until an event comes.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn limits(harness: &Harness) {
    let spec = ContainerSpec { restart: true, ..harness.spec("c") };
    let id = harness.create(&spec).await;
    assert_eq!(harness.containers.tuning(&id).await.unwrap(), Tuning::of(&spec));
    let other = harness.create(&harness.spec("other")).await;
    assert!(!harness.containers.tuning(&other).await.unwrap().restarts);
    not_found(harness.containers.tuning(&"0".repeat(64)).await);
}

pub async fn about(harness: &Harness) {
    let about = harness.containers.about().await.unwrap();
    assert!(about.version.starts_with(|c: char| c.is_ascii_digit()), "{about:?}");
    assert!(about.kernel.starts_with(|c: char| c.is_ascii_digit()), "{about:?}");
    assert!(about.data_dir.starts_with('/') && about.time.is_some(), "{about:?}");
    assert!(about.memory_mib > 256 && about.cores > 0, "{about:?}");
}

pub async fn mounts_and_health(harness: &Harness) {
    let mut spec = harness.spec("c");
    spec.mounts.push(harness.mount("v", "/data"));
    spec.mounts.push(harness.mount("a", "/zoo"));
    harness.create(&spec).await;
    let facts = harness.facts("c").await.unwrap();
    assert_eq!(facts.mounts, spec.mounts, "by path");
    assert!(!facts.unhealthy, "it has no health check");
}

/// Events until one is of a kind, and says so of a name.
async fn until(events: &mut EngineEvents, name: &str, action: &str) {
    let heard = async {
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            if (event.name.as_str(), event.action.as_str()) == (name, action) {
                return event;
            }
        }
        panic!("the events ended");
    };
    let event = timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("no event of {action} of {name}"));
    assert_eq!(event.name, name);
}

pub async fn events(harness: &Harness) {
    let mut events = harness.containers.events().await.unwrap();
    let id = harness.run("c").await;
    harness.containers.stop_container(&id, 1).await.unwrap();
    until(&mut events, &harness.name("c"), "die").await;
    harness.containers.remove_container(&id).await.unwrap();
    until(&mut events, &harness.name("c"), "destroy").await;
    let (network, _) = harness.network("n", 28).await;
    harness.containers.create_volume(&harness.name("v"), &harness.labels()).await.unwrap();
    harness.containers.remove_network(&network).await.unwrap();
    until(&mut events, &harness.name("n"), "destroy").await;
    harness.containers.remove_volume(&harness.name("v")).await.unwrap();
    until(&mut events, &harness.name("v"), "destroy").await;
    assert_eq!(harness.state("c").await, None::<ContainerState>);
}
