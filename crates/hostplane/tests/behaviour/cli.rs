//! The command line, as a process.

use std::path::Path;
use std::process::{Output, Stdio};

use hostplane_domain::job::JobState;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::harness::Harness;

pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostplane"));
    command.env_clear().env("HOSTPLANE_HOME", home).stdin(Stdio::null());
    // The API is never asked through these.
    command.env("http_proxy", "http://192.0.2.1:1").env("ALL_PROXY", "http://192.0.2.1:1");
    command
}

async fn run(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(home).args(arguments).output().await.unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

impl Harness {
    pub async fn cli(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        run(self.home.dir(), arguments).await
    }

    /// The output and the words beside it of a command that ends with 0.
    pub async fn done(&self, arguments: &[&str]) -> (String, String) {
        let (code, out, err) = self.cli(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {err}");
        (out, err)
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[tokio::test]
async fn a_site_s_whole_life() {
    let harness = Harness::running().await;
    let (out, err) = harness.done(&["site", "create", "hello", "--wait"]).await;
    assert!(out.contains("http://hello.localhost:8080") && out.contains("site credentials hello"), "{out}");
    assert!(err.lines().any(|line| line.starts_with("network ensured 0.")), "{err}");

    let (out, _) = harness.done(&["site", "list"]).await;
    assert!(out.lines().nth(1).is_some_and(|line| line.starts_with("hello  ACTIVE")), "{out}");
    let (_, out, _) = harness.cli(&["site", "list", "--json", "--status", "ACTIVE"]).await;
    assert_eq!(json(&out)["items"][0]["name"], "hello");
    let (_, out, _) = harness.cli(&["site", "list", "--prefix", "hel"]).await;
    assert!(out.contains("hello"), "{out}");
    let (_, out, _) = harness.cli(&["site", "list", "--prefix", "hex"]).await;
    assert!(!out.contains("hello"), "{out}");
    let (_, out, _) = harness.cli(&["job", "list", "--operation", "destroy"]).await;
    assert!(!out.contains("hello"), "{out}");
    let (_, out, _) = harness.cli(&["site", "show", "hello", "--json"]).await;
    assert_eq!(json(&out), harness.get("/api/v1/sites/hello").await.body, "exactly what the API answers");
    let (_, out, _) = harness.cli(&["site", "show", "hello"]).await;
    assert!(out.contains("php_container") && out.contains("present"), "{out}");
    let (_, out, _) = harness.cli(&["site", "credentials", "hello", "--json"]).await;
    let credentials = json(&out);
    assert_eq!(credentials, harness.get("/api/v1/sites/hello/credentials").await.body);
    let (_, out, _) = harness.cli(&["site", "credentials", "hello"]).await;
    assert!(out.contains(credentials["password"].as_str().unwrap()), "{out}");

    let (_, out, _) = harness.cli(&["job", "list", "--site", "hello", "--json"]).await;
    let job = json(&out)["items"][0]["id"].as_str().unwrap().to_owned();
    let (out, _) = harness.done(&["job", "show", &job]).await;
    assert!(out.contains("completed") && out.contains("wordpress_install"), "{out}");
    let (out, _) = harness.done(&["job", "watch", &job, "--json"]).await;
    assert_eq!(json(&out)["state"], "completed");

    let (_, err) = harness.done(&["site", "destroy", "hello", "--yes", "--wait"]).await;
    assert!(err.contains("removed") && err.contains("nothing of it is left"), "{err}");
    let (code, _, err) = harness.cli(&["site", "show", "hello"]).await;
    assert_eq!(code, Some(1), "{err}");
}

#[tokio::test]
async fn without_wait_the_job_is_printed() {
    let harness = Harness::idle().await;
    let (code, out, err) = harness.cli(&["site", "create", "hello", "--json", "--title", "Hello, world"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let job = json(&out);
    assert_eq!((&job["state"], &job["site"]), (&"pending".into(), &"hello".into()));
    let (_, out, _) = harness.cli(&["site", "create", "other"]).await;
    assert!(out.contains("hostplane job watch"), "{out}");
}

#[tokio::test]
async fn a_failed_operation_ends_with_1() {
    let harness = Harness::running().await;
    let images = std::mem::take(&mut harness.world.state().containers.images);
    let (code, _, err) = harness.cli(&["site", "create", "hello", "--wait"]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("image") && err.contains("hostplane job retry"), "{err}");
    let (code, _, err) = harness.cli(&["site", "create", "hello"]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("FAILED") && err.contains("destroy"), "{err}");
    harness.world.state().containers.images = images;
    let (_, out, _) = harness.cli(&["job", "list", "--state", "failed", "--json"]).await;
    let job = json(&out)["items"][0]["id"].as_str().unwrap().to_owned();
    let (out, _) = harness.done(&["job", "retry", &job, "--wait", "--json"]).await;
    assert_eq!(json(&out)["state"], "completed");
}

#[tokio::test]
async fn a_timeout_ends_with_1() {
    let harness = Harness::idle().await;
    let (code, _, err) = harness.cli(&["site", "create", "hello", "--wait", "--timeout", "1ms"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("the job goes on") && err.contains("hostplane job watch"), "{err}");
    assert_eq!(harness.counts().await, (1, 1));
}

#[tokio::test]
async fn bad_usage_ends_with_2_and_creates_nothing() {
    let harness = Harness::idle().await;
    for arguments in [
        &["site", "create", "Bad_Name"][..],
        &["site", "create", "www"],
        &["site", "create"],
        &["site", "create", "hello", "--admin-email", "absent"],
        &["site", "create", "hello", "--title", ""],
        &["site", "create", "hello", "--wait", "--timeout", "soon"],
        &["site", "create", "hello", "--api", "ftp://127.0.0.1:1"],
        &["site", "list", "--status", "active"],
        &["site", "destroy", "hello"],
        &["job", "show", "hello"],
        &["job", "list", "--state", "done"],
        &["job", "list", "--operation", "drop"],
        &["site", "list", "--prefix", "A"],
        &["job", "cancel"],
        &["job", "cancel", "hello"],
        &["frobnicate"],
        &["--env-file", "/nonexistent.env", "site", "list"],
    ] {
        let (code, out, err) = harness.cli(arguments).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
    assert_eq!(harness.counts().await, (0, 0));
}

#[tokio::test]
async fn an_absent_control_plane_ends_with_3() {
    let dir = TempDir::new().unwrap();
    let (code, _, err) = run(dir.path(), &["site", "list"]).await;
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("make up") && err.contains("api.url"), "{err}");

    let harness = Harness::idle().await;
    harness.stop.send_replace(true);
    let address = harness.address.to_string();
    let home = harness.home.dir().to_owned();
    harness.serving.await.unwrap();
    let (code, _, err) = run(&home, &["site", "list"]).await;
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains(&address) && err.contains("refused"), "{err}");
}

#[tokio::test]
async fn help_names_no_secret_of_the_environment() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("x.env");
    std::fs::write(&file, "DATABASE_URL=postgres://u:s3cret@h/d\n").unwrap();
    let mut command = command(dir.path());
    command.env("WP_DSN", "root:s3cret@tcp(db:3306)/").arg("--env-file").arg(&file);
    let help = command.args(["serve", "--help"]).output().await.unwrap();
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains("WP_DSN") && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn a_provision_can_be_cancelled() {
    let harness = Harness::running().await;
    let (job, held) = harness.in_the_middle("hello").await;
    let (code, out, err) = harness.cli(&["job", "cancel", &job]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains(&format!("hostplane job watch {job}")), "{out}");
    held.notify_one();
    let (code, out, err) = harness.cli(&["job", "cancel", &job, "--wait"]).await;
    assert_eq!(code, Some(0), "cancelled is what was asked for: {err}");
    assert!(out.contains("cancelled"), "{out}");
    let (out, _) = harness.done(&["job", "cancel", &job, "--wait", "--json"]).await;
    assert_eq!(json(&out), harness.get(&format!("/api/v1/jobs/{job}")).await.body);
    let (_, out, _) = harness.cli(&["site", "show", "hello"]).await;
    assert!(out.contains("FAILED"), "{out}");

    let (code, out, err) = harness.cli(&["job", "watch", &job]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(err.contains("the provision of hello was cancelled") && err.contains("hostplane job retry"), "{err}");
    let (_, out, _) = harness.cli(&["job", "list", "--state", "cancelled"]).await;
    let row = out.lines().nth(1).unwrap();
    assert!(row.starts_with(&job) && row.contains("provision  cancelled"), "{out}");
}

#[tokio::test]
async fn a_wait_ends_when_its_job_is_cancelled() {
    let harness = Harness::running().await;
    let held = harness.hold();
    let mut create = command(harness.home.dir());
    create.args(["site", "create", "hello", "--wait"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut create = create.spawn().unwrap();
    let mut lines = BufReader::new(create.stderr.take().unwrap()).lines();
    // The last step before the one that is held.
    while !lines.next_line().await.unwrap().expect("it goes on").starts_with("php_container ensured") {}
    let job = harness.get("/api/v1/jobs").await.body["items"][0]["id"].as_str().unwrap().to_owned();
    harness.unpacks(&job).await;
    harness.done(&["job", "cancel", &job]).await;
    held.notify_one();
    let mut shown = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        shown = shown + &line + "\n";
    }
    assert_eq!(create.wait().await.unwrap().code(), Some(1), "{shown}");
    assert!(shown.contains("the provision of hello was cancelled") && shown.contains("hostplane job retry"), "{shown}");
}

#[tokio::test]
async fn an_impossible_cancel_ends_with_1() {
    let harness = Harness::running().await;
    let job = harness.create("hello").await;
    assert_eq!(harness.ended(&job).await, JobState::Completed);
    let (code, out, err) = harness.cli(&["job", "cancel", &job, "--wait"]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("ended"), "{err}");
    let (code, _, err) = harness.cli(&["job", "cancel", "018f0000-0000-7000-8000-000000000000"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("hostplane job list"), "{err}");
}

#[tokio::test]
async fn a_cancel_that_ends_otherwise_ends_with_1() {
    let harness = Harness::running().await;
    let (job, held) = harness.in_the_middle("hello").await;
    harness.deny_drop();
    harness.done(&["job", "cancel", &job]).await;
    held.notify_one();
    let (code, _, err) = harness.cli(&["job", "watch", &job]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("needs an operator") && err.contains("DROP command denied"), "{err}");
    assert!(err.contains("hostplane job retry") && err.contains("hostplane site destroy hello"), "{err}");
    assert!(err.contains("hostplane job cancel"), "{err}");
    let (code, _, err) = harness.cli(&["job", "cancel", &job, "--wait"]).await;
    assert_eq!(code, Some(0), "given up: {err}");
}
