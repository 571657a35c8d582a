//! An owner's own actions on a real site: it stays his, byte for byte, and stays in his hands.

mod data;
mod pages;
mod updates;

use std::time::Duration;

use crate::docker::docker;
use crate::instance::{Instance, images};

/// Longest time for a repair, or for an update to begin.
const PATIENCE: Duration = Duration::from_mins(1);

/// Options that WordPress itself writes when pages are asked for or events are due, and our marker.
const WRITTEN_BY_ITSELF: &str =
    "transient|^cron$|^rewrite_rules$|https_detection|_count$|^recovery_|[.]lock$|^auto_|^hostplane_installed$";

/// A site of an instance, with hands in its volume.
struct Owned<'a> {
    instance: &'a Instance,
    site: &'a str,
}

impl Owned<'_> {
    fn php(&self) -> String {
        format!("php_{}", self.site)
    }

    /// Runs a script in the root of the site's files, as the site's user.
    fn sh(&self, script: &str) -> String {
        docker(&["exec", "--workdir", "/var/www/html", &self.php(), "sh", "-euc", script])
    }

    /// All files with their permissions and all rows.
    fn everything(&self) -> String {
        self.files() + &self.rows()
    }

    /// Every file and directory with its permissions, every file's hash; but for our marker and what an update of this
    /// test writes.
    fn files(&self) -> String {
        // Through a container of the test's own: PHP's is replaced meanwhile.
        let volume = format!("wp_{}:/site:ro", self.site);
        let script = "cd /site; names='! -name .hostplane-site ! -name report.txt'
             find . $names -printf '%m %u %p\\n' | sort -k3
             find . -type f $names -exec sha256sum {} + | sort -k2";
        let image = &images()["PHP_IMAGE"];
        docker(&["run", "--rm", "--network", "none", "--volume", &volume, "--entrypoint", "sh", image, "-euc", script])
    }

    /// Every table's checksum; of options, every row.
    fn rows(&self) -> String {
        let tables = self.sql("SHOW TABLES");
        let of_table = |table: &str| {
            let rows = |name, value| {
                format!(
                    "SELECT '{table}', {name}, MD5({value}) FROM `{table}` WHERE {name} NOT REGEXP '{WRITTEN_BY_ITSELF}'
                     ORDER BY {name};"
                )
            };
            match table {
                table if table.ends_with("_options") => rows("option_name", "option_value"),
                table if table.ends_with("_sitemeta") => rows("meta_key", "meta_value"),
                table => format!("CHECKSUM TABLE `{table}`;"),
            }
        };
        self.sql(&tables.lines().map(of_table).collect::<String>())
    }

    fn sql(&self, statement: &str) -> String {
        self.instance.sql(&format!("USE `wp_{}`; {statement}", self.site))
    }

    fn rename_tables(&self, from: &str, to: &str) {
        let tables = self.sql("SHOW TABLES");
        let renamed = |table: &str| Some(format!("`{table}` TO `{to}{}`", table.strip_prefix(from)?));
        self.sql(&format!("RENAME TABLE {}", tables.lines().filter_map(renamed).collect::<Vec<_>>().join(", ")));
    }

    /// Puts lines before and after the generated settings.
    fn configure(&self, before: &str, after: &str) {
        let generated = "require '/etc/hostplane/wp-config.php';";
        let own = self.sh("cp wp-config.php wp-config.before; cat wp-config.php");
        assert!(own.contains(generated), "{own}");
        let own = own.replacen(generated, &format!("{before}\n{generated}\n{after}"), 1);
        self.sh(&format!("cat > wp-config.php <<'END'\n{own}\nEND\n"));
    }

    /// Takes them away again.
    fn configure_no_more(&self) {
        self.sh("cat wp-config.before > wp-config.php; rm wp-config.before");
    }

    fn change(&self, memory: &str) {
        self.ask(&["site", "update", self.site, "--memory-limit", memory, "--wait"]);
    }

    fn order(&self, operation: &str) {
        self.ask(&["site", operation, self.site, "--wait"]);
    }

    /// Gives an order that has to succeed, after a repair that may have begun by itself.
    fn ask(&self, order: &[&str]) {
        let answer = self.instance.run(order);
        if answer.stderr.contains("is busy with job") {
            self.instance.job_when(self.site, |job| job["state"] == "completed");
            return self.ask(order);
        }
        assert_eq!(answer.code, 0, "{order:?}: {} {}", answer.stderr, self.instance.log_text());
    }

    /// A scan finds what is ours to repair, and repairs make the site whole.
    fn is_repaired(&self) {
        self.instance.done(&["reconcile", "--deep"]);
        self.instance.expect_whole(self.site);
        self.instance.job_when(self.site, |job| job["operation"] == "repair" && job["state"] == "completed");
    }

    /// The front page comes to answer with a status. PHP reads a changed file a moment later.
    fn answers_with(&self, status: u16) {
        let begins = format!("HTTP/1.1 {status} ");
        self.instance.until("the answer", PATIENCE, |_| self.curl("/", &[]).starts_with(&begins));
    }

    /// Asks the site for something, and returns its answer with its headers.
    fn curl(&self, path: &str, options: &[&str]) -> String {
        let host = format!("Host: {}", self.instance.authority(self.site));
        let url = format!("http://127.0.0.1:{}{path}", self.instance.http_port);
        let always = ["--silent", "--include", "--noproxy", "*", "--header", &host, &url];
        let asked = self.instance.within("curl").args(always).args(options).output().expect("curl runs");
        String::from_utf8_lossy(&asked.stdout).into_owned()
    }
}

#[test]
fn a_site_belongs_to_its_owner() {
    let instance = Instance::up();
    let [restored, updated] = ["restored", "updated"].map(|name| instance.site(name));
    for site in [&restored, &updated] {
        instance.create(site);
    }
    let [restored, updated] = [&restored, &updated].map(|site| Owned { instance: &instance, site });
    // WordPress makes it by itself, some time.
    restored.sh("mkdir -p wp-content/uploads/$(date +%Y/%m)");
    data::a_restore_without_dotfiles_is_the_owner_s(&restored);
    data::is_the_owner_s(&restored);
    pages::are_the_owner_s(&restored);
    updates::nothing_ends_one(&updated);
    updates::a_half_updated_core_is_made_whole(&updated);
    data::that_is_gone_is_not_made_again(&restored);
    // What he has done to it keeps no site either.
    restored.sh("chmod -R a-w .");
    instance.destroy(restored.site);
}
