//! A control plane that takes over what version 0.1 has left: its database, and the world that it made.

use hostplane_domain::job::OperationName;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;
use hostplane_testing::fake::FakeWorld;

use crate::harness::Harness;

const DATABASE: &str = include_str!("version_0_1/database.sql");
const WORLD: &str = include_str!("version_0_1/world.json");
/// A moment after version 0.1 was killed.
const NOW: Timestamp = Timestamp(1_767_225_600_400_000);

#[tokio::test]
async fn a_job_in_the_middle_is_ended_and_nothing_has_drifted() {
    let mut harness = Harness::new().await;
    harness.world = FakeWorld::resumed(serde_json::from_str(WORLD).unwrap(), NOW);
    harness.load_database(DATABASE).await;
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    // It may have ended already.
    let jobs = running.all_jobs().await;
    let job = jobs.iter().find(|job| job.record.operation == OperationName::Update).expect("the change of shop");
    running.completed(job.record.id).await;
    assert!(running.app.reconcile(true).await.unwrap());
    let report = running.app.drift();
    assert!(report.sites.is_empty() && report.trouble.is_none(), "{report:?}");
    assert!(running.app.orphans().is_empty());
    for site in ["hello", "shop"] {
        assert_eq!(running.status(site).await, SiteStatus::Active);
        running.assert_whole(site).await;
    }
    let shop = running.site("shop").await.record.spec.unwrap();
    assert_eq!(shop.wordpress().php.memory_mib, 128);
    running.stop().await;
}
