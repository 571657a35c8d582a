//! Logs of a site's containers, and programs in them, through the API and the command line.

use std::process::Stdio;

use hostplane_infra::clock::Clock;
use hostplane_infra::containers::{ContainerState, Containers, EXEC_OUTPUT_LIMIT, Exec};
use hostplane_infra::error::Dependency;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::bad_input::problem;
use crate::cli::command;
use crate::harness::{Answered, Harness, assert_snapshot};

impl Harness {
    async fn exec(&self, body: &Value) -> Answered {
        self.post("/api/v1/sites/hello/exec", body).await
    }

    /// Has a container's program print a text.
    async fn print(&self, container: &str, file: &str, text: &'static [u8]) {
        let argv = vec!["tee".to_owned(), file.to_owned()];
        let id = self.world.state().containers.container(container).unwrap().0.to_owned();
        self.world.exec(&id, &Exec { argv, user: None, stdin: text.into() }).await.unwrap();
        // The next line gets a later time, in whatever container.
        let printed = self.world.clock().now();
        while self.world.clock().now() <= printed {
            std::hint::spin_loop();
        }
    }

    /// Time, container, stream and text of each line.
    async fn lines(&self, query: &str) -> Vec<[String; 4]> {
        let answer = self.get(&format!("/api/v1/sites/hello/logs{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let member = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
        let line = |line: &Value| ["time", "container", "stream", "text"].map(|name| member(line, name));
        answer.body["lines"].as_array().unwrap().iter().map(line).collect()
    }
}

async fn with_a_log() -> Harness {
    let harness = Harness::with_hello().await;
    harness.print("nginx_hello", "/proc/1/fd/1", b"GET / 200\n").await;
    harness.print("php_hello", "/proc/1/fd/2", b"PHP Warning: \x1b]0;x\x07\xff\n").await;
    harness.print("nginx_hello", "/proc/1/fd/1", b"GET /b 200\n").await;
    harness
}

fn texts(lines: &[[String; 4]]) -> Vec<&str> {
    lines.iter().map(|[.., text]| text.as_str()).collect()
}

#[tokio::test]
async fn a_log_has_both_containers_in_time_order() {
    let harness = with_a_log().await;
    assert_snapshot("log", &harness.get("/api/v1/sites/hello/logs").await.body);
    let all = harness.lines("").await;
    assert!(all.is_sorted_by(|[one, ..], [next, ..]| one < next), "{all:?}");
    let to = |n: usize| &all[n][0];
    assert_eq!(texts(&harness.lines("?container=php").await), texts(&all[1..2]));
    assert_eq!(texts(&harness.lines("?lines=2").await), texts(&all[1..]), "the newest of both together");
    assert_eq!(harness.lines(&format!("?after={}", to(0))).await, all[1..]);
    assert_eq!(harness.lines(&format!("?after={}&container=php", to(1))).await.len(), 0);
}

#[tokio::test]
async fn a_log_lives_as_long_as_its_container() {
    let harness = with_a_log().await;
    harness.world.state().containers.container_mut("nginx_hello").unwrap().state = ContainerState::Exited;
    assert_eq!(harness.lines("?container=nginx").await.len(), 2);
    let id = harness.world.state().containers.container("nginx_hello").unwrap().0.to_owned();
    harness.world.remove_container(&id).await.unwrap();
    assert_eq!(harness.lines("").await.len(), 1, "the other one's");
}

#[tokio::test]
async fn a_foreign_container_is_neither_shown_nor_used() {
    let harness = with_a_log().await;
    for container in ["php_hello", "nginx_hello"] {
        harness.world.state().containers.container_mut(container).unwrap().labels.clear();
    }
    assert_eq!(harness.lines("").await.len(), 0);
    assert_eq!(problem(&harness.exec(&json!({ "argv": ["true"] })).await, 409), "site-not-running");
}

#[tokio::test]
async fn a_program_runs_as_the_site_s_user() {
    let harness = Harness::with_hello().await;
    let answer = harness.exec(&json!({ "argv": ["id", "--user"] })).await;
    let expected = json!({ "exit_code": 0, "timed_out": false, "stdout": "33\n", "stderr": "", "truncated": false });
    assert_eq!((answer.status, answer.body), (StatusCode::OK, expected));
    let answer = harness.exec(&json!({ "argv": ["cat", "/nothing"], "timeout_s": 1 })).await;
    assert_eq!((&answer.body["exit_code"], &answer.body["timed_out"]), (&json!(1), &json!(false)));
    assert_eq!(answer.body["stderr"], "cat: /nothing: No such file or directory\n");
    let answer = harness.exec(&json!({ "argv": ["cat"], "stdin": "in" })).await;
    assert_eq!(answer.body["stdout"], "in");
    let count = EXEC_OUTPUT_LIMIT + 1;
    let answer = harness.exec(&json!({ "argv": ["head", "--bytes", count.to_string(), "/dev/zero"] })).await;
    assert_eq!(answer.body["truncated"], true);
    assert_eq!(answer.body["stdout"].as_str().unwrap().len(), EXEC_OUTPUT_LIMIT);
    let answer = harness.exec(&json!({ "argv": ["nonesuch; id"] })).await;
    assert_eq!(answer.body["exit_code"], 127, "no shell runs it: {}", answer.body);
}

#[tokio::test]
async fn invalid_programs_are_refused() {
    let harness = Harness::with_hello().await;
    for (body, pointer) in [
        (json!({}), "/argv"),
        (json!({ "argv": null }), "/argv"),
        (json!({ "argv": [] }), "/argv"),
        (json!({ "argv": "php -v" }), "/argv"),
        (json!({ "argv": [""] }), "/argv"),
        (json!({ "argv": ["php", 1] }), "/argv"),
        (json!({ "argv": ["php\0"] }), "/argv"),
        (json!({ "argv": vec!["x"; 257] }), "/argv"),
        (json!({ "argv": ["php"], "timeout_s": 0 }), "/timeout_s"),
        (json!({ "argv": ["php"], "timeout_s": 51 }), "/timeout_s"),
        (json!({ "argv": ["php"], "timeout_s": -1 }), "/timeout_s"),
        (json!({ "argv": ["php"], "stdin": [1] }), "/stdin"),
        (json!({ "argv": ["php"], "user": "root" }), "/user"),
    ] {
        let answer = harness.exec(&body).await;
        assert_eq!(problem(&answer, 422), "invalid-field", "{body}");
        assert_eq!(answer.body["pointer"], pointer, "{body}");
    }
    let large = json!({ "argv": ["cat"], "stdin": "x".repeat(66_000) });
    assert_eq!(problem(&harness.exec(&large).await, 413), "body-too-large");
}

#[tokio::test]
async fn a_program_needs_an_active_running_site() {
    let harness = Harness::running().await;
    let (job, held) = harness.in_the_middle("hello").await;
    let body = json!({ "argv": ["true"] });
    assert_eq!(problem(&harness.exec(&body).await, 409), "wrong-status");
    held.notify_one();
    harness.ended(&job).await;
    assert_eq!(harness.exec(&body).await.status, StatusCode::OK);
    harness.world.state().containers.container_mut("php_hello").unwrap().state = ContainerState::Exited;
    let answer = harness.exec(&body).await;
    assert_eq!(problem(&answer, 409), "site-not-running");
    assert!(answer.body["detail"].as_str().unwrap().contains("hostplane site logs hello"), "{}", answer.body);
}

#[tokio::test]
async fn an_unanswering_engine_is_the_named_cause() {
    let harness = with_a_log().await;
    harness.cut_off(Dependency::DOCKER);
    for answer in [harness.get("/api/v1/sites/hello/logs").await, harness.exec(&json!({ "argv": ["true"] })).await] {
        assert_eq!(problem(&answer, 503), "unanswered");
        assert!(answer.body["detail"].as_str().unwrap().contains("docker."), "{}", answer.body);
    }
}

#[tokio::test]
async fn shown_logs_hold_no_control_characters() {
    let harness = with_a_log().await;
    let (out, _) = harness.done(&["site", "logs", "hello", "-n", "2"]).await;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].ends_with("Z php   PHP Warning: \u{fffd}]0;x\u{fffd}\u{fffd}"), "{out}");
    assert!(lines[1].ends_with("Z nginx GET /b 200"), "{out}");
    let (_, out, _) = harness.cli(&["site", "logs", "hello", "--container", "nginx", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["lines"].as_array().unwrap().len(), 2);
    let (code, _, _) = harness.cli(&["site", "logs", "hello", "--follow", "--json"]).await;
    assert_eq!(code, Some(2));
    let (code, _, err) = harness.cli(&["site", "logs", "absent"]).await;
    assert!(code == Some(1) && err.contains("no site absent"), "{err}");
}

#[tokio::test]
async fn the_command_line_follows_a_log() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let harness = with_a_log().await;
    let mut command = command(harness.home.dir());
    let mut child =
        command.args(["site", "logs", "hello", "-f"]).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        lines.next_line().await.unwrap().unwrap();
    }
    harness.print("php_hello", "/proc/1/fd/2", b"later\n").await;
    let next = lines.next_line().await.unwrap().unwrap();
    assert!(next.ends_with("php   later"), "each line once: {next}");
}

#[tokio::test]
async fn the_command_line_passes_on_output() {
    let harness = Harness::with_hello().await;
    let exec = |argv: &[&'static str]| [&["site", "exec", "hello", "--"][..], argv].concat();
    let (code, out, err) = harness.cli(&exec(&["id", "--user"])).await;
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "33\n", ""));
    let (code, out, err) = harness.cli(&exec(&["cat", "/nothing"])).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("No such file") && err.contains("exit code 1"), "{err}");
    let (code, out, _) = harness.cli(&["site", "exec", "hello", "--json", "--", "false"]).await;
    assert_eq!((code, &serde_json::from_str::<Value>(&out).unwrap()["exit_code"]), (Some(1), &json!(1)));
    for bad in [
        &["site", "exec", "hello"][..],
        &["site", "exec", "hello", "id"],
        &["site", "exec", "hello", "--timeout", "0", "--", "id"],
    ] {
        assert_eq!(harness.cli(bad).await.0, Some(2), "{bad:?}");
    }
    let mut command = command(harness.home.dir());
    command.args(["site", "exec", "hello", "-i", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"from here\n").await.unwrap();
    drop(stdin);
    assert_eq!(child.wait_with_output().await.unwrap().stdout, b"from here\n");
}
