//! Drift, orphans, the doctor and the metrics.

use std::collections::BTreeSet;
use std::time::Duration;

use hostplane_infra::clock::{Clock, Timestamp};
use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::Dependency;
use hostplane_testing::harness::{NGINX_IMAGE, PHP_IMAGE};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bad_input::problem;
use crate::harness::{Harness, answered, assert_snapshot};

async fn reconciled(harness: &Harness) -> Value {
    let scanned = answered(harness.request(Method::POST, "/api/v1/reconcile?deep=true")).await;
    assert_eq!(scanned.status, StatusCode::OK, "{}", scanned.body);
    assert_eq!(scanned.body["complete"], true, "{}", scanned.body);
    scanned.body
}

/// Leaves a plugin of `hello` half updated, which only its owner can repair.
fn interrupt_an_update(harness: &Harness) {
    let interrupted = "<?php $upgrading = 1500000000; ?>";
    harness.world.state().containers.write_file("wp_hello", ".maintenance", interrupted);
}

#[tokio::test]
async fn a_drift_is_reported_and_repaired_by_a_job() {
    let harness = Harness::running().await;
    harness.app.settle_routes().await.unwrap();
    harness.active("hello").await;
    assert_eq!(reconciled(&harness).await["items"], json!([]));
    harness.world.state().containers.container_mut("php_hello").unwrap().state = ContainerState::Exited;
    reconciled(&harness).await;
    let repair = harness.store_when(async |store| {
        let newest = hostplane_engine::store::JobFilter { limit: 1, ..Default::default() };
        let job = store.jobs(None, &newest).await.unwrap().rows.swap_remove(0).job;
        (job.operation == hostplane_domain::job::OperationName::Repair).then(|| job.id.to_string())
    });
    let repair = repair.await;
    harness.ended(&repair).await;
    assert_snapshot("job_repair", &harness.get(&format!("/api/v1/jobs/{repair}")).await.body);
    let (code, out, _) = harness.cli(&["job", "show", &repair]).await;
    assert!(code == Some(0) && out.contains("php_container stopped"), "{out}");
}

#[tokio::test]
async fn drift_for_an_operator_stays_listed() {
    let harness = Harness::with_hello().await;
    harness.active("other").await;
    interrupt_an_update(&harness);
    assert_snapshot("drift_for_operator", &reconciled(&harness).await);
    let of_other = harness.get("/api/v1/drift?site=other").await.body;
    assert_eq!(of_other["items"], json!([]));
    assert_eq!(harness.get("/api/v1/sites/hello").await.body["drift"][0]["reason"], "half_update");
    let (code, out, _) = harness.cli(&["drift"]).await;
    assert!(code == Some(0) && out.contains("wordpress_files") && out.contains("operator"), "{out}");
    let (_, out, _) = harness.cli(&["site", "show", "hello"]).await;
    assert!(out.contains("REMEDIATION"), "{out}");
    let (code, out, _) = harness.cli(&["reconcile", "--deep", "--json"]).await;
    assert!(code == Some(0) && out.contains("\"complete\": true"), "{out}");
}

#[tokio::test]
async fn an_orphan_is_removed_once_confirmed() {
    let harness = Harness::running().await;
    let before = harness.outside();
    harness.active("hello").await;
    let late = harness.world.state().containers.volumes["wp_hello"].clone();
    let destroy = harness.destroy("hello").await;
    harness.ended(&destroy).await;
    harness.world.state().containers.volumes.insert("wp_hello".to_owned(), late);
    reconciled(&harness).await;
    let orphans = harness.get("/api/v1/orphans").await.body;
    assert_snapshot("orphans", &orphans);
    let id = orphans["items"][0]["id"].as_str().unwrap();
    for path in [format!("/api/v1/orphans/{id}"), format!("/api/v1/orphans/{id}?confirm=hello")] {
        let refused = harness.delete(&path).await;
        assert_eq!(problem(&refused, 400), "confirmation-required");
        assert!(refused.body["detail"].as_str().unwrap().contains("?confirm=wp_hello"), "{}", refused.body);
    }
    assert_eq!(problem(&harness.delete("/api/v1/orphans/0123456789ab?confirm=x").await, 404), "orphan-not-found");
    assert_eq!(problem(&harness.delete("/api/v1/orphans/..%2F..?confirm=x").await, 400), "invalid-parameter");
    let (code, _, err) = harness.cli(&["orphan", "remove", id]).await;
    assert!(code == Some(2) && err.contains("--yes"), "{err}");
    let (code, out, _) = harness.cli(&["orphan", "list"]).await;
    assert!(code == Some(0) && out.contains("wp_hello"), "{out}");
    let (code, _, err) = harness.cli(&["orphan", "remove", id, "--yes", "--wait"]).await;
    assert!(code == Some(0) && err.contains("is gone"), "{err}");
    assert_eq!(harness.outside(), before);
    let (code, _, err) = harness.cli(&["orphan", "remove", id, "--yes"]).await;
    assert!(code == Some(1) && err.contains("orphan list"), "{err}");
}

