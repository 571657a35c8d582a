//! Jobs that need an operator and whose site is destroyed.

use hostplane_domain::job::JobState;
use hostplane_infra::error::{Dependency, EffectError, Rejection};
use hostplane_infra::gate::Verdict;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::bad_input::problem;
use crate::harness::{Harness, answered};

impl Harness {
    /// Has MariaDB refuse to drop the next database.
    pub fn deny_drop(&self) {
        let message = "DROP command denied".to_owned();
        let denied = Rejection::AccessDenied { by: Dependency::Mariadb, message };
        self.gate.next("mariadb.remove_tenant", Verdict::Fail(EffectError::Rejected(denied)));
    }

    /// Orders a site whose provision fails and whose rollback is blocked.
    pub async fn stuck_provision(&self, name: &str) -> String {
        let images = std::mem::take(&mut self.world.state().containers.images);
        self.deny_drop();
        let job = self.create(name).await;
        assert_eq!(self.ended(&job).await, JobState::NeedsOperator);
        self.world.state().containers.images = images;
        job
    }
}

#[tokio::test]
async fn a_destroy_replaces_a_stuck_provision() {
    let harness = Harness::running().await;
    let before = harness.outside();
    let stuck = harness.stuck_provision("hello").await;
    assert_ne!(harness.outside(), before, "something is left");
    let asked = harness.delete("/api/v1/sites/hello?confirm=hello").await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    assert_eq!(asked.body["operation"], "destroy");
    let id = asked.body["id"].as_str().unwrap();
    assert_eq!(asked.headers["location"], format!("/api/v1/jobs/{id}"));
    assert_eq!(harness.get(&format!("/api/v1/jobs/{stuck}")).await.body["state"], "failed");
    assert_eq!(harness.ended(id).await, JobState::Completed);
    assert_eq!(harness.get("/api/v1/sites/hello").await.status, StatusCode::NOT_FOUND);
    assert_eq!(harness.outside(), before, "nothing is left");
}

#[tokio::test]
async fn a_stuck_provision_is_given_up() {
    let harness = Harness::running().await;
    let before = harness.outside();
    let stuck = harness.stuck_provision("hello").await;
    let cancel = answered(harness.request(Method::POST, &format!("/api/v1/jobs/{stuck}/cancel"))).await;
    assert_eq!((cancel.status, &cancel.body["state"]), (StatusCode::ACCEPTED, &json!("cancelled")), "{}", cancel.body);
    assert_eq!(harness.get("/api/v1/sites/hello").await.body["status"], "FAILED");
    let destroy = harness.destroy("hello").await;
    assert_eq!(harness.ended(&destroy).await, JobState::Completed);
    assert_eq!(harness.outside(), before, "nothing is left");
}

#[tokio::test]
async fn a_stuck_destroy_continues() {
    let harness = Harness::running().await;
    let before = harness.outside();
    harness.active("hello").await;
    harness.deny_drop();
    let first = harness.destroy("hello").await;
    assert_eq!(harness.ended(&first).await, JobState::NeedsOperator);
    let cancel = answered(harness.request(Method::POST, &format!("/api/v1/jobs/{first}/cancel"))).await;
    assert_eq!(problem(&cancel, 409), "job-not-cancellable");
    let again = harness.delete("/api/v1/sites/hello?confirm=hello").await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::ACCEPTED, &json!(first)));
    assert_eq!(harness.ended(&first).await, JobState::Completed);
    assert_eq!(harness.outside(), before, "nothing is left");
}
