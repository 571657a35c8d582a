//! A visitor's view of a site that is there in part.

use std::time::{Duration, Instant};

use hostplane_domain::container;
use hostplane_domain::health::Condition;
use hostplane_domain::probe_key::{PROBE_PATH, ProbeMode};
use hostplane_domain::render::php::WP_CONFIG_STUB;
use hostplane_domain::secret::MasterSecret;
use hostplane_infra::probe::Page;
use hostplane_infra::wordpress::TablesFound;
use hostplane_testing::cases;

use super::site::{DATABASE_PASSWORD, Site, another};
use crate::containers::harness::{labels_of, transient};

cases!(pub(super) CASES: Site = [
    a_site_answers_as_far_as_it_is_there,
    settings_of_another_site_misdirect,
    a_php_on_another_network_is_not_found,
    an_owner_s_configuration_decides,
]);

cases!(pub(super) ALONE: Site = [without_a_listener_it_is_transient]);

/// Longest time of a program's start or end.
const PATIENCE: Duration = Duration::from_secs(15);
/// WordPress's words without its database.
const NO_DATABASE: &str = "WordPress reaches no database (status 500)";
const PAUSE: Duration = Duration::from_millis(20);

/// The front page and the page that administrators need come to answer with these statuses, and with
/// nothing that could be taken for a page of a working site.
async fn answer_with(site: &Site, expected: [u16; 2], why: &str) {
    let pages = pages_with(site, expected, why).await;
    assert!(pages.iter().all(|page| page.fault().is_some()), "{why}: {pages:?}");
}

