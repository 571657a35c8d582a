//! What no list shows of a container, the engine's account of itself, and what it tells of by itself.

use std::time::Duration;

use futures_util::StreamExt;
use hostplane_domain::container::ContainerSpec;
use hostplane_infra::containers::{ContainerState, EngineEvents, Tuning};
use tokio::time::timeout;

use super::bed::{Bed, not_found};

/// How long an event may take to be told.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn limits(bed: &Bed) {
    let spec = ContainerSpec { restart: true, ..bed.spec("c") };
    let id = bed.create(&spec).await;
    assert_eq!(bed.containers.tuning(&id).await.unwrap(), Tuning::of(&spec));
    let other = bed.create(&bed.spec("other")).await;
    assert!(!bed.containers.tuning(&other).await.unwrap().restarts);
    not_found(bed.containers.tuning(&"0".repeat(64)).await);
}

pub async fn about(bed: &Bed) {
    let about = bed.containers.about().await.unwrap();
    assert!(about.version.starts_with(|c: char| c.is_ascii_digit()), "{about:?}");
    assert!(about.kernel.starts_with(|c: char| c.is_ascii_digit()), "{about:?}");
    assert!(about.data_dir.starts_with('/') && about.time.is_some(), "{about:?}");
}

pub async fn mounts_and_health(bed: &Bed) {
    let mut spec = bed.spec("c");
    spec.mounts.push(bed.mount("v", "/data"));
    spec.mounts.push(bed.mount("a", "/zoo"));
    bed.create(&spec).await;
    let facts = bed.facts("c").await.unwrap();
    assert_eq!(facts.mounts, spec.mounts, "by path");
    assert!(!facts.unhealthy, "it has no health check");
}

/// Events until one is of a kind, and says so of a name.
async fn until(events: &mut EngineEvents, name: &str, action: &str) {
    let told = async {
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            if (event.name.as_str(), event.action.as_str()) == (name, action) {
                return event;
            }
        }
        panic!("the events ended");
    };
    let event = timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("{action} of {name} is not told"));
    assert_eq!(event.name, name);
}

pub async fn events(bed: &Bed) {
    let mut events = bed.containers.events().await.unwrap();
    let id = bed.run("c").await;
    bed.containers.stop_container(&id, 1).await.unwrap();
    until(&mut events, &bed.name("c"), "die").await;
    bed.containers.remove_container(&id).await.unwrap();
    until(&mut events, &bed.name("c"), "destroy").await;
    let (network, _) = bed.network("n", 28).await;
    bed.containers.create_volume(&bed.name("v"), &bed.labels()).await.unwrap();
    bed.containers.remove_network(&network).await.unwrap();
    until(&mut events, &bed.name("n"), "destroy").await;
    bed.containers.remove_volume(&bed.name("v")).await.unwrap();
    until(&mut events, &bed.name("v"), "destroy").await;
    assert_eq!(bed.state("c").await, None::<ContainerState>);
}
