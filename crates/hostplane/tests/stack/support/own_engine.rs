//! A Docker Engine of the test's own, which may be killed: it shares nothing with the machine's but the kernel.
//!
//! It has a network namespace of its own, so that its bridges, addresses and packet filter never meet those of
//! the machine's Engine. What talks to its containers has to be inside too.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::docker::docker_at;
use crate::host::Host;

const PATIENCE: Duration = Duration::from_mins(1);
/// Port on which an Engine without TLS also listens, on all addresses of its namespace and for any client.
pub const DOCKER_PORT: u16 = 2375;
const PAUSE: Duration = Duration::from_millis(50);

pub struct OwnEngine {
    dir: TempDir,
    host: Host,
    /// Address on which it listens besides its socket, and the server's three files for it.
    tls: Option<(SocketAddr, PathBuf)>,
    daemon: Option<Child>,
}

impl OwnEngine {
    /// An Engine that runs and has these images of the machine's.
    pub fn with(images: &[String]) -> Self {
        let mut engine = Self::new(Host::new(), None);
        engine.start();
        engine.load(images);
        engine
    }

    /// The same with a disk of its own for its data, of a size in MiB.
    pub fn with_a_disk(images: &[String], mib: u32) -> Self {
        let mut engine = Self::new(Host::new(), None);
        let data = engine.dir.path().join("data");
        fs::create_dir(&data).expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(&data);
        assert!(mount.status().expect("mount runs").success());
        engine.start();
        engine.load(images);
        engine
    }

    /// An Engine on a host that also listens behind TLS, not started yet.
    pub fn behind_tls(host: Host, address: SocketAddr, files: &Path) -> Self {
        Self::new(host, Some((address, files.to_owned())))
    }

    fn new(host: Host, tls: Option<(SocketAddr, PathBuf)>) -> Self {
        let dir = TempDir::with_prefix("hostplane-engine-").expect("a temporary directory");
        Self { dir, host, tls, daemon: None }
    }

    /// Gives it images of the machine's Engine.
    pub fn load(&self, images: &[String]) {
        let mut save = Command::new("docker").arg("save").args(images).stdout(Stdio::piped()).spawn().expect("docker");
        let saved = save.stdout.take().expect("a pipe");
        let load = Command::new("docker").args(["--host", &self.host(), "load", "--quiet"]).stdin(saved).output();
        assert!(load.expect("docker runs").status.success() && save.wait().expect("it ends").success());
    }

    /// Value of `DOCKER_HOST` on its own machine.
    pub fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("docker.sock").display())
    }

    /// The file of the network namespace.
    pub fn namespace(&self) -> PathBuf {
        self.host.namespace()
    }

    /// Starts the Engine and waits until it answers.
    pub fn start(&mut self) {
        let path = |name: &str| self.dir.path().join(name);
        // After a kill the Engine's containerd ends too. Where the first process of the machine doesn't reap
        // orphans its number stays taken, and the file with it would make the Engine wait for it.
        let _ = fs::remove_file(path("exec/containerd/containerd.pid"));
        let log = fs::File::options().create(true).append(true).open(path("log")).expect("a log file");
        let mut daemon = self.host.within("dockerd");
        if let Some((address, files)) = &self.tls {
            daemon.args(["--host", &format!("tcp://{address}"), "--tlsverify"]);
            for (option, file) in [("--tlscacert", "ca.pem"), ("--tlscert", "cert.pem"), ("--tlskey", "key.pem")] {
                daemon.arg(option).arg(files.join(file));
            }
        } else {
            daemon.args(["--host", &format!("tcp://0.0.0.0:{DOCKER_PORT}"), "--tls=false"]);
        }
        let daemon = daemon
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
            std::thread::park_timeout(PAUSE);
        }
    }

    /// Ends the Engine with a signal, and waits for its end.
    pub fn end(&mut self, signal: &str) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let _ = Command::new("kill").args(["-s", signal, &daemon.id().to_string()]).status();
        let _ = daemon.wait();
    }

    /// Runs a program inside the namespace and gives what it prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.host.within(arguments[0]).args(&arguments[1..]).output().expect("nsenter runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
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
