//! Several control planes by name, as a process.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use hostplane_domain::token::TokenScope;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::Harness;

/// A user with settings but without a control plane's home.
pub struct User {
    pub dir: TempDir,
}

impl User {
    pub fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hostplane"));
        command.env_clear().env("HOME", self.dir.path()).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        ended(self.command().args(arguments)).await
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join(".config/hostplane/contexts.json")
    }
}

pub async fn ended(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().await.unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn token_file(home: &Path) -> String {
    home.join("token").display().to_string()
}

#[tokio::test]
async fn two_control_planes_are_chosen_by_name() {
    let (one, other) = (Harness::idle().await, Harness::idle().await);
    one.create("alpha").await;
    other.create("omega").await;
    let user = User::new();
    for (name, harness) in [("one", &one), ("other", &other)] {
        let (api, token) = (format!("http://{}", harness.address), token_file(harness.home.dir()));
        let (code, _, err) = user.run(&["context", "add", name, "--api", &api, "--token-file", &token]).await;
        assert_eq!(code, Some(0), "{err}");
        assert!(err.contains(&format!("hostplane context use {name}")) && !err.contains(&harness.token), "{err}");
    }
    let (_, out, _) = user.run(&["site", "list", "--context", "one"]).await;
    assert!(out.contains("alpha") && !out.contains("omega"), "{out}");
    let (_, out, _) = ended(user.command().args(["site", "list"]).env("HOSTPLANE_CONTEXT", "other")).await;
    assert!(out.contains("omega") && !out.contains("alpha"), "{out}");
    let (code, _, err) = user.run(&["site", "list"]).await;
    assert_eq!(code, Some(3), "none is in use: {err}");
    assert!(err.contains("--context"), "{err}");

    assert_eq!(user.run(&["context", "use", "other"]).await.0, Some(0));
    let (_, out, _) = user.run(&["site", "list"]).await;
    assert!(out.contains("omega"), "{out}");
    let (_, out, _) = ended(user.command().args(["site", "list"]).env("HOSTPLANE_HOME", one.home.dir())).await;
    assert!(out.contains("alpha"), "a home that is named wins over the context in use: {out}");

    let (_, out, err) = user.run(&["context", "list", "--json"]).await;
    let list: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&list["items"][1]["name"], &list["items"][1]["in_use"]), (&"other".into(), &true.into()));
    let (_, text, _) = user.run(&["context", "list"]).await;
    for harness in [&one, &other] {
        assert!(!(out.clone() + &err + &text).contains(&harness.token), "no token is printed");
        assert!(text.contains(&harness.address.to_string()), "{text}");
    }

    assert_eq!(user.run(&["context", "use", "--none"]).await.0, Some(0));
    assert_eq!(user.run(&["site", "list"]).await.0, Some(3));
    assert_eq!(user.run(&["context", "remove", "one"]).await.0, Some(0));
    let (code, _, err) = user.run(&["site", "list", "--context", "one"]).await;
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("there are: other") && err.contains("hostplane context add one"), "{err}");
}

#[tokio::test]
async fn a_token_is_read_and_replaced() {
    let harness = Harness::idle().await;
    let (user, api) = (User::new(), format!("http://{}", harness.address));
    let (_, read) = harness.token_of(TokenScope::Read).await;
    let mut add = user.command();
    add.args(["context", "add", "it", "--api", &api, "--token-file", "-"]).stdin(Stdio::piped());
    let mut add = add.spawn().unwrap();
    add.stdin.take().unwrap().write_all(format!("{read}\n").as_bytes()).await.unwrap();
    assert!(add.wait().await.unwrap().success());

    let (code, _, err) = user.run(&["site", "create", "hello", "--context", "it"]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("operate") && err.contains(&api) && err.contains("context it"), "{err}");

    let again = ["context", "add", "it", "--api", &api];
    let (code, _, err) = ended(user.command().args(again).env("HOSTPLANE_TOKEN", &harness.token)).await;
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("--replace"), "{err}");
    let replaced = ended(user.command().args(again).arg("--replace").env("HOSTPLANE_TOKEN", &harness.token)).await;
    assert_eq!(replaced.0, Some(0), "{}", replaced.2);
    let (code, _, err) = user.run(&["site", "create", "hello", "--context", "it"]).await;
    assert_eq!(code, Some(0), "{err}");
}

#[tokio::test]
async fn bad_usage_ends_with_2_and_keeps_nothing() {
    let user = User::new();
    for arguments in [
        &["context", "add", "it"][..],
        &["context", "add", "it", "--api", "http://127.0.0.1:1"],
        &["context", "add", "it", "--api", "ftp://127.0.0.1:1", "--token-file", "-"],
        &["context", "add", "it", "--api", "http://192.0.2.1:1", "--token-file", "-"],
        &["context", "add", "it", "--api", "https://127.0.0.1:1", "--ca-file", "nowhere", "--token-file", "-"],
        &["context", "add", "a b", "--api", "http://127.0.0.1:1", "--token-file", "-"],
        &["context", "add", "it", "--api", "http://127.0.0.1:1", "--token-file", "-"],
        &["context", "use"],
        &["context", "use", "it"],
        &["context", "use", "it", "--none"],
        &["context", "remove", "it"],
        &["site", "list", "--context", "it"],
        &["site", "list", "--context", "../it"],
        &["site", "list", "--context", "it", "--api", "http://127.0.0.1:1"],
        &["completions"],
        &["completions", "powershell"],
    ] {
        let (code, out, err) = user.run(arguments).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
    assert!(!user.file().exists());
}

#[tokio::test]
async fn a_file_that_others_can_read_is_refused() {
    let harness = Harness::idle().await;
    let (user, api) = (User::new(), format!("http://{}", harness.address));
    let token = token_file(harness.home.dir());
    assert_eq!(user.run(&["context", "add", "it", "--api", &api, "--token-file", &token]).await.0, Some(0));
    std::fs::set_permissions(user.file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, err) = user.run(&["site", "list", "--context", "it"]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("chmod") && !err.contains(&harness.token), "{err}");
}

#[tokio::test]
async fn a_refusal_names_its_control_plane() {
    let harness = Harness::idle().await;
    let home = harness.home.dir().display().to_string();
    let user = User::new();
    for arguments in [&["site", "show", "absent"][..], &["site", "list"]] {
        let mut command = user.command();
        command.args(arguments).args(["--hostplane-home", &home]);
        if arguments == ["site", "list"] {
            command.env("HOSTPLANE_TOKEN", "hp_wrong");
        }
        let (code, _, err) = ended(&mut command).await;
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains(&format!("Asked: http://{}", harness.address)) && !err.contains("hp_wrong"), "{err}");
    }
}

#[tokio::test]
async fn completions_know_every_command() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, err) = user.run(&["completions", shell]).await;
        assert_eq!((code, err.as_str()), (Some(0), ""), "{shell}");
        for word in ["credentials", "context", "revoke", "completions", "hostplane"] {
            assert!(out.contains(word), "{shell} lacks {word}");
        }
    }
}
