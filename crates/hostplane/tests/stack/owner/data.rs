//! Files and tables as owners make them.

use crate::docker::docker;

use super::Owned;

/// `cp backup/* .` brings no dotfiles, and a migration plugin brings its own options.
pub(super) fn a_restore_without_dotfiles_is_the_owner_s(owned: &Owned<'_>) {
    let (instance, site) = (owned.instance, owned.site);
    owned.sh("rm -f .hostplane-site
         sed -i \"s/^require '.*/&\\ndefine( 'OWNERS_OWN', true );/\" wp-config.php
         sed -i \"s/^\\$wp_version = .*/\\$wp_version = '99.1';/\" wp-includes/version.php
         echo '<?php // of a newer core' > wp-includes/newer.php");
    owned.sql("DELETE FROM wp_options WHERE option_name = 'hostplane_installed'");
    let before = owned.everything();
    assert!(owned.sh("cat wp-config.php").contains("OWNERS_OWN"));
    owned.change("192");
    assert_eq!(owned.everything(), before);
    for lost in ["rm -f .hostplane-site", "echo 00000000-0000-7000-8000-000000000001 > .hostplane-site"] {
        owned.sh(lost);
        owned.sql("UPDATE wp_options SET option_value = 'another' WHERE option_name = 'hostplane_installed'");
        owned.order("suspend");
        assert!(owned.curl("/", &[]).contains("503"));
        owned.order("resume");
        instance.expect_front_page(site);
    }
    owned.is_repaired();
    assert_eq!(owned.everything(), before);
}

/// An action of an owner, and what he does to end it.
struct Action {
    does: fn(&Owned<'_>),
    ends: fn(&Owned<'_>),
    /// The operator's other actions meanwhile, besides an update.
    meanwhile: fn(&Owned<'_>),
}

const ACTIONS: &[Action] = &[
    // The tables get another prefix.
    Action {
        does: |owned| {
            owned.rename_tables("wp_", "theirs_");
            owned.configure("", "$table_prefix = 'theirs_';");
        },
        ends: |owned| {
            owned.rename_tables("theirs_", "wp_");
            owned.configure_no_more();
        },
        meanwhile: |owned| owned.order("rotate"),
    },
    // A network of sites.
    Action {
        does: |owned| {
            owned.sh(&format!("php <<'END'\n{NETWORK}END\n"));
            let authority = owned.instance.authority(owned.site);
            let constants = format!(
                "define('MULTISITE', true); define('SUBDOMAIN_INSTALL', false); define('SITE_ID_CURRENT_SITE', 1);
                 define('DOMAIN_CURRENT_SITE', '{authority}'); define('PATH_CURRENT_SITE', '/');
                 define('BLOG_ID_CURRENT_SITE', 1);"
            );
            owned.configure("", &constants);
            assert!(owned.rows().contains("wp_blogs"), "{}", owned.rows());
        },
        ends: |owned| {
            owned.configure_no_more();
            owned.sql("DROP TABLE wp_blogs, wp_blogmeta, wp_site, wp_sitemeta, wp_registration_log, wp_signups");
        },
        meanwhile: |owned| {
            owned.order("suspend");
            owned.order("resume");
        },
    },
    // A home elsewhere.
    Action {
        does: |owned| {
            owned.configure("define('WP_HOME', 'http://elsewhere.test');", "");
            // WordPress leaves the port of visitors' addresses out, as its home has none.
            owned.answers_with(301);
        },
        ends: |owned| {
            owned.configure_no_more();
            owned.answers_with(200);
        },
        meanwhile: |owned| owned.ask(&["site", "upgrade", owned.site]),
    },
    // Files that can't be written, without our marker among them.
    Action {
        does: |owned| drop(owned.sh("rm -f .hostplane-site; chmod -R a-w .")),
        ends: |owned| {
            owned.sh("chmod -R u+w .");
            owned.is_repaired();
        },
        meanwhile: |owned| owned.order("rotate"),
    },
    // Options that a migration plugin brings.
    Action {
        does: |owned| {
            owned.sql(
                "CREATE TABLE brought LIKE wp_options; INSERT INTO brought SELECT * FROM wp_options
                 WHERE option_name <> 'hostplane_installed'; DROP TABLE wp_options; RENAME TABLE brought TO wp_options",
            );
        },
        ends: |_| {},
        meanwhile: |owned| {
            docker(&["kill", &owned.php()]);
            owned.is_repaired();
        },
    },
];

/// Makes WordPress's own tables for a network.
const NETWORK: &str = "<?php
$_SERVER['HTTP_HOST'] = 'network.test';
define('WP_INSTALLING_NETWORK', true);
require '/var/www/html/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
foreach ($wpdb->tables('ms_global') as $table => $name) { $wpdb->$table = $name; }
install_network();
$result = populate_network(1, parse_url(home_url())['host'], 'owner@example.com', 'Network', '/', false);
is_wp_error($result) && $result->get_error_code() !== 'no_wildcard_dns' && exit(1);
";

/// Whatever he does, no operation changes a byte of it.
pub(super) fn is_the_owner_s(owned: &Owned<'_>) {
    for action in ACTIONS {
        (action.does)(owned);
        let before = owned.everything();
        owned.change("200");
        (action.meanwhile)(owned);
        owned.change("192");
        assert_eq!(owned.everything(), before);
        (action.ends)(owned);
    }
    owned.instance.expect_whole(owned.site);
}

/// Unless there are no files at all: then nothing is made in their place.
pub(super) fn that_is_gone_is_not_made_again(owned: &Owned<'_>) {
    let (instance, site) = (owned.instance, owned.site);
    let backup = owned.sh("mkdir /tmp/backup; mv * /tmp/backup 2>&1; ls");
    assert_eq!(backup, "");
    let held = instance.run(&["site", "suspend", site, "--wait"]);
    assert!(held.code == 1 && held.stderr.contains("data of the site is gone"), "{}", held.stderr);
    owned.sh("mv /tmp/backup/* .");
    let job = instance.job(site);
    // It has turned back, so it ends as one that failed.
    instance.run(&["job", "retry", job["id"].as_str().expect("an id"), "--wait"]);
    assert_eq!(instance.job(site)["state"], "failed");
    instance.expect_whole(site);
}
