//! Disk space: a site that has used up its own, and a disk that is filled.

use std::process::Stdio;
use std::time::Duration;

use crate::browser::{Chosen, Page};
use crate::docker::docker;
use crate::instance::{Instance, images};
use crate::own_engine::OwnEngine;
use crate::probe::Probe;
use crate::wordpress::Admin;

const PATIENCE: Duration = Duration::from_mins(1);
const MIB: u64 = 1024 * 1024;
/// More than a new site uses.
const HARD_MB: &str = "300";

async fn rest_nonce(admin: &mut Admin<'_>) -> String {
    admin.page("/wp-admin/admin-ajax.php?action=rest-nonce").await.body.trim().to_owned()
}

/// Asks WordPress's REST API for something, as wp-admin's own pages do.
async fn rest(admin: &mut Admin<'_>, path: &str, json: &str, more: &[(&str, &str)]) -> Page {
    let nonce = rest_nonce(admin).await;
    let headers = [&[("X-WP-Nonce", nonce.as_str())], more].concat();
    admin.browser.post_json(admin.site, &format!("/wp-json/wp/v2/{path}"), json, &headers).await
}

async fn delete(admin: &mut Admin<'_>, path: &str) -> Page {
    rest(admin, &format!("{path}?force=true"), "{}", &[("X-HTTP-Method-Override", "DELETE")]).await
}

/// Uploads a small file, as the block editor does.
async fn add_media(admin: &mut Admin<'_>, name: &str) -> Page {
    let nonce = rest_nonce(admin).await;
    let file = Chosen { field: "file", name, content: b"a text" };
    admin.upload(&format!("/wp-json/wp/v2/media?_wpnonce={nonce}"), &[], &file).await
}

fn id(page: &Page) -> String {
    let json: serde_json::Value = serde_json::from_str(&page.body).unwrap_or_default();
    json["id"].as_u64().unwrap_or_else(|| panic!("{}: {}", page.status, page.body)).to_string()
}

