//! Reads the state of an installation's sites outside its database, and changes nothing.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::docker::docker;
use crate::instance::Instance;

/// Longest time for which candidates of Caddy's configuration stay after their change.
const CANDIDATES_PATIENCE: Duration = Duration::from_secs(10);

impl Instance {
    /// A site is there as it should be: its status, each of its resources, its front page.
    pub fn expect_whole(&self, site: &str) {
        // Whether Caddy has its route is known a moment after a start.
        self.site_when(site, |shown| {
            let resources = shown["resources"].as_array().expect("resources");
            shown["status"] == "ACTIVE" && resources.iter().all(|resource| resource["state"] == "present")
        });
        self.expect_front_page(site);
    }

    /// A site's front page is what WordPress shows at first.
    pub fn expect_front_page(&self, site: &str) {
        let page = self.front_page(site);
        assert!(page.as_ref().is_some_and(|page| page.contains("Hello world!")), "{site}: {page:?}");
    }

    /// A site's front page with its headers, if it is served.
    pub fn front_page(&self, site: &str) -> Option<String> {
        let host = format!("Host: {}", self.authority(site));
        let url = format!("http://{}:{}/", self.caddy, self.http_port);
        let options = ["--silent", "--include", "--fail", "--noproxy", "*", "--header"];
        let asked = self.within("curl").args(options).args([&host, &url]).output().expect("curl runs");
        asked.status.success().then(|| String::from_utf8_lossy(&asked.stdout).into_owned())
    }

    /// Statements in MariaDB as its root, who has a way in only from inside.
    pub fn sql(&self, statements: &str) -> String {
        let own = format!("{}-mariadb", self.tag);
        let container = self.state().unwrap_or(&own);
        // On the server's own socket; its client would want to know the CA.
        let client =
            ["exec", "--user", "0", container, "mariadb", "--skip-ssl", "--batch", "--skip-column-names", "-e"];
        let ask = [client.as_slice(), &[statements]].concat();
        // A server of its own host is on the machine's Engine.
        if self.state().is_some() { docker(&ask) } else { self.docker(&ask) }
    }

    /// The sites to which anything outside belongs that carries this installation's mark.
    pub fn sites_outside(&self) -> Vec<String> {
        let caddy = format!("{}-caddy", self.tag);
        let instance = self.docker(&["inspect", "--format", "{{index .Config.Labels \"hostplane.instance\"}}", &caddy]);
        let filter = format!("label=hostplane.instance={instance}");
        let mut sites = BTreeSet::new();
        for list in [["ps", "--all"].as_slice(), ["volume", "ls"].as_slice(), ["network", "ls"].as_slice()] {
            let format = ["--filter", &filter, "--format", "{{.Label \"hostplane.site\"}}"];
            sites.extend(self.docker(&[list, &format].concat()).lines().map(str::to_owned));
        }
        let databases = "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'wp\\_%'";
        let databases = self.sql(databases);
        sites.extend(databases.lines().filter_map(|name| name.strip_prefix("wp_")).map(str::to_owned));
        // The platform's own have no site, and the ledger of databases is no site's.
        sites.into_iter().filter(|site| !site.is_empty() && site != "_hostplane").collect()
    }

    /// All that is left of a site.
    pub fn traces_of(&self, site: &str) -> Vec<String> {
        let mut traces = self.names_with(site);
        let pattern = format!("wp\\_{site}");
        let queries = [
            format!(
                "SELECT CONCAT('database ', schema_name) FROM information_schema.schemata WHERE schema_name LIKE '{pattern}'"
            ),
            format!("SELECT CONCAT('user ', user) FROM mysql.global_priv WHERE user LIKE '{pattern}'"),
            format!("SELECT CONCAT('grant ', user) FROM mysql.db WHERE user LIKE '{pattern}'"),
        ];
        for query in queries {
            traces.extend(self.sql(&query).lines().map(str::to_owned));
        }
        let ledger = self.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'wp__hostplane'");
        for table in ledger.lines() {
            let rows = self.sql(&format!("SELECT * FROM wp__hostplane.`{table}`"));
            traces.extend(rows.lines().filter(|row| row.contains(site)).map(|row| format!("ledger {row}")));
        }
        let files = self.settled_routes();
        traces.extend(files.lines().filter(|file| file.contains(site)).map(|file| format!("snippet {file}")));
        traces
    }

    /// Every file of Caddy's configuration, once the candidates of the last change are removed: a change is answered
    /// before that. Candidates that stay are in it.
    fn settled_routes(&self) -> String {
        let caddy = format!("{}-caddy", self.tag);
        let deadline = Instant::now() + CANDIDATES_PATIENCE;
        loop {
            let files = self.docker(&["exec", &caddy, "ls", "-R", "/etc/caddy"]);
            if !files.lines().any(|line| line == "/etc/caddy/staging:") || Instant::now() > deadline {
                return files;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}
