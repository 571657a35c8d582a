//! A site in service whose world is changed under it, and what the reconciler makes of that.

use hostplane_domain::drift::Remediation;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_engine::app::JobView;
use hostplane_infra::containers::ContainerState;
use hostplane_testing::fake::{FakeContainer, State};
use hostplane_testing::harness::ControlPlane;

use crate::harness::{Harness, until};

/// Harm to a world.
pub type Wreck = fn(&mut State);

/// A control plane with the site `hello` in service, whose routes Caddy is known to serve.
pub async fn in_service(harness: &Harness) -> ControlPlane {
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    running.active("hello").await;
    running
}

/// The same on an installation of its own.
pub async fn new_in_service() -> (Harness, ControlPlane) {
    let harness = Harness::new().await;
    let running = in_service(&harness).await;
    (harness, running)
}

pub async fn repairs(running: &ControlPlane) -> Vec<JobView> {
    running.jobs_of(OperationName::Repair).await
}

/// The newest repair, when it has ended; there are so many.
pub async fn repaired(running: &ControlPlane, count: usize) -> JobView {
    let newest = until("the repair", async || {
        let all = repairs(running).await;
        assert!(all.len() <= count, "{all:#?}");
        (all.len() == count).then(|| all[0].record.id)
    });
    running.ended(newest.await).await
}

/// The same, completed.
pub async fn repair_completes(running: &ControlPlane, count: usize) -> JobView {
    let repair = repaired(running, count).await;
    assert_eq!(repair.record.state, JobState::Completed, "{:?}", repair.record.error);
    repair
}

/// The drift that is known.
pub fn known(running: &ControlPlane) -> Vec<(ResourceKind, Reason, Remediation)> {
    let sites = running.app.drift().sites;
    sites.iter().flat_map(|site| &site.drifts).map(|drift| (drift.kind, drift.reason, drift.remediation)).collect()
}

/// Until the reconciler knows exactly this.
pub async fn until_known(running: &ControlPlane, expected: &[(ResourceKind, Reason, Remediation)]) {
    until(&format!("{expected:?}"), async || (known(running) == expected).then_some(())).await;
}

/// Scans everything deeply, until exactly this is known.
pub async fn scan_finds(running: &ControlPlane, expected: &[(ResourceKind, Reason, Remediation)]) {
    running.scan_deeply().await;
    until_known(running, expected).await;
}

pub fn php(state: &mut State) -> &mut FakeContainer {
    state.containers.container_mut("php_hello").unwrap()
}

/// Stops the site's PHP, of which the Engine says nothing.
pub fn stop_php(harness: &Harness) {
    php(&mut harness.world.state()).state = ContainerState::Exited;
}

/// Stops the site's PHP, and the Engine says so.
pub fn kill_php(harness: &Harness) {
    stop_php(harness);
    let labels = php(&mut harness.world.state()).labels.clone();
    harness.world.emit_event("php_hello", "die", labels);
}

/// The world without the ids of containers, which are others after a repair, and without who made what.
pub fn shape(harness: &Harness) -> (Vec<String>, Vec<String>, Vec<String>, String, String) {
    let state = harness.state();
    let containers = state.containers.containers.values();
    let mut containers: Vec<String> = containers
        .map(|c| format!("{} {:?} {:?} {:?} {:?}", c.spec.name, c.spec, c.state, c.networks.keys(), c.tuning))
        .collect();
    containers.sort();
    let volumes = state.containers.volumes.iter().map(|(name, volume)| format!("{name} {:?}", volume.files)).collect();
    let networks = state.containers.networks.values().map(|network| format!("{} {}", network.name, network.subnet));
    let mut networks: Vec<String> = networks.collect();
    networks.sort();
    let databases = format!("{:?} {:?}", state.databases.databases, state.databases.users);
    let bodies = state.proxy.loaded.iter().map(|(file, text)| (file, text.split_once('\n').unwrap().1));
    (containers, volumes, networks, databases, format!("{:?}", bodies.collect::<Vec<_>>()))
}
