//! `make dev`, as a process.

#[path = "../../examples/dev/server.rs"]
mod server;

use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// The process of the test below: a test can't start an example, since not every build has it.
#[tokio::test]
#[ignore = "serves until it is stopped"]
async fn process() {
    if std::env::var_os("DEV_PORT").is_some() {
        server::run().await.unwrap();
    }
}

#[tokio::test]
async fn the_command_line_creates_a_site() {
    let tmp = TempDir::new().unwrap();
    let mut dev = Command::new(std::env::current_exe().unwrap());
    dev.args(["dev::process", "--exact", "--ignored", "--nocapture"]).env("DEV_PORT", "0").env("TMPDIR", tmp.path());
    let mut dev = dev.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(dev.stdout.take().unwrap()).lines();
    let environment = loop {
        let line = lines.next_line().await.unwrap().expect("it serves");
        if let Some(variables) = line.trim().strip_prefix("export ") {
            let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
            break variables.split(' ').filter_map(pair).collect::<Vec<_>>();
        }
    };

    let hostplane = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hostplane"));
        let output = command.env_clear().envs(environment.clone()).args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    hostplane(&["site", "create", "shop", "--wait"]).await;
    let sites = hostplane(&["site", "list"]).await;
    assert!(sites.lines().any(|line| line.starts_with("shop  ACTIVE")), "{sites}");

    let interrupted = Command::new("kill").args(["-INT", &dev.id().unwrap().to_string()]).status().await.unwrap();
    assert!(interrupted.success());
    // Its last words are read, so that a full pipe doesn't hold it up.
    while lines.next_line().await.unwrap().is_some() {}
    assert!(dev.wait().await.unwrap().success());
    assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0, "its files are removed");
}
