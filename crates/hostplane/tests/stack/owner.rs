//! An owner's own actions on a real site: it stays his, byte for byte, and stays in his hands.

use std::time::Duration;

use crate::docker::{docker, try_docker};
use crate::instance::{Instance, images};

/// Longest time for a repair, or for an update to begin.
const PATIENCE: Duration = Duration::from_mins(1);

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

    /// Every file with its content's hash, but our marker and what an update of this test writes.
    fn files(&self) -> String {
        // Through a container of the test's own: PHP's is replaced meanwhile.
        let volume = format!("wp_{}:/site:ro", self.site);
        let script =
            "cd /site; find . -type f ! -name .hostplane-site ! -name report.txt -exec sha256sum {} + | sort -k2";
        let image = &images()["PHP_IMAGE"];
        docker(&["run", "--rm", "--network", "none", "--volume", &volume, "--entrypoint", "sh", image, "-euc", script])
    }

    fn sql(&self, statement: &str) -> String {
        self.instance.sql(&format!("USE `wp_{}`; {statement}", self.site))
    }

    fn change(&self, memory: &str) {
        self.instance.done(&["site", "update", self.site, "--memory-limit", memory, "--wait"]);
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
    a_restore_without_dotfiles_is_the_owner_s(&Owned { instance: &instance, site: &restored });
    pages_are_the_owner_s(&Owned { instance: &instance, site: &restored });
    nothing_ends_an_update(&Owned { instance: &instance, site: &updated });
    a_half_updated_core_is_made_whole(&Owned { instance: &instance, site: &updated });
    // Unless there are no files at all: then nothing is made in their place.
    let owned = Owned { instance: &instance, site: &restored };
    let backup = owned.sh("mkdir /tmp/backup; mv * /tmp/backup 2>&1; ls");
    assert_eq!(backup, "");
    let held = instance.run(&["site", "suspend", &restored, "--wait"]);
    assert!(held.code == 1 && held.stderr.contains("data of the site is gone"), "{}", held.stderr);
    owned.sh("mv /tmp/backup/* .");
    let job = instance.job(&restored);
    // It has turned back, so it ends as one that failed.
    instance.run(&["job", "retry", job["id"].as_str().expect("an id"), "--wait"]);
    assert_eq!(instance.job(&restored)["state"], "failed");
    instance.expect_whole(&restored);
}

