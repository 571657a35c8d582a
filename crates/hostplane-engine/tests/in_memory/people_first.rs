//! What people order comes before what the control plane orders itself, and always has room.

use std::sync::Arc;

use hostplane_domain::job::{JobState, OperationName};
use hostplane_engine::app::JobView;
use hostplane_infra::containers::ContainerState;
use hostplane_infra::gate::Verdict;
use hostplane_testing::harness::ControlPlane;
use tokio::sync::Notify;

use crate::drift::repairs;
use crate::harness::{Harness, until};

const SITES: [&str; 5] = ["s1", "s2", "s3", "s4", "s5"];

fn count(jobs: &[JobView], state: JobState) -> usize {
    jobs.iter().filter(|job| job.record.state == state).count()
}

/// Stops the PHP of every site, and scans.
async fn break_all(harness: &Harness, running: &ControlPlane) {
    for site in SITES {
        let mut state = harness.world.state();
        state.containers.container_mut(&format!("php_{site}")).unwrap().state = ContainerState::Exited;
    }
    running.scan(1).await;
}

#[tokio::test]
async fn repairs_leave_room_for_a_persons_order() {
    let harness = Harness::new().await;
    assert_eq!((harness.settings.concurrency, harness.settings.repair_concurrency), (4, 2));
    let running = harness.start().await;
    for site in SITES {
        running.active(site).await;
    }
    // As many repairs as may run at once hang; with a third one more would go by.
    let go_on = Arc::new(Notify::new());
    for _ in 0..2 {
        harness.gate.next("docker.start_container", Verdict::Wait(go_on.clone()));
    }
    let started = || harness.gate.calls().iter().filter(|call| call.name == "docker.start_container").count();
    let before = started();
    break_all(&harness, &running).await;
    until("two repairs that hang", async || (started() == before + 2).then_some(())).await;
    running.active("a-persons").await;
    let all = repairs(&running).await;
    assert_eq!((all.len(), count(&all, JobState::Running), count(&all, JobState::Pending)), (5, 2, 3), "{all:#?}");
    go_on.notify_one();
    go_on.notify_one();
    let is_done = async || {
        let all = running.jobs_of(OperationName::Repair).await;
        (count(&all, JobState::Completed) == 5).then_some(())
    };
    until("every repair", is_done).await;
    running.stop().await;
}
