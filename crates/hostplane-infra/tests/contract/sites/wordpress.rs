//! Unpacking, installing, and what can be seen of both.

use std::time::Duration;

use hostplane_domain::details::SiteTitle;
use hostplane_infra::error::{Effect, EffectError, Rejection};
use hostplane_infra::wordpress::{FilesFound, Installation, TablesFound, UpdateState, WordpressFacts};
use hostplane_testing::cases;

use super::site::{ADMIN_PASSWORD, DATABASE_PASSWORD, Site, TITLE, VERSION, another};
use crate::containers::harness::{not_found, rejected, transient};

cases!(pub(super) CASES: Site = [
    it_is_unpacked_and_installed_and_then_kept,
    an_unpacking_that_broke_off_is_done_again,
    another_sites_files_are_not_touched,
    an_installation_needs_the_files,
    an_installation_that_broke_off_is_done_again,
    tables_without_a_marker_are_not_touched,
    calls_that_meet_are_one,
    a_container_that_does_not_run_is_transient,
    a_container_that_is_not_there_is_not_found,
    a_database_that_cannot_be_used_is_transient,
    settings_that_cannot_be_used_are_transient,
    more_privileges_than_needed_hinder_nothing,
    what_is_there_is_marked_again,
    nothing_is_marked_where_nothing_is,
    tables_with_another_prefix_are_not_the_site_s,
    an_interrupted_update_of_core_is_made_whole,
    an_interrupted_update_of_a_plugin_is_left_alone,
    core_is_laid_only_where_an_update_broke_off,
    a_newer_core_is_left_alone,
    files_that_can_not_be_written_are_kept,
    events_run_once_wordpress_is_installed,
]);

const MARKER: &str = ".hostplane-site";
/// The table that an installer makes first and drops last.
const INSTALLING: &str = "hostplane_installing";

fn unpacked(site: &Site) -> WordpressFacts {
    let files = FilesFound::Wordpress(VERSION.to_owned());
    WordpressFacts { unpacked: Some(site.want.site.id), files, ..WordpressFacts::default() }
}

fn whole(site: &Site) -> WordpressFacts {
    WordpressFacts { installed: Some(site.want.site.id), ..unmarked(site) }
}

/// WordPress installed, without the marker that says so.
fn unmarked(site: &Site) -> WordpressFacts {
    WordpressFacts { tables: TablesFound::Wordpress, ..unpacked(site) }
}

#[track_caller]
fn would_lose_data(result: Effect<()>) -> String {
    match rejected(result) {
        Rejection::WouldLoseData(message) => message,
        other => panic!("{other:?}"),
    }
}

/// Each call, as an error.
async fn each_call(site: &Site, php: &str) -> [EffectError; 8] {
    let wordpress = &site.world().local().wordpress;
    let results = [
        wordpress.facts(php).await.map(drop),
        site.unpack(php).await,
        site.install(php).await,
        site.mark_files(php).await,
        site.mark_tables(php).await,
        wordpress.hold_updates(php).await.map(drop),
        wordpress.repair_core(php).await,
        site.run_events(php).await,
    ];
    let errors = results.map(Result::unwrap_err);
    for error in &errors {
        holds_no_secret(error);
    }
    errors
}

fn holds_no_secret(error: &EffectError) {
    let words = format!("{error:?} {}", error.chain());
    assert!(!words.contains(ADMIN_PASSWORD) && !words.contains(DATABASE_PASSWORD), "{words}");
}

async fn it_is_unpacked_and_installed_and_then_kept(site: &Site) {
    let php = site.ready().await;
    assert_eq!(site.facts(&php).await, WordpressFacts::default());
    for _ in 0..2 {
        site.unpack(&php).await.unwrap();
        assert_eq!(site.facts(&php).await, unpacked(site));
    }
    assert!(site.read_file(&php, "wp-config.php").await.unwrap().contains("/etc/hostplane/wp-config.php"));
    for _ in 0..2 {
        site.install(&php).await.unwrap();
        assert_eq!(site.facts(&php).await, whole(site));
    }
    assert_eq!(site.harness.title(&site.database()).await.as_deref(), Some(TITLE));
    assert!(!site.harness.tables(&site.database()).await.contains(&INSTALLING.to_owned()));
    // What the site's owner has changed since is not undone by a further call.
    site.write_file("wp-config.php", "theirs").await;
    site.unpack(&php).await.unwrap();
    assert_eq!(site.read_file(&php, "wp-config.php").await.as_deref(), Some("theirs"));
    what_is_installed_is_kept(site, &php).await;
}

