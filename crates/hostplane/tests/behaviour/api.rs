//! Every address, with valid requests.

use hostplane::api::PlatformProgress;
use hostplane_domain::job::JobState;
use hostplane_infra::error::Dependency;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::{Harness, answered, assert_snapshot};

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_site_s_whole_life() {
    let harness = Harness::running().await;
    let asked = json!({
        "name": "hello", "kind": "wordpress", "title": "O'Brien & <b>", "admin_user": "jane", "admin_email": "j@example.com"
    });
    let created = harness.post("/api/v1/sites", &asked).await;
    assert_eq!(created.status, StatusCode::ACCEPTED);
    let id = created.body["id"].as_str().unwrap();
    assert_eq!(created.headers["location"], format!("/api/v1/jobs/{id}"));
    assert_eq!((&created.body["site"], &created.body["operation"]), (&json!("hello"), &json!("provision")));

    assert_eq!(harness.ended(id).await, JobState::Completed);
    assert_snapshot("job_provision", &harness.get(&format!("/api/v1/jobs/{id}")).await.body);
    assert_snapshot("site_active", &harness.get("/api/v1/sites/hello").await.body);
    let credentials = harness.get("/api/v1/sites/hello/credentials").await;
    assert_snapshot("credentials", &credentials.body);
    assert_eq!(credentials.headers["cache-control"], "no-store");

    let destroyed = harness.delete("/api/v1/sites/hello?confirm=hello").await;
    assert_eq!(destroyed.status, StatusCode::ACCEPTED);
    let id = destroyed.body["id"].as_str().unwrap();
    assert_eq!(destroyed.headers["location"], format!("/api/v1/jobs/{id}"));
    assert_eq!(harness.ended(id).await, JobState::Completed);
    assert_eq!(harness.get("/api/v1/sites/hello").await.status, StatusCode::NOT_FOUND);
    for (query, expected) in [
        ("", &[][..]),
        ("prefix=hel", &[]),
        ("status=DESTROYED", &["hello"]),
        ("prefix=hel&status=DESTROYED", &["hello"]),
    ] {
        assert_eq!(names(&harness.get(&format!("/api/v1/sites?{query}")).await.body), expected, "{query}");
    }
}

#[tokio::test]
async fn omitted_fields_have_defaults() {
    let harness = Harness::with_hello().await;
    let credentials = harness.get("/api/v1/sites/hello/credentials").await.body;
    assert_eq!(credentials["user"], "admin");
    let asked = json!({ "name": "b", "kind": "wordpress", "title": null });
    assert_eq!(harness.post("/api/v1/sites", &asked).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn lists_come_in_pages_and_are_filtered() {
    let harness = Harness::idle().await;
    let mut jobs = Vec::new();
    for name in ["c", "a", "b"] {
        jobs.push(harness.create(name).await);
    }
    let first = harness.get("/api/v1/sites?limit=2").await.body;
    assert_eq!(names(&first), ["a", "b"]);
    assert!(first["items"][0].get("resources").is_none());
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = harness.get(&format!("/api/v1/sites?limit=2&cursor={cursor}")).await.body;
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["c"], &Value::Null));
    assert_eq!(names(&harness.get("/api/v1/sites?limit=3&status=CREATED").await.body), ["a", "b", "c"]);
    assert_eq!(names(&harness.get("/api/v1/sites?status=ACTIVE").await.body), Vec::<&str>::new());
    harness.create("ab").await;
    for (query, expected) in [
        ("prefix=a", &["a", "ab"][..]),
        ("prefix=b", &["b"]),
        ("prefix=a&status=CREATED", &["a", "ab"]),
        ("prefix=a&status=FAILED", &[]),
    ] {
        assert_eq!(names(&harness.get(&format!("/api/v1/sites?{query}")).await.body), expected, "{query}");
    }
    let first = harness.get("/api/v1/sites?prefix=a&limit=1").await.body;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = harness.get(&format!("/api/v1/sites?prefix=a&limit=1&cursor={cursor}")).await.body;
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["ab"], &Value::Null));

    let first = harness.get("/api/v1/jobs?limit=3").await.body;
    assert_eq!(first["items"][1]["id"], jobs[2], "the newest first");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = harness.get(&format!("/api/v1/jobs?limit=3&cursor={cursor}")).await.body;
    assert_eq!((&second["items"][0]["id"], &second["next_cursor"]), (&json!(jobs[0]), &Value::Null));
    let of_site = harness.get("/api/v1/jobs?site=a&state=pending").await.body;
    assert_eq!((of_site["items"].as_array().unwrap().len(), &of_site["items"][0]["site"]), (1, &json!("a")));
    for (query, expected) in [
        ("operation=provision", 4),
        ("operation=provision&site=a&state=pending", 1),
        ("operation=destroy", 0),
        ("state=completed", 0),
    ] {
        let found = harness.get(&format!("/api/v1/jobs?{query}")).await.body;
        assert_eq!(found["items"].as_array().unwrap().len(), expected, "{query}");
    }
}

