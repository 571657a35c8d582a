//! Cancelled jobs.

use std::sync::Arc;

use hostplane_domain::job::JobState;
use hostplane_domain::naming::ResourceKind;
use hostplane_infra::gate::Verdict;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::bad_input::problem;
use crate::harness::{Answered, Harness, answered};

impl Harness {
    async fn cancel(&self, job: &str) -> Answered {
        answered(self.request(Method::POST, &format!("/api/v1/jobs/{job}/cancel"))).await
    }

    /// Orders a site and holds its job before WordPress is unpacked, until the other value is notified.
    pub async fn in_the_middle(&self, name: &str) -> (String, Arc<Notify>) {
        let held = self.hold();
        let job = self.create(name).await;
        self.unpacks(&job).await;
        (job, held)
    }

    /// Holds the next unpacking of WordPress until this is notified.
    pub fn hold(&self) -> Arc<Notify> {
        let held = Arc::new(Notify::new());
        self.gate.next("wordpress.unpack", Verdict::Wait(Arc::clone(&held)));
        held
    }

    /// Waits until a job is about to unpack WordPress.
    pub async fn unpacks(&self, job: &str) {
        let unpacks = |job: &hostplane_engine::app::JobView| {
            job.steps.iter().any(|step| step.resource == ResourceKind::WordpressFiles)
        };
        self.app.job_when(job.parse().unwrap(), unpacks).await.unwrap();
    }
}

#[tokio::test]
async fn a_cancelled_provision_rolls_back_and_is_retried() {
    let harness = Harness::running().await;
    let before = harness.outside();
    let (id, held) = harness.in_the_middle("hello").await;
    let asked = harness.cancel(&id).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED);
    assert_eq!(asked.headers["location"], format!("/api/v1/jobs/{id}"));
    assert_eq!((&asked.body["id"], &asked.body["state"]), (&json!(id), &json!("running")));
    let again = harness.cancel(&id).await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::ACCEPTED, &json!(id)), "asking twice changes nothing");

    held.notify_one();
    assert_eq!(harness.ended(&id).await, JobState::Cancelled);
    let job = harness.get(&format!("/api/v1/jobs/{id}")).await.body;
    assert_eq!((&job["state"], &job["error"]["step"]), (&json!("cancelled"), &Value::Null));
    assert!(job["error"]["message"].as_str().unwrap().contains("cancelled"), "{job}");
    let steps = job["steps"].as_array().unwrap();
    let begun = |resource: &str| steps.iter().any(|step| step["resource"] == resource);
    assert!(begun("wordpress_files") && !begun("wordpress_install"), "nothing new is begun on the way forward: {job}");
    assert_eq!(harness.get("/api/v1/sites/hello").await.body["status"], "FAILED");
    assert_eq!(harness.outside(), before, "nothing is left");
    let after = harness.cancel(&id).await;
    assert_eq!((after.status, &after.body["state"]), (StatusCode::ACCEPTED, &json!("cancelled")));

    let retried = answered(harness.request(Method::POST, &format!("/api/v1/jobs/{id}/retry"))).await;
    assert_eq!(retried.status, StatusCode::ACCEPTED, "{}", retried.body);
    let next = retried.body["id"].as_str().unwrap();
    assert_ne!(next, id);
    assert_eq!(harness.ended(next).await, JobState::Completed);
    assert_eq!(harness.get("/api/v1/sites/hello").await.body["status"], "ACTIVE");
}

#[tokio::test]
async fn an_invalid_cancel_changes_nothing() {
    let harness = Harness::idle().await;
    let id = harness.create("hello").await;
    for (path, status, kind) in [
        ("018f0000-0000-7000-8000-000000000000/cancel", 404, "job-not-found"),
        ("1/cancel", 400, "invalid-parameter"),
        ("hello/cancel", 400, "invalid-parameter"),
        ("%ff/cancel", 400, "invalid-parameter"),
        (&format!("{id}/cancel?force=1"), 400, "invalid-parameter"),
        (&format!("{id}/cancel/"), 404, "not-found"),
    ] {
        let answer = answered(harness.request(Method::POST, &format!("/api/v1/jobs/{path}"))).await;
        assert_eq!(problem(&answer, status), kind, "{path}");
    }
    let path = format!("/api/v1/jobs/{id}/cancel");
    let stranger = answered(harness.without_token(Method::POST, &path)).await;
    assert_eq!(problem(&stranger, 401), "unauthorized");
    let job = harness.app.job(id.parse().unwrap()).await.unwrap();
    assert!(!job.record.cancel_requested);
}