/// `cp backup/* .` brings no dotfiles, and a migration plugin brings its own options.
fn a_restore_without_dotfiles_is_the_owner_s(owned: &Owned<'_>) {
    let (instance, site) = (owned.instance, owned.site);
    owned.sh("rm -f .hostplane-site
         sed -i \"s/^require '.*/&\\ndefine( 'OWNERS_OWN', true );/\" wp-config.php
         sed -i \"s/^\\$wp_version = .*/\\$wp_version = '99.1';/\" wp-includes/version.php
         echo '<?php // of a newer core' > wp-includes/newer.php");
    owned.sql("DELETE FROM wp_options WHERE option_name = 'hostplane_installed'");
    let before = owned.files();
    assert!(owned.sh("cat wp-config.php").contains("OWNERS_OWN"));
    owned.change("192");
    assert_eq!(owned.files(), before);
    for lost in ["rm -f .hostplane-site", "echo 00000000-0000-7000-8000-000000000001 > .hostplane-site"] {
        owned.sh(lost);
        owned.sql("UPDATE wp_options SET option_value = 'another' WHERE option_name = 'hostplane_installed'");
        instance.done(&["site", "suspend", site, "--wait"]);
        assert!(owned.curl("/", &[]).contains("503"));
        instance.done(&["site", "resume", site, "--wait"]);
        instance.expect_front_page(site);
    }
    assert_eq!(owned.files(), before);
    instance.expect_whole(site);
}

/// Plugins as owners have them: a hidden login, a front page that redirects, one for members only, one in maintenance,
/// one that fails. Each site is changed all the same, rotated and suspended.
fn pages_are_the_owner_s(owned: &Owned<'_>) {
    let (instance, site) = (owned.instance, owned.site);
    let only =
        |path: &str, then: &str| format!("if (parse_url($_SERVER['REQUEST_URI'])['path'] === '{path}') {{ {then} }}");
    let plugins = [
        ("/wp-login.php", 404, only("/wp-login.php", "http_response_code(404); exit;")),
        ("/", 302, only("/", "header('Location: /en/', true, 302); exit;")),
        ("/", 401, "http_response_code(401); exit;".to_owned()),
        ("/", 503, "http_response_code(503); exit('coming soon');".to_owned()),
        ("/", 500, "this_function_is_not_there();".to_owned()),
    ];
    owned.sh("mkdir -p wp-content/mu-plugins");
    for (nth, (path, status, plugin)) in plugins.iter().enumerate() {
        let plugin = format!("<?php if (isset($_SERVER['HTTP_X_FORWARDED_FOR'])) {{ {plugin} }}");
        owned.sh(&format!("cat > wp-content/mu-plugins/pages.php <<'END'\n{plugin}\nEND\n"));
        let begins = format!("HTTP/1.1 {status} ");
        instance.until("the plugin's answer", PATIENCE, |_| owned.curl(path, &[]).starts_with(&begins));
        let files = owned.files();
        owned.change(if nth % 2 == 0 { "200" } else { "192" });
        instance.done(&["site", "rotate", site, "--wait"]);
        assert!(owned.curl(path, &[]).starts_with(&begins), "{status}");
        instance.done(&["site", "suspend", site, "--wait"]);
        instance.done(&["site", "resume", site, "--wait"]);
        assert!(owned.curl(path, &[]).starts_with(&begins), "{status}");
        assert_eq!(owned.files(), files);
    }
    owned.sh("rm -r wp-content/mu-plugins");
    instance.expect_whole(site);
}

/// A plugin that says what a real updater says before it begins, and then takes its time.
const UPDATER: &str = "<?php
add_action('rest_api_init', static function () {
    file_put_contents(ABSPATH . 'report.txt', 'api ' . ini_get('max_execution_time') . ' ', FILE_APPEND);
});
add_action('wp_ajax_nopriv_slow-update', static function () {
    apply_filters('upgrader_pre_download', false, 'package', null, []);
    $report = static fn($line) => file_put_contents(ABSPATH . 'report.txt', $line . ' ', FILE_APPEND);
    $report('began with ' . ini_get('max_execution_time'));
    for ($second = 0; $second < 8; $second++) { sleep(1); echo str_repeat(' ', 4096); flush(); }
    $report('ended');
    wp_die('updated');
});
";

/// The owner's browser goes away in the middle, and then the operator changes the site.
fn nothing_ends_an_update(owned: &Owned<'_>) {
    let instance = owned.instance;
    owned.sh(&format!(
        "mkdir -p wp-content/mu-plugins; cat > wp-content/mu-plugins/updater.php <<'END'\n{UPDATER}END\n"
    ));
    let referer = format!("Referer: http://{}/wp-admin/plugins.php", instance.authority(owned.site));
    let cookie = ["--header", "Cookie: wordpress_logged_in_0=x"];
    let update = ["--max-time", "1", "--data", "action=slow-update", "--header", &referer];
    owned.curl("/wp-admin/admin-ajax.php", &[update.as_slice(), &cookie].concat());
    let report = || owned.sh("cat report.txt 2>/dev/null || true");
    instance.until("the update", PATIENCE, |_| report().contains("began with 900"));
    let change = instance.order(&["site", "update", owned.site, "--memory-limit", "192", "--wait"]);
    instance.job_when(owned.site, |job| job["operation"] == "update" && job["waiting_for"] == "site");
    assert!(change.wait_with_output().expect("it ends").status.success(), "{}", instance.log_text());
    assert_eq!(report().trim(), "began with 900 ended");
    // Anything else has the site's own limits.
    let shop = format!("Referer: http://{}/shop?from=/wp-admin/plugins.php", instance.authority(owned.site));
    let other = ["--max-time", "1", "--data", "action=slow-update", "--header", &shop];
    owned.curl("/wp-admin/admin-ajax.php", &[other.as_slice(), &cookie].concat());
    instance.until("the other request", PATIENCE, |_| report().contains("ended began with 60"));
    owned.sh("rm report.txt");
    owned.curl("/wp-admin/admin-ajax.php", &update);
    instance.until("a stranger's request", PATIENCE, |_| report().contains("began with 60"));
    // By the REST API, which has no file of its own.
    owned.sh("rm report.txt");
    let rest = ["--max-time", "1", "--request", "PUT", "--user", "someone:x"];
    owned.curl("/wp-json/wp/v2/plugins/akismet", &rest);
    instance.until("the API's request", PATIENCE, |_| report().contains("api 900"));
    instance.until("the stranger's end", PATIENCE, |_| report().contains("ended"));
    owned.sh("rm -r wp-content/mu-plugins report.txt");
}

fn a_half_updated_core_is_made_whole(owned: &Owned<'_>) {
    let instance = owned.instance;
    let whole = owned.files();
    owned.sh("echo '<?php $upgrading = 1500000000; ?>' > .maintenance
         for file in wp-includes/class-wp.php wp-includes/load.php wp-admin/index.php; do
             echo '<?php syntax error of the next version' > $file
         done");
    instance.until("it is broken", PATIENCE, |instance| instance.front_page(owned.site).is_none());
    instance.done(&["reconcile", "--deep"]);
    let repaired = |job: &serde_json::Value| job["operation"] == "repair" && job["state"] == "completed";
    let repair = instance.job_when(owned.site, repaired);
    assert_eq!(repair["why"][0]["reason"], "half_update", "{repair:#}");
    instance.until("it serves", PATIENCE, |instance| instance.front_page(owned.site).is_some());
    let kept = owned.sh("cat .hostplane-replaced-*/wp-includes/load.php");
    assert!(kept.contains("of the next version"), "{kept}");
    let served = owned.curl("/.hostplane-replaced-x/wp-includes/load.php", &[]);
    assert!(served.contains("403"), "{served}");
    owned.sh("rm -r .hostplane-replaced-*");
    assert_eq!(owned.files(), whole);
    instance.expect_whole(owned.site);
    assert!(try_docker(&["exec", &owned.php(), "test", "-e", "/var/www/html/.maintenance"]).is_err());
}