fn becomes(instance: &Instance, site: &str, restricted: bool) {
    instance.site_when(site, |shown| shown["restricted"] == restricted && shown["active_job"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_at_its_hard_limit_takes_no_more_and_stays_its_owner_s() {
    let mut instance = Instance::new(&[("SITE_DISK_HARD", HARD_MB), ("DISK_INTERVAL", "3")]);
    instance.start();
    let (full, neighbour) = (instance.site("full"), instance.site("neighbour"));
    instance.create(&full);
    instance.create(&neighbour);
    let probe = Probe::of(&instance, &neighbour);
    let mut admin = Admin::log_in(&instance, &full).await;
    let [media, post] =
        [add_media(&mut admin, "first.txt").await, rest(&mut admin, "posts", POST, &[]).await].map(|page| id(&page));
    // A file that grows is nothing that WordPress knows of.
    let grow = "head --bytes 350M /dev/zero > $(find wp-content/uploads -name first.txt)";
    docker(&["exec", "--workdir", "/var/www/html", &format!("php_{full}"), "sh", "-euc", grow]);
    becomes(&instance, &full, true);
    let shown = instance.done(&["site", "show", &full, "--json"]).json();
    let used = |field: &str| shown["usage"][field].as_u64().unwrap_or_else(|| panic!("{shown:#}"));
    assert!(used("files_bytes") > 350 * MIB && used("inodes") > 1000 && used("database_bytes") > MIB, "{shown:#}");
    let is_named = |instance: &Instance| instance.run(&["doctor"]).stdout.contains("hard limit: 300 MB");
    instance.until("that doctor names it", PATIENCE, is_named);

    instance.sql(&format!("DELETE FROM `wp_{full}`.wp_usermeta WHERE meta_key = 'session_tokens'"));
    let mut admin = Admin::log_in(&instance, &full).await;
    assert!(admin.page("/wp-admin/").await.body.contains("Dashboard"));
    admin.page("/").await;
    refuses_new_data(&instance, &mut admin).await;
    takes_deletions(&instance, &mut admin, &post).await;

    let mut other = Admin::log_in(&instance, &neighbour).await;
    id(&add_media(&mut other, "other.txt").await);
    id(&rest(&mut other, "posts", POST, &[]).await);

    let deleted = delete(&mut admin, &format!("media/{media}")).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    becomes(&instance, &full, false);
    id(&add_media(&mut admin, "second.txt").await);
    id(&rest(&mut admin, "posts", POST, &[]).await);
    let jobs = instance.done(&["job", "list", "--site", &full, "--json"]).json();
    let operations: Vec<&str> =
        jobs["items"].as_array().expect("jobs").iter().filter_map(|job| job["operation"].as_str()).collect();
    assert_eq!(operations, ["lift", "restrict", "provision"]);
    instance.expect_whole(&full);
    let seen = probe.end();
    println!("a site at its hard limit: {seen}");
    seen.assert_unharmed(20);
}

const POST: &str = r#"{"title":"A post","status":"publish","content":"of some words"}"#;

async fn refuses_new_data(instance: &Instance, admin: &mut Admin<'_>) {
    let refused = add_media(admin, "refused.txt").await;
    assert_eq!(refused.status, 507, "{}", refused.body);
    let said: serde_json::Value = serde_json::from_str(&refused.body).expect("JSON for the editor");
    assert_eq!(said["code"], "no_space_left", "{said}");
    let nonce = admin.nonce("/wp-admin/media-new.php", "media-new.php").await;
    let form = [("name", "refused.txt"), ("post_id", "0"), ("_wpnonce", nonce.as_str()), ("short", "1")];
    let file = Chosen { field: "async-upload", name: "refused.txt", content: b"a text" };
    for path in ["/wp-admin/async-upload.php", "/wp-admin/media-new.php", "/wp-admin/update.php?action=upload-plugin"] {
        let refused = admin.upload(path, &form, &file).await;
        assert!(
            refused.status == 507 && refused.body.contains("has used up its disk space"),
            "{path}: {}",
            refused.status
        );
    }
    let large = vec![b'x'; 1_000_000];
    let file = Chosen { field: "any", name: "large.bin", content: &large };
    assert_eq!(admin.upload("/wp-admin/admin-ajax.php", &[], &file).await.status, 507);

    let posts = format!("SELECT COUNT(*) FROM `wp_{}`.wp_posts", admin.site);
    let before = instance.sql(&posts);
    let refused = rest(admin, "posts", POST, &[]).await;
    assert!(refused.status >= 400 && refused.body.contains("db_insert_error"), "{} {}", refused.status, refused.body);
    assert_eq!(instance.sql(&posts), before);
    let grants = instance.sql(&format!("SHOW GRANTS FOR `wp_{}`@`%`", admin.site));
    assert!(!grants.contains("CREATE,") && !grants.contains("ALTER") && grants.contains("wp_usermeta"), "{grants}");
}

async fn takes_deletions(instance: &Instance, admin: &mut Admin<'_>, post: &str) {
    let trash = admin.page("/wp-admin/edit.php").await.between(
        "edit.php",
        &format!("post.php?post={post}&action=trash&_wpnonce="),
        "\"",
    );
    let trashed =
        admin.browser.get(admin.site, &format!("/wp-admin/post.php?post={post}&action=trash&_wpnonce={trash}")).await;
    assert_eq!(trashed.status, 302, "{}", trashed.body);
    let status = format!("SELECT post_status FROM `wp_{}`.wp_posts WHERE ID = {post}", admin.site);
    assert_eq!(instance.sql(&status), "trash");
    let deleted = delete(admin, &format!("posts/{post}")).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    assert_eq!(instance.sql(&status), "");
}

/// 20 MB a second, each in a file of its own, until it is ended.
const FILL: &str =
    "for ($n = 0; ; $n++) { file_put_contents(\"wp-content/uploads/hog-$n\", random_bytes(20 << 20)); sleep(1); }";

/// Free space of the Engine's disk, in MiB.
fn free(instance: &Instance) -> u64 {
    let caddy = format!("{}-caddy", instance.tag);
    let said = instance.docker(&["exec", &caddy, "df", "-Pk", "/"]);
    said.lines().last().and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok()).expect("a number") / 1024
}

#[test]
fn the_reserve_is_noticed_before_the_disk_is_full() {
    let images: Vec<String> = images().into_values().collect();
    let engine = OwnEngine::with_a_disk(&images, 3000);
    // The pause between two measurements of the disk is that of the defaults.
    let mut instance =
        Instance::on(&engine, &[("DISK_INTERVAL", "15"), ("DISK_RESERVE", "1"), ("SITE_DISK_SOFT", "200")]);
    instance.start();
    let (hog, bystander) = (instance.site("hog"), instance.site("bystander"));
    instance.create(&hog);
    instance.create(&bystander);
    instance.stop();
    let reserve = free(&instance) - 300;
    instance.set("DISK_RESERVE", &reserve.to_string());
    instance.start();
    let php = format!("php_{hog}");
    let mut fill = instance.within("docker");
    let engine = instance.engine().expect("its own").to_owned();
    fill.args([
        "--host",
        &engine,
        "exec",
        "--workdir",
        "/var/www/html",
        &php,
        "php",
        "-d",
        "memory_limit=-1",
        "-r",
        FILL,
    ]);
    let mut fill = fill.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("docker runs");
    let is_noticed = |instance: &Instance| {
        instance.expect_front_page(&bystander);
        let log = instance.log_text();
        log.contains("a site is above its soft limit") && log.contains("the reserve of the Engine's disk is begun")
    };
    instance.until("that it is noticed", PATIENCE, is_noticed);
    let left = free(&instance);
    println!("the reserve of {reserve} MB was noticed with {left} MB left");
    assert!(left > reserve / 2, "{left} of {reserve} MB are left");
    becomes(&instance, &hog, true);
    instance.expect_front_page(&bystander);
    let refused = instance.run(&["site", "create", "third"]);
    assert!(refused.code == 1 && refused.stderr.contains("DISK_RESERVE"), "{}", refused.stderr);
    let doctor = instance.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.stdout.contains(&format!("largest sites: {hog}")), "{}", doctor.stdout);
    assert_eq!(instance.readiness()["ready"], true, "{}", instance.readiness());

    instance.docker(&["restart", "--time", "1", &php]);
    let _ = fill.wait();
    instance.docker(&["exec", &php, "sh", "-c", "rm -f /var/www/html/wp-content/uploads/hog-*"]);
    becomes(&instance, &hog, false);
    instance.expect_front_page(&bystander);
}