#[tokio::test]
async fn a_cursor_that_no_page_gave_is_refused() {
    let harness = Harness::idle().await;
    let job = harness.create("hello").await;
    let site = harness.get("/api/v1/sites").await.body["items"][0]["id"].as_str().unwrap().to_owned();
    for path in [format!("/api/v1/sites?cursor={job}"), format!("/api/v1/jobs?cursor={site}")] {
        let answer = harness.get(&path).await;
        assert_eq!((answer.status, &answer.body["parameter"]), (StatusCode::BAD_REQUEST, &json!("cursor")), "{path}");
    }
}

#[tokio::test]
async fn a_job_names_the_dependency_it_waits_for() {
    let harness = Harness::running().await;
    harness.cut_off(Dependency::Mariadb);
    let id = harness.create("hello").await;
    harness.app.job_when(id.parse().unwrap(), |job| job.record.waiting_for.is_some()).await.unwrap();
    let job = harness.get(&format!("/api/v1/jobs/{id}")).await.body;
    assert_eq!((&job["waiting_for"], &job["attempt"]), (&json!("mariadb"), &json!(1)));
    harness.gate.reconnect(Dependency::Mariadb);
    assert_eq!(harness.ended(&id).await, JobState::Completed);
}

#[tokio::test]
async fn liveness_and_readiness_need_no_token() {
    let harness = Harness::idle().await;
    let live = answered(harness.without_token(Method::GET, "/healthz")).await;
    assert_eq!((live.status, live.body), (StatusCode::OK, json!({ "status": "ok" })));
    let ready = answered(harness.without_token(Method::GET, "/readyz")).await;
    let checks = json!({ "store": "ok", "docker": "ok", "mariadb": "ok", "caddy": "ok", "database_path": "ok", "journal": "ok" });
    assert_eq!((ready.status, ready.body), (StatusCode::OK, json!({ "ready": true, "checks": checks })));
}

#[tokio::test]
async fn readiness_names_the_failed_dependency() {
    let harness = Harness::idle().await;
    harness.cut_off(Dependency::CADDY);
    let ready = answered(harness.without_token(Method::GET, "/readyz")).await;
    assert_eq!((ready.status, &ready.body["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
    assert_eq!(ready.body["checks"]["docker"], "ok");
    assert_eq!(ready.body["checks"]["caddy"], "doesn't answer");
}

#[tokio::test]
async fn nothing_is_ready_before_the_platform_is_made() {
    let obstacle = "no image at /var/lib/hostplane";
    let progress = watch::Sender::new(Some(obstacle.to_owned()));
    let harness = Harness::new(true, PlatformProgress::watched(progress.subscribe())).await;
    let ready = answered(harness.without_token(Method::GET, "/readyz")).await;
    assert_eq!(
        (ready.status, &ready.body["checks"]["platform"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("not made yet"))
    );
    let findings = harness.get("/api/v1/doctor").await.body.to_string();
    assert!(findings.contains(obstacle), "a token gets the cause: {findings}");
    progress.send_replace(None);
    let ready = answered(harness.without_token(Method::GET, "/readyz")).await;
    assert_eq!((ready.status, ready.body["checks"].get("platform")), (StatusCode::OK, None));
}

#[tokio::test]
async fn answers_have_an_id_and_are_never_cached() {
    let harness = Harness::idle().await;
    for path in ["/healthz", "/api/v1/sites", "/api/v1/sites/absent", "/nowhere"] {
        let answer = harness.get(path).await;
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers["x-request-id"].len(), 36, "{path}");
    }
}

#[tokio::test]
async fn an_internal_failure_shows_only_its_id() {
    let harness = Harness::idle().await;
    harness.break_store().await;
    let answer = harness.get("/api/v1/sites").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body["type"], "urn:hostplane:problem:internal-error");
    assert_eq!(answer.headers["x-request-id"], *answer.body["request_id"].as_str().unwrap());
    let text = answer.body.to_string().to_lowercase();
    assert!(!text.contains("sql") && !text.contains("pool"), "{text}");
}