async fn what_is_installed_is_kept(site: &Site, php: &str) {
    let database = site.database();
    let tables = site.harness.tables(&database).await;
    let as_it_was = async || {
        assert_eq!(site.harness.tables(&database).await, tables);
        assert_eq!(site.harness.title(&database).await.as_deref(), Some(TITLE));
    };
    // By an installation that broke off only after its marker was written, ...
    site.harness.make_table(&database, INSTALLING).await;
    assert_eq!(site.facts(php).await, whole(site));
    let mut renamed = site.installation();
    renamed.details.title = SiteTitle::parse("Another").unwrap();
    site.world().local().wordpress.install(php, &renamed).await.unwrap();
    as_it_was().await;
    // ... by another site's, ...
    let other = Installation { site: another(), ..renamed.clone() };
    let message = would_lose_data(site.world().local().wordpress.install(php, &other).await);
    assert!(message.contains("another site's WordPress"), "{message}");
    as_it_was().await;
    // ... and when the marker alone has gone.
    site.harness.delete_marker(&database).await;
    assert_eq!(site.facts(php).await, unmarked(site));
    let message = would_lose_data(site.world().local().wordpress.install(php, &renamed).await);
    assert!(message.contains("tables that Hostplane didn't make"), "{message}");
    as_it_was().await;
}

async fn an_unpacking_that_broke_off_is_done_again(site: &Site) {
    let php = site.ready().await;
    for (path, contents) in [("index.php", "<?ph"), ("wp-config.php.new", "<?ph"), ("theirs.txt", "theirs")] {
        site.write_file(path, contents).await;
    }
    let some = WordpressFacts { files: FilesFound::Other, ..WordpressFacts::default() };
    assert_eq!(site.facts(&php).await, some, "without the marker it isn't unpacked");
    site.unpack(&php).await.unwrap();
    assert_eq!(site.facts(&php).await, unpacked(site));
    assert_ne!(site.read_file(&php, "index.php").await.as_deref(), Some("<?ph"));
    assert_eq!(site.read_file(&php, "wp-config.php.new").await, None);
    assert_eq!(site.read_file(&php, "theirs.txt").await.as_deref(), Some("theirs"));
}

async fn another_sites_files_are_not_touched(site: &Site) {
    let php = site.ready().await;
    // What can't be read may be another's too, and so may nothing at all.
    for (marker, seen) in
        [(another().to_string(), Some(another())), ("n\u{fc}nsense".into(), None), (String::new(), None)]
    {
        site.write_file(MARKER, &marker).await;
        assert_eq!(site.facts(&php).await, WordpressFacts { unpacked: seen, ..WordpressFacts::default() });
        would_lose_data(site.unpack(&php).await);
        assert_eq!(site.read_file(&php, MARKER).await, Some(marker));
        assert_eq!(site.read_file(&php, "index.php").await, None);
    }
}

async fn an_installation_needs_the_files(site: &Site) {
    let php = site.ready().await;
    // Neither no files, nor some, nor another site's.
    for part in [None, Some(("wp-settings.php", "<?php")), Some((MARKER, "another"))] {
        if let Some((path, contents)) = part {
            site.write_file(path, contents).await;
        }
        let error = site.install(&php).await.unwrap_err();
        holds_no_secret(&error);
        transient::<()>(Err(error));
        assert_eq!(site.harness.tables(&site.database()).await, [""; 0], "nothing was begun");
    }
}

async fn an_installation_that_broke_off_is_done_again(site: &Site) {
    let php = site.ready().await;
    site.unpack(&php).await.unwrap();
    let database = site.database();
    // At its very beginning.
    site.harness.make_table(&database, INSTALLING).await;
    assert_eq!(site.facts(&php).await, WordpressFacts { tables: TablesFound::Other, ..unpacked(site) });
    site.install(&php).await.unwrap();
    assert_eq!(site.facts(&php).await, whole(site));
    let tables = site.harness.tables(&database).await;
    assert!(!tables.contains(&INSTALLING.to_owned()), "{tables:?}");
    // Shortly before its end, with all of its tables there and a table more.
    site.harness.make_table(&database, INSTALLING).await;
    site.harness.make_table(&database, "left_over").await;
    site.harness.delete_marker(&database).await;
    assert_eq!(site.facts(&php).await, unmarked(site));
    site.install(&php).await.unwrap();
    assert_eq!(site.facts(&php).await, whole(site));
    assert_eq!(site.harness.tables(&database).await, tables);
    assert_eq!(site.harness.title(&database).await.as_deref(), Some(TITLE));
}

async fn tables_without_a_marker_are_not_touched(site: &Site) {
    let php = site.ready().await;
    let database = site.database();
    site.harness.make_table(&database, "theirs").await;
    let message = would_lose_data(site.install(&php).await);
    assert!(message.contains("tables that Hostplane didn't make"), "{message}");
    assert_eq!(site.harness.tables(&database).await, ["theirs"]);
    assert_eq!(site.facts(&php).await, WordpressFacts { tables: TablesFound::Other, ..WordpressFacts::default() });
}