#[tokio::test]
async fn the_doctor_gives_hints() {
    let harness = Harness::with_hello().await;
    let (code, out, _) = harness.cli(&["doctor"]).await;
    assert!(code == Some(0) && out.contains("0 errors"), "{out}");
    for check in [
        "control plane",
        "database",
        "clock",
        "docker",
        "mariadb",
        "caddy",
        "database path",
        "images",
        "subnets",
        "jobs",
        "sites",
        "orphans",
    ] {
        assert!(out.contains(&format!("ok       {check}")), "{check}: {out}");
    }
    harness.world.state().containers.images.remove("hostplane/nginx:test");
    interrupt_an_update(&harness);
    let (code, out, _) = harness.cli(&["doctor", "--json"]).await;
    assert_eq!(code, Some(1), "{out}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_snapshot("doctor_with_errors", &report);
    let hints = report["findings"].as_array().unwrap().iter().filter_map(|finding| finding["hint"].as_str());
    assert!(hints.into_iter().any(|hint| hint.contains("make images")), "{report}");
}

#[tokio::test]
async fn the_doctor_warns_of_old_images() {
    let harness = Harness::running().await;
    let day = Duration::from_hours(24);
    let now = harness.world.clock().now();
    let ago = |days: u32| Timestamp(now.0 - i64::try_from((day * days).as_micros()).unwrap());
    harness.world.state().containers.built.extend([(PHP_IMAGE.to_owned(), ago(31)), (NGINX_IMAGE.to_owned(), ago(29))]);
    let report = harness.get("/api/v1/doctor").await.body;
    let found = report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == "images");
    let found: Vec<_> = found.map(|finding| (finding["severity"].as_str(), finding["message"].to_string())).collect();
    assert_eq!(found.len(), 2, "{report:#}");
    assert!(
        found[0].0 == Some("warning") && found[0].1.contains("hostplane/php:test was built 31 days ago"),
        "{found:?}"
    );
    assert_eq!(found[1].0, Some("ok"), "{found:?}");
    assert!(report.to_string().contains("make images REFRESH=1"), "{report:#}");
}

#[tokio::test]
async fn the_doctor_names_failed_dependencies() {
    for (dependency, check) in
        [(Dependency::DOCKER, "docker"), (Dependency::Mariadb, "mariadb"), (Dependency::CADDY, "caddy")]
    {
        let harness = Harness::running().await;
        harness.cut_off(dependency);
        let report = harness.get("/api/v1/doctor").await.body;
        let found = report["findings"].as_array().unwrap();
        let finding = found.iter().find(|finding| finding["check"] == check).unwrap();
        assert_eq!(finding["severity"], "error", "{report:#}");
        assert_eq!(report["healthy"], false);
        assert!(!report.to_string().contains("have no drift"), "it knows nothing about the others: {report:#}");
    }
    let report = Harness::running().await.get("/api/v1/doctor").await.body;
    assert!(report.to_string().contains("have no drift"), "{report:#}");
}

/// The names of metrics that an answer has, without what a histogram adds.
fn names(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[tokio::test]
async fn metrics_match_the_alerts_and_the_dashboard() {
    let harness = Harness::measuring().await;
    harness.active("hello").await;
    while harness.get("/api/v1/sites/hello").await.body["usage"].is_null() {
        tokio::task::yield_now().await;
    }
    interrupt_an_update(&harness);
    let late = harness.world.state().containers.volumes["wp_hello"].clone();
    harness.world.state().containers.volumes.insert("mine".to_owned(), late);
    reconciled(&harness).await;
    // Jobs that have not ended are a gauge of their own.
    harness.cut_off(Dependency::CADDY);
    harness.create("waits").await;
    let text = harness.get("/metrics").await.body.as_str().unwrap().to_owned();
    let listed = include_str!("../../../../packaging/prometheus/metrics.txt");
    let listed = listed.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let listed: BTreeSet<&str> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    let reported: BTreeSet<&str> =
        names(&text).into_iter().filter(|name| listed.contains(name) || name.starts_with("hostplane_")).collect();
    assert_eq!(reported, listed, "{text}");
    for line in [
        "hostplane_sites{status=\"ACTIVE\"} 1",
        "hostplane_drifts{reason=\"half_update\",remediation=\"operator\"} 1",
        "hostplane_orphans{kind=\"volume\",reason=\"misnamed\"} 1",
        "hostplane_dependency_up{dependency=\"docker\"} 1",
        "hostplane_dependency_up{dependency=\"caddy\"} 0",
        "hostplane_dependency_up{dependency=\"database_path\"} 1",
        "hostplane_database_stale 0",
        "hostplane_disk_bytes{of=\"free\"} 107374182400",
        "hostplane_sites_restricted 0",
        "hostplane_site_database_bytes{site=\"hello\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    // What counts events begins at 0, so that the first is seen as one.
    assert!(text.contains("hostplane_jobs_ended_total{operation=\"upgrade\",state=\"needs_operator\"} 0"), "{text}");
}
