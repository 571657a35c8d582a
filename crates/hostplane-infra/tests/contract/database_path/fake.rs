//! The fake.

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use hostplane_infra::database_path::{ClosedPath, DatabasePath, PathFault};
use hostplane_testing::fake::{FakePath, FakeWorld};

use super::{Harness, Obstacle, run};

struct InMemory;

#[async_trait(?Send)]
impl Harness for InMemory {
    async fn path(&self, obstacle: Obstacle) -> Arc<dyn DatabasePath> {
        let closed = |fault| {
            FakePath::Closed(ClosedPath {
                fault,
                on_host: Some(Ipv4Addr::new(172, 17, 0, 1)),
                server: "host.docker.internal:3306".to_owned(),
                bridges: "hpabcde".to_owned(),
            })
        };
        let world = FakeWorld::default();
        world.state().database_path = match obstacle {
            Obstacle::None => FakePath::Open,
            Obstacle::OtherPort => closed(PathFault::Refused),
            Obstacle::Drop => closed(PathFault::Dropped),
            Obstacle::Pause => closed(PathFault::Silent),
            Obstacle::NoAddress => closed(PathFault::AddressGone { prefix: 16 }),
            Obstacle::NoProbe => FakePath::Unwatched("the container hostplane_probe doesn't run".to_owned()),
        };
        Arc::new(world)
    }
}

#[tokio::test]
async fn the_fake_keeps_to_the_contract() {
    run(&InMemory).await;
}