/// Two at once, and one that was given up: a program in a container outlives its caller.
async fn calls_that_meet_are_one(site: &Site) {
    let php = site.ready().await;
    let gives_up_after = Duration::from_millis(150);
    let _ = tokio::time::timeout(gives_up_after, site.unpack(&php)).await;
    let (one, two) = tokio::join!(site.unpack(&php), site.unpack(&php));
    one.unwrap();
    two.unwrap();
    assert_eq!(site.facts(&php).await, unpacked(site));
    let _ = tokio::time::timeout(gives_up_after, site.install(&php)).await;
    let (one, two) = tokio::join!(site.install(&php), site.install(&php));
    one.unwrap();
    two.unwrap();
    assert_eq!(site.facts(&php).await, whole(site));
    assert_eq!(site.harness.title(&site.database()).await.as_deref(), Some(TITLE));
}

async fn a_container_that_does_not_run_is_transient(site: &Site) {
    let php = site.ready().await;
    site.world().local().containers.stop_container(&php, 0).await.unwrap();
    for error in each_call(site, &php).await {
        transient::<()>(Err(error));
    }
}

async fn a_container_that_is_not_there_is_not_found(site: &Site) {
    let id = "0123456789ab".repeat(5) + "0123";
    for error in each_call(site, &id).await {
        assert_eq!(not_found::<()>(Err(error)), format!("container {id}"));
    }
}

async fn a_database_that_cannot_be_used_is_transient(site: &Site) {
    let php = site.ready().await;
    site.write_file(MARKER, &site.want.site.id.to_string()).await;
    let marked = WordpressFacts { files: FilesFound::Nothing, ..unpacked(site) };
    let unusable = async || {
        transient(site.world().local().wordpress.facts(&php).await);
        let error = site.install(&php).await.unwrap_err();
        holds_no_secret(&error);
        transient::<()>(Err(error));
        site.unpack(&php).await.expect("files need no database");
    };
    site.harness.change_password(&site.database()).await;
    unusable().await;
    site.tenant().await;
    assert_eq!(site.facts(&php).await, marked);
    site.harness.drop_database(&site.database()).await;
    unusable().await;
    site.tenant().await;
    assert_eq!(site.facts(&php).await, marked);
}

async fn settings_that_cannot_be_used_are_transient(site: &Site) {
    let php = site.ready().await;
    site.empty_settings().await;
    transient(site.world().local().wordpress.facts(&php).await);
    transient(site.install(&php).await);
}

async fn what_is_there_is_marked_again(site: &Site) {
    let php = site.ready().await;
    site.unpack(&php).await.unwrap();
    site.install(&php).await.unwrap();
    site.write_file("wp-config.php", "<?php // theirs").await;
    site.write_file(MARKER, &another().to_string()).await;
    site.harness.delete_marker(&site.database()).await;
    assert_eq!(site.facts(&php).await, WordpressFacts { unpacked: Some(another()), ..unmarked(site) });
    for _ in 0..2 {
        site.mark_files(&php).await.unwrap();
        site.mark_tables(&php).await.unwrap();
        assert_eq!(site.facts(&php).await, whole(site));
    }
    assert_eq!(site.read_file(&php, "wp-config.php").await.as_deref(), Some("<?php // theirs"));
    assert_eq!(site.harness.title(&site.database()).await.as_deref(), Some(TITLE));
}

async fn nothing_is_marked_where_nothing_is(site: &Site) {
    let php = site.ready().await;
    would_lose_data(site.mark_files(&php).await);
    would_lose_data(site.mark_tables(&php).await);
    assert_eq!(site.facts(&php).await, WordpressFacts::default());
    site.write_file("index.php", "another program's").await;
    would_lose_data(site.mark_files(&php).await);
    assert_eq!(site.facts(&php).await, WordpressFacts { files: FilesFound::Other, ..WordpressFacts::default() });
}

async fn tables_with_another_prefix_are_not_the_site_s(site: &Site) {
    let php = site.ready().await;
    site.unpack(&php).await.unwrap();
    site.install(&php).await.unwrap();
    site.write_file("wp-config.php", "<?php\n$table_prefix = 'theirs_';\n").await;
    let other = WordpressFacts { tables: TablesFound::Other, ..unpacked(site) };
    assert_eq!(site.facts(&php).await, other);
    would_lose_data(site.mark_tables(&php).await);
}

/// A time that is long past.
const LONG_SINCE: &str = "<?php $upgrading = 1500000000; ?>";

