//! Names that are held by another: the job fails, naming step and cause; the other's thing stays as it is,
//! and nothing of ours is left.

use hostplane_domain::container::ContainerSpec;
use hostplane_domain::job::JobState;
use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{Containers, NetworkSpec};
use hostplane_testing::fake::State;
use hostplane_testing::harness::PHP_IMAGE;
use hostplane_testing::specs;

use crate::harness::{Harness, failure};

/// Plants something, asks for a site, and expects the world to be as it was after the failure.
async fn expect_failure(plant: impl AsyncFnOnce(&Harness), step: &str, words: &[&str]) {
    let harness = Harness::new().await;
    plant(&harness).await;
    let before: State = harness.state();
    let running = harness.start().await;
    let job = running.create("hello").await;
    let job = running.ended(job).await;
    assert_eq!(job.record.state, JobState::Failed);
    let (failed, message) = failure(&job);
    assert_eq!(failed, Some(step), "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
    assert_eq!(harness.state(), before);
    running.stop().await;
}

#[tokio::test]
async fn a_container() {
    for (name, step) in
        [("php_hello", "php_container"), ("nginx_hello", "nginx_container"), ("writer_hello", "settings")]
    {
        let plant = async |harness: &Harness| {
            let foreign = ContainerSpec { name: name.into(), image: PHP_IMAGE.into(), ..specs::container() };
            harness.world.create_container(&foreign, &Labels::new()).await.unwrap();
        };
        expect_failure(plant, step, &["container", name, "another owner"]).await;
    }
}

#[tokio::test]
async fn a_volume() {
    for (name, step) in [("wp_hello", "files_volume"), ("php_hello", "php_volume"), ("nginx_hello", "nginx_volume")] {
        let plant = async |harness: &Harness| {
            harness.world.create_volume(name, &Labels::new()).await.unwrap();
        };
        expect_failure(plant, step, &["volume", name]).await;
    }
}

#[tokio::test]
async fn a_network() {
    let plant = async |harness: &Harness| {
        let subnet = Some("10.99.0.0/24".parse().unwrap());
        let spec = NetworkSpec { name: "site_hello".into(), subnet, labels: Labels::new() };
        harness.world.create_network(&spec).await.unwrap();
    };
    expect_failure(plant, "network", &["network", "site_hello"]).await;
}

#[tokio::test]
async fn a_database() {
    let plant = async |harness: &Harness| {
        harness.world.state().databases.databases.entry("wp_hello".into()).or_default();
    };
    expect_failure(plant, "database", &["database", "wp_hello"]).await;
}

#[tokio::test]
async fn a_snippet_of_the_name() {
    let plant = async |harness: &Harness| {
        let snippet = "http://else.where {\n}\n".to_owned();
        let mut state = harness.world.state();
        state.proxy.snippets.insert("hello.caddy".into(), snippet.clone());
        state.proxy.loaded.insert("hello.caddy".into(), snippet);
    };
    expect_failure(plant, "route", &["hello.caddy"]).await;
}

#[tokio::test]
async fn a_host_name_that_another_snippet_serves() {
    let plant = async |harness: &Harness| {
        let snippet = "http://hello.localhost {\n\trespond \"mine\"\n}\n".to_owned();
        let mut state = harness.world.state();
        state.proxy.snippets.insert("shop.caddy".into(), snippet.clone());
        state.proxy.loaded.insert("shop.caddy".into(), snippet);
    };
    expect_failure(plant, "route", &["hello.localhost", "shop.caddy"]).await;
}
