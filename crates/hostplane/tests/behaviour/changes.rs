//! Changes of existing sites, through the API and the command line.

use hostplane_domain::job::JobState;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bad_input::problem;
use crate::harness::{Answered, Harness, answered, assert_snapshot};

impl Harness {
    async fn patch(&self, path: &str, body: &Value) -> Answered {
        answered(self.request(Method::PATCH, path).json(body)).await
    }

    async fn order(&self, action: &str) -> Answered {
        answered(self.request(Method::POST, &format!("/api/v1/sites/hello/{action}"))).await
    }

    async fn completed(&self, answer: Answered, operation: &str) {
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        assert_eq!(answer.body["operation"], operation);
        let id = answer.body["id"].as_str().unwrap().to_owned();
        assert_eq!(answer.headers["location"], format!("/api/v1/jobs/{id}"));
        assert_eq!(self.ended(&id).await, JobState::Completed);
    }
}

#[tokio::test]
async fn settings_are_changed_and_shown() {
    let harness = Harness::with_hello().await;
    let body = json!({
        "limits": { "php": { "memory_mib": 1024 }, "php_workers": 7 },
        "php": { "memory_mib": 512, "disallow_file_edit": false },
    });
    harness.completed(harness.patch("/api/v1/sites/hello", &body).await, "update").await;
    // It differs from the snapshot `site_active` in these four values alone.
    assert_snapshot("site_updated", &harness.get("/api/v1/sites/hello").await.body);
}

#[tokio::test]
async fn a_site_is_suspended_resumed_rotated_and_upgraded() {
    let harness = Harness::with_hello().await;
    for (what, suspended) in [("suspend", true), ("resume", false), ("rotate", false), ("upgrade", false)] {
        harness.completed(harness.order(what).await, what).await;
        assert_eq!(harness.get("/api/v1/sites/hello").await.body["suspended"], suspended, "{what}");
    }
}

#[tokio::test]
async fn invalid_changes_are_refused() {
    let harness = Harness::running().await;
    let absent = harness.order("suspend").await;
    assert_eq!(problem(&absent, 404), "site-not-found");
    harness.active("hello").await;
    let before = harness.counts().await;
    for (body, pointer) in [
        (json!({}), ""),
        (json!({ "limits": null }), ""),
        (json!({ "limits": {}, "php": 1 }), "/php"),
        (json!({ "limits": {}, "title": "x" }), "/title"),
        (json!({ "php": { "memory": 1 } }), "/php"),
        (json!({ "php": { "disallow_file_edit": "no" } }), "/php"),
        (json!({ "php": { "memory_mib": 63 } }), "/php/memory_mib"),
        (json!({ "php": { "memory_mib": 1024 } }), "/limits/php/memory_mib"),
        (json!({ "limits": 7 }), "/limits"),
        (json!({ "limits": { "memory": 7 } }), "/limits"),
        (json!({ "limits": { "php": { "memory_mib": -1 } } }), "/limits"),
        (json!({ "limits": { "php": { "memory_mib": 1.5 } } }), "/limits"),
        (json!({ "limits": { "php": { "memory_mib": "512" } } }), "/limits"),
        (json!({ "limits": { "php": { "memory_mib": 99_999_999_999_u64 } } }), "/limits"),
        (json!({ "limits": { "php": { "memory_mib": 1 } } }), "/limits/php/memory_mib"),
        (json!({ "limits": { "php_workers": 0 } }), "/limits/php_workers"),
        (json!({ "limits": { "upload_mib": 2000 } }), "/limits/nginx/memory_mib"),
    ] {
        let answer = harness.patch("/api/v1/sites/hello", &body).await;
        assert_eq!(problem(&answer, 422), "invalid-field", "{body}");
        assert_eq!(answer.body["pointer"], pointer, "{body}");
    }
    let answer = answered(harness.request(Method::POST, "/api/v1/sites/hello/suspend?force=1")).await;
    assert_eq!(problem(&answer, 400), "invalid-parameter");
    assert_eq!(harness.counts().await, before);
}

#[tokio::test]
async fn the_command_line_changes_sites() {
    let harness = Harness::with_hello().await;
    harness.active("second").await;
    let (out, _) = harness.done(&["site", "update", "hello", "--php-workers", "7", "--wait"]).await;
    assert!(out.contains("completed"), "{out}");
    let (_, out, _) = harness.cli(&["site", "show", "hello"]).await;
    assert!(out.contains("7 workers"), "{out}");
    for what in ["suspend", "resume", "rotate"] {
        harness.done(&["site", what, "hello", "--wait"]).await;
    }
    let (code, _, err) = harness.cli(&["site", "update", "hello", "--php-workers", "0"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("limits.php_workers is from 1 to 7 with this memory"), "{err}");
    harness
        .done(&["site", "update", "hello", "--memory-limit", "128", "--disallow-file-edit", "false", "--wait"])
        .await;
    let (_, out, _) = harness.cli(&["site", "show", "hello"]).await;
    assert!(out.contains("128 MiB and 60 s for a request") && out.contains("an editor for code"), "{out}");
    let (code, _, _) = harness.cli(&["site", "update", "hello"]).await;
    assert_eq!(code, Some(2), "nothing to change");

    harness.cli(&["site", "suspend", "hello", "--wait"]).await;
    let (_, out, _) = harness.cli(&["site", "list"]).await;
    assert!(out.lines().any(|line| line.starts_with("hello") && line.ends_with("suspended")), "{out}");
}

#[tokio::test]
async fn upgrades_go_on_past_failures_up_to_a_budget() {
    let harness = Harness::running().await;
    for site in ["one", "two", "three"] {
        harness.active(site).await;
    }
    let (code, out, err) = harness.cli(&["site", "upgrade", "--all"]).await;
    assert_eq!((code, out.lines().count()), (Some(0), 1), "nothing is pending: {out} {err}");
    let (code, out, err) = harness.cli(&["site", "upgrade", "one", "two", "three", "--at-once", "2"]).await;
    assert_eq!((code, out.matches("completed").count()), (Some(0), 3), "{out} {err}");

    let upgrade = ["site", "upgrade", "one", "absent", "gone", "two", "three"];
    let (code, out, err) = harness.cli(&upgrade).await;
    assert_eq!((code, out.matches("completed").count()), (Some(1), 3), "{out} {err}");
    assert!(err.contains("no site absent") && err.contains("no site gone") && !err.contains("not started"), "{err}");
    let (code, out, err) = harness.cli(&[upgrade.as_slice(), &["--max-failures", "1"]].concat()).await;
    assert_eq!(code, Some(1), "{out} {err}");
    assert!(out.contains("one ") && !out.contains("two"), "{out}");
    assert!(err.contains("not started: gone, two, three") && err.contains("no site absent"), "{err}");
    let (code, _, _) = harness.cli(&["site", "upgrade"]).await;
    assert_eq!(code, Some(2));
}