async fn an_interrupted_update_of_core_is_made_whole(site: &Site) {
    let php = site.ready().await;
    site.unpack(&php).await.unwrap();
    let index = site.read_file(&php, "index.php").await;
    site.write_file("index.php", "<?php // of the next version").await;
    site.write_file("wp-config.php", "<?php // theirs").await;
    assert_eq!(site.facts(&php).await, unpacked(site), "owners may change core");
    site.write_file(".maintenance", LONG_SINCE).await;
    assert_eq!(site.facts(&php).await, WordpressFacts { update: UpdateState::Core, ..unpacked(site) });
    let wordpress = &site.world().local().wordpress;
    assert!(wordpress.hold_updates(&php).await.unwrap());
    for _ in 0..2 {
        wordpress.repair_core(&php).await.unwrap();
        assert_eq!(site.facts(&php).await, unpacked(site));
    }
    assert_eq!(site.read_file(&php, "index.php").await, index);
    assert_eq!(site.read_file(&php, "wp-config.php").await.as_deref(), Some("<?php // theirs"));
}

async fn an_interrupted_update_of_a_plugin_is_left_alone(site: &Site) {
    let php = site.ready().await;
    site.unpack(&php).await.unwrap();
    site.write_file(".maintenance", LONG_SINCE).await;
    assert_eq!(site.facts(&php).await, WordpressFacts { update: UpdateState::Other, ..unpacked(site) });
    // An owner's own maintenance is no update.
    site.write_file(".maintenance", "<?php $upgrading = time(); ?>").await;
    assert_eq!(site.facts(&php).await, unpacked(site));
}

async fn core_is_laid_only_where_an_update_broke_off(site: &Site) {
    let php = site.ready().await;
    site.unpack(&php).await.unwrap();
    site.write_file("index.php", "<?php // theirs").await;
    site.world().local().wordpress.repair_core(&php).await.unwrap();
    assert_eq!(site.read_file(&php, "index.php").await.as_deref(), Some("<?php // theirs"));
}

async fn a_newer_core_is_left_alone(site: &Site) {
    let php = site.ready().await;
    site.unpack(&php).await.unwrap();
    site.write_file("wp-includes/version.php", "<?php\n$wp_version = '99.1';\n").await;
    for (path, contents) in [("index.php", "<?php // of the next version"), (".maintenance", LONG_SINCE)] {
        site.write_file(path, contents).await;
    }
    let wordpress = &site.world().local().wordpress;
    let facts = wordpress.facts(&php).await.unwrap();
    assert_eq!((facts.files, facts.update), (FilesFound::Wordpress("99.1".to_owned()), UpdateState::Other));
    would_lose_data(wordpress.repair_core(&php).await);
    assert_eq!(site.read_file(&php, "index.php").await.as_deref(), Some("<?php // of the next version"));
}

async fn files_that_can_not_be_written_are_kept(site: &Site) {
    let php = site.ready().await;
    site.unpack(&php).await.unwrap();
    let next = "<?php // of the next version";
    for (path, contents) in
        [(MARKER, another().to_string().as_str()), ("index.php", next), (".maintenance", LONG_SINCE)]
    {
        site.write_file(path, contents).await;
    }
    site.permit_root(0o555).await;
    let seen =
        WordpressFacts { unpacked: Some(another()), read_only: true, update: UpdateState::Core, ..unpacked(site) };
    assert_eq!(site.facts(&php).await, seen);
    transient(site.mark_files(&php).await);
    transient(site.world().local().wordpress.repair_core(&php).await);
    assert_eq!(site.facts(&php).await, seen);
    assert_eq!(site.read_file(&php, "index.php").await.as_deref(), Some(next));
    site.permit_root(0o755).await;
    site.mark_files(&php).await.unwrap();
    assert_eq!(site.facts(&php).await.unpacked, Some(site.want.site.id));
}

async fn more_privileges_than_needed_hinder_nothing(site: &Site) {
    let php = site.ready().await;
    site.harness.widen_grants(&site.database()).await;
    assert_eq!(site.facts(&php).await, WordpressFacts::default());
}

async fn events_run_once_wordpress_is_installed(site: &Site) {
    let php = site.ready().await;
    transient(site.run_events(&php).await);
    site.unpack(&php).await.unwrap();
    transient(site.run_events(&php).await);
    site.install(&php).await.unwrap();
    for _ in 0..2 {
        site.run_events(&php).await.unwrap();
        site.harness.delete_marker(&site.database()).await;
    }
    site.harness.change_password(&site.database()).await;
    let error = site.run_events(&php).await.unwrap_err();
    holds_no_secret(&error);
    transient::<()>(Err(error));
}
