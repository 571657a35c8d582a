//! The three roles on three hosts: the control plane on one, an Engine behind TLS on another, MariaDB on a third.
//! The third is the machine itself, where MariaDB runs in a container. No host sees another but by its cable.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use hostplane_domain::secret::mariadb_hash;
use tempfile::TempDir;

use crate::docker::{docker, try_docker};
use crate::host::{Host, cable};
use crate::instance::{Instance, images};
use crate::own_engine::OwnEngine;
use hostplane_testing::certificates::Authority;

const PORT: u16 = 2376;
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(200);

pub struct ThreeHosts {
    pub control: Host,
    pub engine: OwnEngine,
    pub state: StateHost,
    /// The app host's address on the control plane's cable.
    pub app: Ipv4Addr,
    client: TempDir,
    _server: TempDir,
}

impl ThreeHosts {
    pub fn new() -> Self {
        let (control, app) = (Host::new(), Host::new());
        let (app_for_control, _) = cable(&app, Some(&control));
        let (_, state_for_control) = cable(&control, None);
        let (_, state_for_sites) = cable(&app, None);
        let authority = Authority::new();
        let client = authority.client();
        let state = StateHost::start(&authority, state_for_control, state_for_sites);
        let server = authority.server(&app_for_control.to_string());
        let address = SocketAddr::from((app_for_control, PORT));
        let mut engine = OwnEngine::behind_tls(app, address, server.path());
        engine.start();
        let of_sites = images().into_iter().filter(|(setting, _)| setting != "MARIADB_IMAGE");
        engine.load(&of_sites.map(|(_, image)| image).collect::<Vec<_>>());
        Self { control, engine, state, app: app_for_control, client, _server: server }
    }

    pub fn docker_host(&self) -> String {
        format!("tcp://{}:{PORT}", self.app)
    }

    pub fn certificates(&self) -> String {
        self.client.path().display().to_string()
    }
}

/// MariaDB in a container that goes when it is dropped. Its administrator has to use TLS.
pub struct StateHost {
    pub name: String,
    for_control: Ipv4Addr,
    for_sites: Ipv4Addr,
}

const ADMIN: &str = "hostplane";
/// With what both forms of the address have to cope with.
const PASSWORD: &str = "p@ss:w%rd";
const MARIADB: u16 = 3306;
/// Directory from which the image reads its first statements.
const FILES: &str = "/docker-entrypoint-initdb.d";

impl StateHost {
    /// With a certificate that is made out to the address under which the control plane sees it.
    fn start(authority: &Authority, for_control: Ipv4Addr, for_sites: Ipv4Addr) -> Self {
        let state = Self { name: format!("hostplane-state-{:08x}", fastrand::u32(..)), for_control, for_sites };
        let hash = mariadb_hash(&PASSWORD.into());
        let dir = authority.server(&for_control.to_string());
        let sql = format!(
            "CREATE USER `{ADMIN}`@`%` IDENTIFIED VIA mysql_native_password USING '{hash}' REQUIRE SSL;\n\
             GRANT ALL PRIVILEGES ON *.* TO `{ADMIN}`@`%` WITH GRANT OPTION;\n"
        );
        std::fs::write(dir.path().join("admin.sql"), sql).expect("a file");
        // In the container it is another user's.
        let readable = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(dir.path().join("key.pem"), readable).expect("a mode");
        let publish = [for_control, for_sites].map(|address| format!("{address}:{MARIADB}:{MARIADB}"));
        let image = images()["MARIADB_IMAGE"].clone();
        let command = ["create", "--name", &state.name, "--user", "999:999", "--memory", "768m"];
        let published = ["--publish", &publish[0], "--publish", &publish[1], &image];
        docker(&[command.as_slice(), &published, &["mariadbd", "--skip-name-resolve"]].concat());
        let files = format!("{}/.", dir.path().display());
        docker(&["cp", &files, &format!("{}:{FILES}", state.name)]);
        docker(&["start", &state.name]);
        state.wait_for_the_administrator();
        // Only now: the image's own client, by which it is set up, would refuse a CA that it doesn't know.
        let settings = dir.path().join("tls.cnf");
        let text = format!("[mariadbd]\nssl-cert={FILES}/cert.pem\nssl-key={FILES}/key.pem\n");
        std::fs::write(&settings, text).expect("a file");
        let place = format!("{}:/etc/mysql/mariadb.conf.d/99-tls.cnf", state.name);
        docker(&["cp", &settings.display().to_string(), &place]);
        docker(&["restart", &state.name]);
        state
    }

    fn wait_for_the_administrator(&self) {
        let ask = ["exec", "--user", "0", &self.name, "mariadb", "-e", "SHOW CREATE USER hostplane"];
        let deadline = Instant::now() + PATIENCE;
        while let Err(complaint) = try_docker(&ask) {
            assert!(Instant::now() < deadline, "MariaDB is not set up: {complaint}");
            std::thread::park_timeout(PAUSE);
        }
    }

    /// As the control plane sees it, in Go's form, with the CA that has to have signed its certificate.
    pub fn dsn(&self, ca: &str) -> String {
        format!("{ADMIN}:{PASSWORD}@tcp({}:{MARIADB})/?tls=true&ssl-ca={ca}", self.for_control)
    }

    /// As the sites see it.
    pub fn site_db_host(&self) -> String {
        format!("{}:{MARIADB}", self.for_sites)
    }
}

impl Drop for StateHost {
    fn drop(&mut self) {
        let _ = try_docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

#[tokio::test]
async fn a_site_lives_on_three_hosts() {
    let hosts = ThreeHosts::new();
    let mut instance = Instance::on_three_hosts(&hosts);
    instance.start();
    let (site, other) = (instance.site("far"), instance.site("other"));
    instance.create(&site);
    instance.expect_whole(&site);
    let names = instance.names_with(&instance.tag);
    assert!(names.iter().any(|name| name.ends_with("-caddy")), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("mariadb")), "no MariaDB of its own: {names:?}");

    instance.create(&other);
    instance.destroy(&site);
    assert_eq!(instance.traces_of(&site), Vec::<String>::new());
    instance.expect_whole(&other);
    let log = instance.log_text();
    assert!(!log.contains(PASSWORD) && !log.contains("PRIVATE KEY"), "{log}");

    // The installation's drop checks what is left on the app host. In the database server that is
    // the ledger, which other installations may use, with nothing in it.
    instance.stop();
    instance.done(&["clean", "--yes"]);
    assert_eq!(instance.sql("SHOW DATABASES LIKE 'wp\\_%'"), "wp__hostplane");
    assert_eq!(instance.sql("SELECT user FROM mysql.global_priv WHERE user LIKE 'wp\\_%'"), "");
    let ledger = instance.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'wp__hostplane'");
    for table in ledger.lines() {
        assert_eq!(instance.sql(&format!("SELECT * FROM wp__hostplane.`{table}`")), "", "{table}");
    }
}
