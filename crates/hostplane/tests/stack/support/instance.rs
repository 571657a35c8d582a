//! An installation of its own: a home, ports, names, a control plane as a child process.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::docker::{docker_at, names_at, remove_labelled};
use crate::own_engine::OwnEngine;
use crate::three_hosts::ThreeHosts;

/// Longest wait before a test gives up.
const PATIENCE: Duration = Duration::from_mins(2);
/// Label of what tests plant.
const TEST_LABEL: &str = "hostplane-test";

pub struct Instance {
    /// The home, and the log beside it.
    dir: TempDir,
    settings: BTreeMap<String, String>,
    /// In every name of this installation and of its sites: two tests never meet.
    pub tag: String,
    pub http_port: u16,
    control_plane: Option<Child>,
    /// The Engine, if it isn't the machine's, and the network namespace in which it is reached.
    engine: Option<(String, PathBuf)>,
    /// MariaDB's container on the machine's Engine, where it is none of this installation's.
    state: Option<String>,
    /// Address of Caddy for the control plane.
    pub caddy: Ipv4Addr,
}

/// Answer of a command.
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {:?}", self.stdout))
    }
}

/// Free ports below the range from which the kernel gives ports to clients: one of those could be taken
/// between this check and the Engine's. No two tests of this process get the same.
fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let [high, low, ..] = *Uuid::new_v4().as_bytes();
        AtomicU16::new(u16::from_be_bytes([high, low]))
    });
    let next = || 20_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 12_000;
    let is_free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    [(); N].map(|()| std::iter::repeat_with(next).find(is_free).expect("a free port"))
}

/// The settings that name the images.
pub fn images() -> BTreeMap<String, String> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-images.env");
    let file = std::env::var("HOSTPLANE_TEST_ENV").unwrap_or_else(|_| default.to_owned());
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}; run images/build {file}"));
    text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

impl Instance {
    /// An installation whose platform is up and whose control plane is ready.
    pub fn up() -> Self {
        let mut instance = Self::new(&[]);
        instance.start();
        instance
    }

    /// An installation that was not started yet.
    pub fn new(more: &[(&str, &str)]) -> Self {
        let id = Uuid::new_v4();
        let tag = format!("t{}", &id.simple().to_string()[..8]);
        let [http, https, mariadb, admin] = free_ports();
        // A range of its own in 10.224.0.0/11, by chance: sites of other ranges are passed over anyway.
        let bytes = id.as_bytes();
        let pool = format!("10.{}.{}.0/24", 224 + bytes[8] % 31, bytes[9]);
        let mut settings = images();
        for (key, value) in [
            ("DOCKER_NETWORK", tag.clone()),
            ("MARIADB_CONTAINER", format!("{tag}-mariadb")),
            ("CADDY_CONTAINER", format!("{tag}-caddy")),
            ("HTTP_PORT", http.to_string()),
            ("HTTPS_PORT", https.to_string()),
            ("MARIADB_PORT", mariadb.to_string()),
            ("MARIADB_ADMIN_PORT", admin.to_string()),
            ("API_PORT", "0".to_owned()),
            ("SUBNET_POOL", pool),
            ("LOG_FORMAT", "json".to_owned()),
        ] {
            settings.insert(key.to_owned(), value);
        }
        settings.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let dir = TempDir::with_prefix("hostplane-test-").expect("a temporary directory");
        Self {
            dir,
            settings,
            tag,
            http_port: http,
            control_plane: None,
            engine: None,
            state: None,
            caddy: Ipv4Addr::LOCALHOST,
        }
    }

    /// An installation on an Engine of the test's own, not started yet.
    pub fn on(engine: &OwnEngine, more: &[(&str, &str)]) -> Self {
        let host = engine.host();
        let mut instance = Self::new(&[more, &[("DOCKER_HOST", host.as_str())]].concat());
        instance.engine = Some((engine.host(), engine.namespace()));
        instance
    }

    /// An installation on three hosts, not started yet.
    pub fn on_three_hosts(hosts: &ThreeHosts) -> Self {
        let (docker, certificates) = (hosts.docker_host(), hosts.certificates());
        let (dsn, for_sites) = (hosts.state.dsn(&format!("{certificates}/ca.pem")), hosts.state.site_db_host());
        let settings: [(&str, &str); 5] = [
            // An address without a host: sites are asked at `PROBE_ADDRESS`.
            ("APP_SERVER_IP", "192.0.2.1"),
            ("DOCKER_HOST", &docker),
            ("DOCKER_CERT_DIR", &certificates),
            ("WP_DSN", &dsn),
            ("SITE_DB_HOST", &for_sites),
        ];
        let mut instance = Self::new(&settings);
        let probe_address = format!("{}:{}", hosts.app, instance.http_port);
        instance.settings.insert("PROBE_ADDRESS".to_owned(), probe_address);
        instance.engine = Some((hosts.engine.host(), hosts.control.namespace()));
        instance.state = Some(hosts.state.name.clone());
        instance.caddy = hosts.app;
        instance
    }

