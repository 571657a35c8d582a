//! A control plane that takes over what version 0.1 has left: its database, and the world that it made.

use hostplane_domain::drift::Remediation;
use hostplane_domain::job::OperationName;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;
use hostplane_testing::fake::FakeWorld;
use hostplane_testing::harness::name;

use crate::harness::Harness;

const DATABASE: &str = include_str!("version_0_1/database.sql");
const WORLD: &str = include_str!("version_0_1/world.json");
/// A moment after version 0.1 was killed.
const NOW: Timestamp = Timestamp(1_767_225_600_400_000);

#[tokio::test]
async fn a_job_in_the_middle_is_ended_and_no_site_is_changed_by_itself() {
    let mut harness = Harness::new().await;
    harness.world = FakeWorld::resumed(serde_json::from_str(WORLD).unwrap(), NOW);
    harness.load_database(DATABASE).await;
    let of_hello = |harness: &Harness| {
        let state = harness.state();
        let containers: Vec<_> = ["php_hello", "nginx_hello"]
            .map(|name| state.containers.container(name).map(|(id, found)| (id.to_owned(), found.clone())))
            .into();
        let volumes = ["wp_hello", "php_hello", "nginx_hello"].map(|name| state.containers.volumes[name].clone());
        (containers, volumes, state.proxy.loaded["hello.caddy"].clone())
    };
    let before = of_hello(&harness);
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    // It may have ended already.
    let jobs = running.all_jobs().await;
    let job = jobs.iter().find(|job| job.record.operation == OperationName::Update).expect("the change of shop");
    running.completed(job.record.id).await;
    assert!(running.app.reconcile(true).await.unwrap());
    let report = running.app.drift();
    assert!(report.trouble.is_none(), "{report:?}");
    // What the job has made of shop is of this release; hello is as it was made.
    let drifted: Vec<&str> = report.sites.iter().map(|site| site.site.name.as_str()).collect();
    assert_eq!(drifted, ["hello"]);
    let others = report.sites[0].drifts.iter().filter(|drift| drift.remediation != Remediation::Upgrade);
    assert_eq!(others.count(), 0, "{report:?}");
    assert_eq!(running.jobs_of(OperationName::Repair).await.len(), 0);
    assert_eq!(of_hello(&harness), before);
    assert!(running.app.orphans().is_empty());
    for site in ["hello", "shop"] {
        assert_eq!(running.status(site).await, SiteStatus::Active);
    }
    running.assert_whole("shop").await;
    let shop = running.site("shop").await.record.spec.unwrap();
    assert_eq!(shop.wordpress().php.memory_mib, 128);

    let hello = running.site("hello").await;
    assert!(hello.upgrade_pending);
    let upgrade = running.app.upgrade_site(&name("hello")).await.unwrap().record.id;
    running.completed(upgrade).await;
    assert!(!running.site("hello").await.upgrade_pending);
    running.assert_whole("hello").await;
    running.stop().await;
}
