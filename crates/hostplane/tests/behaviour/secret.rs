//! The installation's secret through the API and the command line.

use reqwest::Method;
use serde_json::json;

use crate::bad_input::problem;
use crate::harness::{Harness, answered};

#[tokio::test]
async fn a_rotation_is_confirmed_and_shows_its_progress() {
    let harness = Harness::with_hello().await;
    let before = std::fs::read_to_string(harness.home.dir().join("secret")).unwrap();
    let unconfirmed = answered(harness.request(Method::POST, "/api/v1/secret/rotate")).await;
    assert_eq!(problem(&unconfirmed, 400), "confirmation-required");
    assert_eq!(harness.get("/api/v1/secret").await.body, json!({ "generation": 1, "sites_behind": 0 }));
    let (code, _, err) = harness.cli(&["secret", "rotate"]).await;
    assert!(code == Some(2) && err.contains("--yes"), "{err}");
    assert_eq!(std::fs::read_to_string(harness.home.dir().join("secret")).unwrap(), before);

    let (out, err) = harness.done(&["secret", "rotate", "--yes", "--wait", "--json"]).await;
    assert!(err.contains("back up"), "{err}");
    let through = json!({ "generation": 2, "sites_behind": 0 });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), through);
    assert_eq!(harness.get("/api/v1/secret").await.body, through);
    let after = std::fs::read_to_string(harness.home.dir().join("secret")).unwrap();
    assert!(after.starts_with(&before) && after.lines().count() == 2, "the old one is kept");
    for line in after.lines() {
        let digits = line.split(' ').next_back().unwrap();
        assert!(!out.contains(digits) && !err.contains(digits));
    }
    let (_, out, _) = harness.cli(&["secret", "show"]).await;
    assert_eq!(out, "generation    2\nsites behind  0\n");
    let (_, out, _) = harness.cli(&["job", "list", "--operation", "rotate"]).await;
    assert!(out.contains("completed"), "{out}");
}

#[tokio::test]
async fn without_a_disk_there_is_no_rotation() {
    let harness = Harness::idle().await;
    harness.create("hello").await;
    let once = answered(harness.request(Method::POST, "/api/v1/secret/rotate?confirm=rotate")).await;
    assert_eq!(once.body, json!({ "generation": 2, "sites_behind": 0 }), "nothing is there to be renewed");
    std::fs::remove_dir_all(harness.home.dir()).unwrap();
    let unkept = answered(harness.request(Method::POST, "/api/v1/secret/rotate?confirm=rotate")).await;
    assert_eq!(problem(&unkept, 500), "internal-error");
    assert_eq!(harness.get("/api/v1/secret").await.body["generation"], 2);
}
