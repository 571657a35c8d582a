//! Updates of the site's own WordPress.

use crate::docker::try_docker;

use super::{Owned, PATIENCE};

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
pub(super) fn nothing_ends_one(owned: &Owned<'_>) {
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

pub(super) fn a_half_updated_core_is_made_whole(owned: &Owned<'_>) {
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
