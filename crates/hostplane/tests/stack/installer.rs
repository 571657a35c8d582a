//! Unpacking and installing, again and again, after every way in which an earlier run may have ended.

use std::sync::Arc;

use hostplane_domain::details::{AdminEmail, AdminUser, SiteTitle};
use hostplane_domain::ids::SiteId;
use hostplane_domain::url::SiteUrl;
use hostplane_domain::wordpress::WordpressDetails;
use hostplane_infra::containers::Docker;
use hostplane_infra::error::{EffectError, Rejection};
use hostplane_infra::wordpress::{Installation, PhpWordpress, TablesFound, Wordpress};

use crate::docker::docker;
use crate::instance::Instance;

#[tokio::test]
async fn unpacking_and_installing_twice_loses_nothing() {
    let mut instance = Instance::up();
    let name = instance.site("install");
    instance.create(&name);
    let id: SiteId =
        instance.done(&["site", "show", &name, "--json"]).json()["id"].as_str().expect("an id").parse().expect("an id");
    // It would put back the marks that this test takes away.
    instance.stop();
    let php = format!("php_{name}");
    let engine = Docker::connect("unix:///var/run/docker.sock", None).expect("the Engine's socket");
    let wordpress = PhpWordpress::new(Arc::new(engine));
    let installation = Installation {
        site: id,
        url: SiteUrl { host: format!("{name}.localhost"), port: instance.http_port },
        details: WordpressDetails {
            title: SiteTitle::parse("Made anew").expect("a title"),
            admin_user: AdminUser::parse("second").expect("a name"),
            admin_email: AdminEmail::parse("second@example.com").expect("an address"),
        },
        admin_password: "a-password-of-this-test".into(),
    };
    let sql = |statement: &str| instance.sql(&format!("USE `wp_{name}`; {statement}"));
    let title = || sql("SELECT option_value FROM wp_options WHERE option_name = 'blogname'");
    let loses_data = |error: EffectError| matches!(error, EffectError::Rejected(Rejection::WouldLoseData(_)));

    let whole = wordpress.facts(&php).await.expect("facts");
    assert_eq!((whole.unpacked, whole.installed, whole.tables), (Some(id), Some(id), TablesFound::Wordpress));
    wordpress.install(&php, &installation).await.expect("installed already");
    assert_eq!(title(), name, "nothing was changed");

    // The marker is gone, and nothing says that the tables are half-made: they may be a customer's.
    sql("DELETE FROM wp_options WHERE option_name = 'hostplane_installed'");
    assert_eq!(wordpress.facts(&php).await.expect("facts").installed, None);
    assert!(loses_data(wordpress.install(&php, &installation).await.expect_err("it refuses")));
    assert_eq!(title(), name);

    // The same, with what an installer that was killed leaves behind.
    sql("CREATE TABLE hostplane_installing (x INT); DROP TABLE wp_users; DELETE FROM wp_options WHERE option_id > 5");
    wordpress.install(&php, &installation).await.expect("begun anew");
    assert_eq!(wordpress.facts(&php).await.expect("facts"), whole);
    assert_eq!(title(), "Made anew");
    assert_eq!(sql("SELECT user_login FROM wp_users"), "second");
    assert_eq!(sql("SHOW TABLES LIKE 'hostplane_installing'"), "");

    // Another site's.
    sql("UPDATE wp_options SET option_value = 'another' WHERE option_name = 'hostplane_installed'");
    assert!(loses_data(wordpress.install(&php, &installation).await.expect_err("it refuses")));

    let in_volume = |command: &[&str]| docker(&[&["exec", &php], command].concat());
    in_volume(&["rm", "/var/www/html/.hostplane-site", "/var/www/html/index.php"]);
    assert_eq!(wordpress.facts(&php).await.expect("facts").unpacked, None);
    wordpress.unpack(&php, id).await.expect("unpacked anew");
    assert_eq!(in_volume(&["cat", "/var/www/html/.hostplane-site"]), id.to_string());
    in_volume(&["test", "-s", "/var/www/html/index.php"]);
    wordpress.unpack(&php, id).await.expect("unpacked already");
    let other: SiteId = "00000000-0000-7000-8000-000000000001".parse().expect("an id");
    wordpress.unpack(&php, other).await.expect_err("the volume holds another site");

    // PHP without its database can't say, which is not the same as no.
    let mariadb = format!("{}-mariadb", instance.tag);
    docker(&["stop", &mariadb]);
    let error = wordpress.facts(&php).await.expect_err("nothing is known");
    assert!(matches!(error, EffectError::Transient { .. }), "{error}");
    assert!(!error.to_string().contains("a-password"), "{error}");
}