    /// MariaDB's container on the machine's Engine, where it is none of this installation's.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// A range with room for one site.
    pub fn tight_pool(&self) -> String {
        self.settings["SUBNET_POOL"].replace(".0/24", ".64/29")
    }

    /// The name of a site of this installation.
    pub fn site(&self, name: &str) -> String {
        format!("{}-{name}", self.tag)
    }

    /// The host name of a site, with the port that visitors use.
    pub fn authority(&self, site: &str) -> String {
        format!("{site}.localhost:{}", self.http_port)
    }

    /// The label for what a test plants; it is removed with the installation.
    pub fn label(&self) -> String {
        format!("{TEST_LABEL}={}", self.tag)
    }

    /// Its directory with everything that must not be lost.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("hostplane.log")
    }

    /// The control database.
    pub fn database(&self) -> PathBuf {
        self.home().join("hostplane.db")
    }

    /// The number of the control plane's process.
    pub fn process(&self) -> u32 {
        self.control_plane.as_ref().expect("started").id()
    }

    /// Everything that the control plane wrote to its log.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// A program where the control plane runs.
    pub fn within(&self, program: &str) -> Command {
        let Some((_, namespace)) = &self.engine else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", namespace.display())).arg("--").arg(program);
        command
    }

    /// The address of its Engine, unless that is the machine's.
    pub fn engine(&self) -> Option<&str> {
        self.engine.as_ref().map(|(address, _)| address.as_str())
    }

    /// The value of a setting.
    pub fn setting(&self, name: &str) -> String {
        self.settings[name].clone()
    }

    /// Runs `docker` on this installation's Engine.
    pub fn docker(&self, arguments: &[&str]) -> String {
        docker_at(self.engine(), arguments).unwrap_or_else(|complaint| panic!("docker {arguments:?}: {complaint}"))
    }

    /// The names of the containers that it has made.
    pub fn containers(&self) -> Vec<String> {
        let caddy = format!("{}-caddy", self.tag);
        let id = self.docker(&["inspect", "--format", "{{index .Config.Labels \"hostplane.instance\"}}", &caddy]);
        let filter = format!("label=hostplane.instance={id}");
        let names = self.docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
        names.lines().map(str::to_owned).collect()
    }

    /// The names of everything on this installation's Engine whose name contains a text.
    pub fn names_with(&self, text: &str) -> Vec<String> {
        names_at(self.engine(), text)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.within(env!("CARGO_BIN_EXE_hostplane"));
        // Nothing of the operator's own installation is seen: neither its settings nor its control plane.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.args(arguments).envs(&self.settings).env("HOSTPLANE_HOME", self.home()).stdin(Stdio::null());
        command
    }

    /// Changes a setting; it holds from the next start on.
    pub fn set(&mut self, setting: &str, value: &str) {
        self.settings.insert(setting.to_owned(), value.to_owned());
    }

    /// A file of the test's own beside the home, which only its owner reads.
    pub fn private_file(&self, name: &str, content: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        path.to_str().expect("a path of this test").to_owned()
    }

    /// Starts `hostplane up` and waits until it is ready.
    pub fn start(&mut self) {
        self.spawn();
        self.wait_until_ready();
    }

    /// Starts `hostplane up`.
    pub fn spawn(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.log()).expect("a log file");
        let child = self.command(&["up"]).stdout(Stdio::null()).stderr(log).spawn().expect("hostplane starts");
        self.control_plane = Some(child);
    }

    /// Waits until the control plane and all that it depends on answer.
    pub fn wait_until_ready(&mut self) {
        self.wait_until(Self::is_ready);
    }

    /// Waits until the API answers, whatever else does.
    pub fn wait_until_served(&mut self) {
        self.wait_until(|instance| instance.run(&["site", "list", "--json"]).code == 0);
    }

    fn wait_until(&mut self, seen: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.control_plane.as_mut().expect("started").try_wait().expect("a child");
            assert!(ended.is_none(), "the control plane ended: {}", self.log_text());
            if seen(self) {
                return;
            }
            assert!(Instant::now() < deadline, "not ready: {}", self.log_text());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// The address of the API, read from the home.
    pub fn api(&self) -> Option<String> {
        Some(fs::read_to_string(self.home().join("api.url")).ok()?.trim().to_owned())
    }

    fn is_ready(&self) -> bool {
        let Some(api) = self.api() else { return false };
        let url = format!("{api}/readyz");
        let asked =
            self.within("curl").args(["--silent", "--fail", "--noproxy", "*", "--max-time", "5", &url]).output();
        asked.is_ok_and(|output| output.status.success())
    }

    /// Readiness of the control plane and of all that it depends on.
    pub fn readiness(&self) -> Value {
        let url = format!("{}/readyz", self.api().expect("started"));
        let asked = self.within("curl").args(["--silent", "--noproxy", "*", "--max-time", "5", &url]).output();
        serde_json::from_slice(&asked.expect("curl runs").stdout).expect("an answer in JSON")
    }

    /// Waits until something is as wanted.
    pub fn until(&self, what: &str, patience: Duration, seen: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + patience;
        while !seen(self) {
            assert!(Instant::now() < deadline, "{what} does not come to pass: {}", self.log_text());
            std::thread::park_timeout(Duration::from_millis(250));
        }
    }

    /// Ends the control plane with SIGKILL, in the middle of whatever it does.
    pub fn kill(&mut self) {
        let mut child = self.control_plane.take().expect("started");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Ends the control plane with SIGTERM and waits for it.
    pub fn stop(&mut self) {
        let mut child = self.control_plane.take().expect("started");
        let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert!(killed.success());
        assert!(child.wait().expect("it ends").success(), "{}", self.log_text());
    }

    /// Runs a command of the control plane.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("hostplane runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Answer { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Gives an order without waiting for the answer.
    pub fn order(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("hostplane runs")
    }

    /// Runs a command that has to succeed.
    pub fn done(&self, arguments: &[&str]) -> Answer {
        let answer = self.run(arguments);
        assert_eq!(answer.code, 0, "{arguments:?}: {} {} {}", answer.stdout, answer.stderr, self.log_text());
        answer
    }

    /// Creates a site and waits until it is there.
    pub fn create(&self, site: &str) {
        self.done(&["site", "create", site, "--wait"]);
    }

    /// Destroys a site and waits until nothing of it is left.
    pub fn destroy(&self, site: &str) {
        self.done(&["site", "destroy", site, "--yes", "--wait"]);
    }

    /// The newest job of a site.
    pub fn job(&self, site: &str) -> Value {
        let id = self.done(&["job", "list", "--site", site, "--json"]).json()["items"][0]["id"].clone();
        self.done(&["job", "show", id.as_str().expect("an id"), "--json"]).json()
    }

    /// Asks for the newest job of a site until it is as wanted.
    pub fn job_when(&self, site: &str, seen: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let job = self.job(site);
            if seen(&job) {
                return job;
            }
            assert!(Instant::now() < deadline, "{job:#} {}", self.log_text());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Asks for a job until it is as wanted.
    pub fn job_of_id_when(&self, id: &str, seen: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let job = self.done(&["job", "show", id, "--json"]).json();
            if seen(&job) {
                return job;
            }
            assert!(Instant::now() < deadline, "{job:#} {}", self.log_text());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Waits until the newest job that is no repair is as wanted.
    pub fn newest_job_when(&self, seen: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let jobs = self.done(&["job", "list", "--json"]).json();
            let is_ordered = |job: &&Value| job["operation"] != "repair";
            let job =
                jobs["items"].as_array().and_then(|jobs| jobs.iter().find(is_ordered)).cloned().unwrap_or_default();
            if seen(&job) {
                return job;
            }
            assert!(Instant::now() < deadline, "{job:#} {}", self.log_text());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Waits until a site is as wanted.
    pub fn site_when(&self, site: &str, seen: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.done(&["site", "show", site, "--json"]).json();
            if seen(&shown) {
                return;
            }
            assert!(Instant::now() < deadline, "{shown:#} {}", self.log_text());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Waits until a site is no more.
    pub fn gone(&self, site: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(&["site", "show", site]).code != 1 {
            assert!(Instant::now() < deadline, "{} {}", self.job(site), self.log_text());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// The newest start found a job that was running when the one before was killed.
    pub fn took_up_jobs(&self) -> bool {
        let log = self.log_text();
        let newest = log.rsplit_once("the control plane serves").map_or("", |(earlier, _)| earlier);
        let newest = newest.rsplit_once("the control plane serves").map_or(newest, |(_, newest)| newest);
        newest.contains("taking up jobs")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(mut child) = self.control_plane.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        remove_labelled(&self.label());
        let cleaned = self.run(&["clean", "--yes"]);
        // A second panic would end the process before other tests have cleaned up.
        if !std::thread::panicking() {
            let left = self.names_with(&self.tag);
            assert_eq!(cleaned.code, 0, "{}", cleaned.stderr);
            assert_eq!(left, Vec::<String>::new(), "clean leaves nothing");
        }
    }
}
