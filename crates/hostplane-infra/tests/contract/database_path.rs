//! The contract of [`DatabasePath`]: the fake always, and with the feature `stack` containers of a real Engine.

mod fake;
#[cfg(feature = "stack")]
mod real;

use std::sync::Arc;

use async_trait::async_trait;
use hostplane_infra::database_path::{ClosedPath, DatabasePath, PathFault, PathState};
use hostplane_testing::cases;
use hostplane_testing::contract::carry_out;

/// The network between the sites and the server.
enum Obstacle {
    /// Nothing.
    None,
    /// The server listens on another port.
    OtherPort,
    /// Packets to the server are dropped.
    Drop,
    /// The server is stopped in the middle of what it does.
    Pause,
    /// The sites' host has lost the address under which they know the server.
    NoAddress,
    /// The container that asks is not there.
    NoProbe,
}

/// A server, and paths to it.
#[async_trait(?Send)]
trait Harness {
    /// A path without an answer that it could reuse.
    async fn path(&self, obstacle: Obstacle) -> Arc<dyn DatabasePath>;
}

cases!(CASES: dyn Harness = [
    a_server_that_answers_is_reached,
    each_obstacle_has_its_fault,
    an_address_that_is_gone_is_not_a_firewall,
    without_a_probe_nothing_is_known,
]);

async fn closed(harness: &dyn Harness, obstacle: Obstacle) -> ClosedPath {
    let error = harness.path(obstacle).await.ping().await.unwrap_err();
    ClosedPath::of(&error).unwrap_or_else(|| panic!("{error:?}")).clone()
}

async fn a_server_that_answers_is_reached(harness: &dyn Harness) {
    let path = harness.path(Obstacle::None).await;
    assert_eq!(path.ping().await.unwrap(), PathState::Open);
    assert_eq!(path.ping().await.unwrap(), PathState::Open, "again");
}

async fn each_obstacle_has_its_fault(harness: &dyn Harness) {
    assert_eq!(closed(harness, Obstacle::OtherPort).await.fault, PathFault::Refused);
    assert_eq!(closed(harness, Obstacle::Drop).await.fault, PathFault::Dropped);
    assert_eq!(closed(harness, Obstacle::Pause).await.fault, PathFault::Silent);
}

async fn an_address_that_is_gone_is_not_a_firewall(harness: &dyn Harness) {
    let closed = closed(harness, Obstacle::NoAddress).await;
    assert!(matches!(closed.fault, PathFault::AddressGone { .. }), "{closed:?}");
    assert!(closed.on_host.is_some() && closed.bridges.starts_with("hp"), "{closed:?}");
}

async fn without_a_probe_nothing_is_known(harness: &dyn Harness) {
    let state = harness.path(Obstacle::NoProbe).await.ping().await.unwrap();
    assert!(matches!(&state, PathState::Unwatched(why) if why.contains("doesn't run")), "{state:?}");
}

/// Carries out every case.
async fn run(harness: &(dyn Harness + 'static)) {
    assert_eq!(carry_out(harness, CASES).await, Vec::<&str>::new());
}
