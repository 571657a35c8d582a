//! Effects that land after their job has ended.

use hostplane_domain::job::{JobState, OperationName};
use hostplane_engine::store::JobFilter;
use hostplane_testing::fake::FakeNetwork;

use crate::harness::{Harness, assert_snapshot};

impl Harness {
    /// Destroys a site and restores its network. Returns the job that collects the network.
    pub async fn collected(&self, name: &str) -> String {
        self.active(name).await;
        let is_its = |network: &FakeNetwork| network.name == format!("site_{name}");
        let networks = self.world.state().containers.networks.clone();
        let (id, late) = networks.into_iter().find(|(_, network)| is_its(network)).unwrap();
        let destroy = self.destroy(name).await;
        assert_eq!(self.ended(&destroy).await, JobState::Completed);
        self.world.state().containers.networks.insert(id, late);

        let newest = JobFilter { limit: 1, ..JobFilter::default() };
        let job = self.store_when(async |store| {
            let job = store.jobs(None, &newest).await.unwrap().rows.swap_remove(0).job;
            (job.operation == OperationName::Collect).then(|| job.id.to_string())
        });
        let job = job.await;
        assert_eq!(self.ended(&job).await, JobState::Completed);
        job
    }
}

#[tokio::test]
async fn a_late_network_is_collected_by_a_job() {
    let harness = Harness::running().await;
    let before = harness.outside();
    let id = harness.collected("hello").await;
    assert_eq!(harness.outside(), before, "nothing is left");
    assert_snapshot("job_collect", &harness.get(&format!("/api/v1/jobs/{id}")).await.body);
    let of_site = harness.get("/api/v1/jobs?site=hello").await.body;
    assert_eq!(of_site["items"].as_array().unwrap().len(), 3, "{of_site}");
    let (out, _) = harness.done(&["job", "list", "--site", "hello"]).await;
    let row = out.lines().nth(1).unwrap();
    assert!(row.starts_with(&id) && row.contains("collect    completed"), "{out}");
    let (out, _) = harness.done(&["job", "show", &id]).await;
    assert!(out.contains("collect") && out.contains("network left_over"), "{out}");
    harness.done(&["job", "watch", &id]).await;
}
