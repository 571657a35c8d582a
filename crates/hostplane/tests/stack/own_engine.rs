//! A Docker Engine of the test's own, which may be killed: it shares nothing with the machine's but the kernel.
//!
//! It has a network namespace of its own, so that its bridges, addresses and packet filter never meet those of
//! the machine's Engine. What talks to its containers has to be inside too.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::docker::docker_at;

const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(50);

pub struct OwnEngine {
    dir: TempDir,
    /// Keeps the namespace alive.
    holder: Child,
    daemon: Option<Child>,
}

impl OwnEngine {
    /// An Engine that runs and has these images of the machine's.
    pub fn with(images: &[String]) -> Self {
        let dir = TempDir::with_prefix("hostplane-engine-").expect("a temporary directory");
        let holder = Command::new("unshare").args(["--net", "sleep", "infinity"]).stdin(Stdio::null()).spawn();
        let mut engine = Self { dir, holder: holder.expect("unshare runs"), daemon: None };
        let outside = fs::read_link("/proc/self/ns/net").expect("a namespace");
        let deadline = Instant::now() + PATIENCE;
        while fs::read_link(engine.namespace()).is_ok_and(|inside| inside == outside) {
            assert!(Instant::now() < deadline, "no namespace");
            std::thread::park_timeout(LOOK);
        }
        let up = engine.within("ip").args(["link", "set", "lo", "up"]).status().expect("ip runs");
        assert!(up.success());
        engine.start();
        let mut save = Command::new("docker").arg("save").args(images).stdout(Stdio::piped()).spawn().expect("docker");
        let saved = save.stdout.take().expect("a pipe");
        let load = Command::new("docker").args(["--host", &engine.host(), "load", "--quiet"]).stdin(saved).output();
        assert!(load.expect("docker runs").status.success() && save.wait().expect("it ends").success());
        engine
    }

    /// What `DOCKER_HOST` is set to.
    pub fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("docker.sock").display())
    }

    /// The file of the network namespace.
    pub fn namespace(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// Starts the Engine and waits until it answers.
    pub fn start(&mut self) {
        let path = |name: &str| self.dir.path().join(name);
        // After a kill the Engine's containerd ends too. Where the first process of the machine doesn't reap
        // orphans its number stays taken, and the file with it would make the Engine wait for it.
        let _ = fs::remove_file(path("exec/containerd/containerd.pid"));
        let log = fs::File::options().create(true).append(true).open(path("log")).expect("a log file");
        let daemon = self
            .within("dockerd")
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .args(["--host", &self.host()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.daemon = Some(daemon.expect("dockerd starts"));
        let deadline = Instant::now() + PATIENCE;
        while docker_at(Some(&self.host()), &["version"]).is_err() {
            let log = || fs::read_to_string(path("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the Engine does not come: {}", log());
            std::thread::park_timeout(LOOK);
        }
    }

    /// Ends the Engine with a signal, and waits for its end.
    pub fn end(&mut self, signal: &str) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let _ = Command::new("kill").args(["-s", signal, &daemon.id().to_string()]).status();
        let _ = daemon.wait();
    }

    /// A program inside the namespace.
    fn within(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace().display())).arg("--").arg(program);
        command
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        // In order it takes its containers with it.
        self.end("TERM");
        let dir = self.dir.path().display().to_string();
        // What an Engine that was killed left running, known by its directory.
        for process in processes_about(&dir) {
            let _ = Command::new("kill").args(["-KILL", &process]).status();
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        // The innermost first.
        for place in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if place.starts_with(&dir) {
                let _ = Command::new("umount").args(["--lazy", place]).status();
            }
        }
    }
}

/// Processes whose command line names a directory.
fn processes_about(dir: &str) -> Vec<String> {
    let Ok(found) = fs::read_dir("/proc") else { return Vec::new() };
    let names = found.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let numbers = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let is_about = |process: &String| {
        fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(dir))
    };
    numbers.filter(is_about).collect()
}