/// Those pages, once they answer with these statuses. Programs take a moment to start or to end, or to read a file again.
async fn pages_with(site: &Site, expected: [u16; 2], why: &str) -> [Page; 2] {
    let begun = Instant::now();
    loop {
        let pages = [site.get("/").await, site.get("/wp-login.php").await];
        let statuses = pages.each_ref().map(|page| page.status);
        if statuses == expected {
            return pages;
        }
        assert!(begun.elapsed() < PATIENCE, "{why}: {statuses:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// It serves: both pages have content.
async fn serves(site: &Site) {
    for path in ["/", "/wp-login.php"] {
        let page = site.get(path).await;
        assert_eq!((page.status, page.fault()), (200, None), "{path}");
    }
}

/// WordPress itself says that it is in this condition, for this reason.
async fn says(site: &Site, condition: Condition, why: Option<&str>) {
    let health = site.ask(ProbeMode::Alive, PROBE_PATH).await.expect("an answer");
    assert_eq!((health.condition(), health.fault().as_deref()), (condition, why), "{health:?}");
}

/// Nothing answers the question, whatever answers the request.
async fn says_nothing(site: &Site) {
    assert_eq!(site.ask(ProbeMode::Alive, PROBE_PATH).await, None);
}

async fn a_site_answers_as_far_as_it_is_there(site: &Site) {
    let engine = &site.world().local().containers;
    answer_with(site, [404, 404], "no route").await;
    says_nothing(site).await;
    site.route().await;
    answer_with(site, [502, 502], "no nginx").await;
    says_nothing(site).await;
    site.settings().await;
    let php = site.php().await;
    let nginx = site.nginx().await;
    answer_with(site, [403, 404], "nothing unpacked").await;
    says_nothing(site).await;
    site.unpack(&php).await.unwrap();
    answer_with(site, [500, 500], "no database").await;
    says(site, Condition::Failing, Some(NO_DATABASE)).await;
    site.tenant().await;
    answer_with(site, [302, 302], "not installed").await;
    says(site, Condition::Failing, Some("WordPress finds no tables of its own")).await;
    site.install(&php).await.unwrap();
    serves(site).await;
    says(site, Condition::Serving, None).await;
    assert_eq!(site.ask(ProbeMode::Page, "/").await.expect("the front page").status, 200);
    assert!(site.world().probe.reset_code(&site.want.url, &site.probe_key()).await.unwrap());
    let another = MasterSecret::new([8; 32]).probe_key(site.want.site.id, 1);
    let asked = site.world().probe.ask(&site.want.url, ProbeMode::Alive, PROBE_PATH, &another).await;
    assert_eq!(asked.unwrap(), None, "another key");
    // What follows is no page of a working site, whatever else works.
    for (path, status) in [("/no/such/page/", 404), ("/wp-admin/install.php", 403), ("/.hostplane-site", 403)] {
        let page = site.get(path).await;
        assert_eq!(page.status, status, "{path}");
        assert!(page.fault().is_some());
    }
    // And as it falls apart again.
    site.harness.change_password(&site.database()).await;
    answer_with(site, [500, 500], "refused by the database").await;
    says(site, Condition::Failing, Some(NO_DATABASE)).await;
    site.tenant().await;
    serves(site).await;
    says(site, Condition::Serving, None).await;
    site.harness.delete_marker(&site.database()).await;
    serves(site).await;
    site.harness.drop_database(&site.database()).await;
    answer_with(site, [500, 500], "no database").await;
    site.tenant().await;
    answer_with(site, [302, 302], "an empty one").await;
    engine.stop_container(&php, 0).await.unwrap();
    // One that goes on running tries for long to reach the PHP that it knew.
    engine.stop_container(&nginx, 0).await.unwrap();
    engine.start_container(&nginx).await.unwrap();
    answer_with(site, [502, 502], "no PHP").await;
    says_nothing(site).await;
    engine.stop_container(&nginx, 0).await.unwrap();
    answer_with(site, [502, 502], "no nginx").await;
}

async fn settings_of_another_site_misdirect(site: &Site) {
    let mut other = site.want.clone();
    other.site.id = another();
    site.settings_of(&other).await;
    site.php().await;
    site.nginx().await;
    site.route().await;
    answer_with(site, [421, 421], "another site is meant").await;
}

async fn a_php_on_another_network_is_not_found(site: &Site) {
    let engine = &site.world().local().containers;
    site.settings().await;
    site.write_file("index.php", "<?php").await;
    site.write_file("wp-login.php", "<?php").await;
    let php = site.php().await;
    engine.remove_container(&php).await.unwrap();
    let mut spec = container::php(&site.want);
    spec.network = None;
    let labels = labels_of(site.name().as_str());
    let php = engine.create_container(&spec, &labels).await.unwrap();
    engine.start_container(&php).await.unwrap();
    site.nginx().await;
    site.route().await;
    answer_with(site, [502, 502], "PHP can't be reached").await;
}

async fn an_owner_s_configuration_decides(site: &Site) {
    let php = site.ready().await;
    site.nginx().await;
    site.route().await;
    site.unpack(&php).await.unwrap();
    site.install(&php).await.unwrap();
    let configure = async |before: &str, after: &str| {
        let generated = "require '/etc/hostplane/wp-config.php';";
        let text = WP_CONFIG_STUB.replacen(generated, &format!("{before}\n{generated}\n{after}"), 1);
        site.write_file("wp-config.php", &text).await;
    };
    // WordPress redirects to another host only when it differs in a www before it.
    configure("define( 'WP_HOME', 'http://elsewhere.test' );", "").await;
    serves(site).await;
    configure("", "$table_prefix = 'theirs_';").await;
    answer_with(site, [302, 302], "a prefix of no table").await;
    site.harness.rename_tables(&site.database(), "wp_", "theirs_").await;
    pages_with(site, [200, 200], "tables with another prefix").await;
    assert_eq!(site.facts(&php).await.tables, TablesFound::Wordpress);
    // Without the generated settings.
    for (password, statuses) in [("another", [500, 500]), (DATABASE_PASSWORD, [200, 200])] {
        let host = &site.harness.ground().database_host;
        let name = site.database();
        let constants = [("DB_NAME", name.as_str()), ("DB_USER", &name), ("DB_PASSWORD", password), ("DB_HOST", host)];
        let constants = constants.map(|(constant, value)| format!("define( '{constant}', '{value}' );\n")).concat();
        let rest =
            "$table_prefix = 'theirs_';\ndefine( 'ABSPATH', __DIR__ . '/' );\nrequire ABSPATH . 'wp-settings.php';\n";
        site.write_file("wp-config.php", &format!("<?php\n{constants}{rest}")).await;
        pages_with(site, statuses, "settings of the owner's own").await;
    }
}

async fn without_a_listener_it_is_transient(site: &Site) {
    site.harness.hide_proxy().await;
    let (probe, url, key) = (&site.world().probe, &site.want.url, site.probe_key());
    transient(probe.get(url, "/").await);
    transient(probe.ask(url, ProbeMode::Alive, PROBE_PATH, &key).await);
    transient(probe.reset_code(url, &key).await);
    site.harness.show_proxy().await;
    answer_with(site, [404, 404], "no route").await;
}
