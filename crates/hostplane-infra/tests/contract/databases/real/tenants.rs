//! Abilities of a tenant on a real server, and their limits.

use hostplane_infra::databases::{Databases, Grants, TenantSpec, Tenants};
use hostplane_infra::error::EffectError;
use hostplane_testing::cases;
use sqlx::mysql::MySqlDatabaseError;

use super::super::{Harness, facts, job, key, site, spec, tenant, whole};
use super::{Real, execute};

cases!(pub(super) CASES: Real = [
    a_tenant_uses_its_own_database_and_no_other,
    an_underscore_is_no_wildcard,
    connections_are_limited,
    a_restricted_tenant_logs_in_and_deletes,
    a_removed_tenants_connections_end,
    an_account_for_another_host_is_foreign,
    an_account_that_was_locked_is_opened,
    privileges_outside_its_database_are_taken_away,
    a_database_that_the_tenant_dropped_is_made_again,
    listing_takes_the_same_number_of_statements_for_many_as_for_few,
    a_tenant_that_holds_a_lock_does_not_stop_its_removal,
    a_ledger_of_an_earlier_version_is_brought_up_to_date,
    a_tenant_s_tables_cannot_hinder_the_scan_for_events,
    a_statement_hides_from_no_limit,
]);

/// `ER_QUERY_INTERRUPTED`.
const INTERRUPTED: u16 = 1317;

/// The server's error number.
fn number<T: std::fmt::Debug>(result: Result<T, sqlx::Error>) -> u16 {
    match result {
        Err(sqlx::Error::Database(error)) => error.downcast_ref::<MySqlDatabaseError>().number(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

async fn made(harness: &Real, name: &str) -> TenantSpec {
    let spec = spec(name);
    harness.adapter.ensure_tenant(&spec).await.unwrap();
    spec
}

async fn a_tenant_uses_its_own_database_and_no_other(harness: &Real) {
    made(harness, "confined").await;
    made(harness, "neighbour").await;
    let mut tenant = harness.login("wp_confined", "secret").await.unwrap();
    for allowed in [
        "USE `wp_confined`",
        "CREATE TABLE posts (id INT PRIMARY KEY, text VARCHAR(20)) ENGINE=InnoDB",
        "INSERT INTO posts VALUES (1, 'ä🦀')",
        "UPDATE posts SET text = 'b'",
        "ALTER TABLE posts ADD COLUMN more INT, ADD INDEX (text)",
        "CREATE TEMPORARY TABLE passing (id INT)",
        "LOCK TABLES posts WRITE",
        "UNLOCK TABLES",
        "CREATE VIEW seen AS SELECT id FROM posts",
        "SHOW CREATE VIEW seen",
        "DELETE FROM posts",
        "DROP VIEW seen",
        "DROP TABLE posts",
    ] {
        execute(&mut tenant, allowed).await.unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    for refused in [
        "SELECT * FROM wp__hostplane.tenants",
        "SELECT * FROM mysql.global_priv",
        "USE `wp_neighbour`",
        "CREATE TABLE `wp_neighbour`.x (id INT)",
        "CREATE DATABASE `wp_more`",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        "CREATE TRIGGER t BEFORE INSERT ON posts FOR EACH ROW SET @x = 1",
        "CREATE PROCEDURE p() SELECT 1",
        "CREATE USER `wp_more`@`%`",
        "GRANT SELECT ON `wp\\_confined`.* TO `wp_neighbour`@`%`",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SET GLOBAL max_connections = 1",
        "DROP DATABASE `wp_neighbour`",
    ] {
        let refusal = number(execute(&mut tenant, refused).await);
        assert!([1044, 1142, 1227, 1370, 1045].contains(&refusal), "{refused}: {refusal}");
    }
    let visible =
        "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'wp%' AND SCHEMA_NAME <> 'wp_confined'";
    let rows = sqlx::raw_sql(visible).fetch_all(&mut tenant).await.unwrap();
    assert!(rows.is_empty(), "other tenants' names can't be seen");
}

async fn a_restricted_tenant_logs_in_and_deletes(harness: &Real) {
    let spec = made(harness, "full").await;
    let mut before = harness.login("wp_full", "secret").await.unwrap();
    for table in ["wp_posts", "wp_usermeta", "wp_2_options"] {
        execute(&mut before, &format!("CREATE TABLE `wp_full`.{table} (x INT)")).await.unwrap();
    }
    execute(&mut before, "INSERT INTO `wp_full`.wp_posts VALUES (1)").await.unwrap();
    harness.adapter.ensure_tenant(&TenantSpec { restricted: true, ..spec.clone() }).await.unwrap();
    assert!(execute(&mut before, "INSERT INTO `wp_full`.wp_posts VALUES (2)").await.is_err(), "its connections end");

    let mut tenant = harness.login("wp_full", "secret").await.unwrap();
    for refused in [
        "INSERT INTO `wp_full`.wp_posts VALUES (2)",
        "REPLACE INTO `wp_full`.wp_posts VALUES (2)",
        "CREATE TABLE `wp_full`.more (x INT)",
        "ALTER TABLE `wp_full`.wp_posts ADD COLUMN y INT",
    ] {
        assert_eq!(number(execute(&mut tenant, refused).await), 1142, "{refused}");
    }
    for taken in [
        "INSERT INTO `wp_full`.wp_usermeta VALUES (1)",
        "INSERT INTO `wp_full`.wp_2_options VALUES (1)",
        "UPDATE `wp_full`.wp_posts SET x = 3",
        "DELETE FROM `wp_full`.wp_posts",
        "DROP TABLE `wp_full`.wp_2_options",
    ] {
        execute(&mut tenant, taken).await.unwrap_or_else(|error| panic!("{taken}: {error}"));
    }
    // The table with a grant of its own is gone.
    harness.adapter.ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));
    let mut tenant = harness.login("wp_full", "secret").await.unwrap();
    execute(&mut tenant, "INSERT INTO `wp_full`.wp_posts VALUES (2)").await.unwrap();
}

async fn an_underscore_is_no_wildcard(harness: &Real) {
    made(harness, "wild").await;
    harness.run("CREATE DATABASE `wpAwild`").await;
    let mut tenant = harness.login("wp_wild", "secret").await.unwrap();
    assert_eq!(number(execute(&mut tenant, "CREATE TABLE `wpAwild`.x (id INT)").await), 1142);
}

async fn connections_are_limited(harness: &Real) {
    let spec = made(harness, "crowded").await;
    let mut held = Vec::new();
    for _ in 0..spec.max_connections {
        held.push(harness.login("wp_crowded", "secret").await.unwrap());
    }
    assert_eq!(number(harness.login("wp_crowded", "secret").await), 1226);
}

async fn a_removed_tenants_connections_end(harness: &Real) {
    let spec = made(harness, "leaving").await;
    let mut idle = harness.login("wp_leaving", "secret").await.unwrap();
    harness.adapter.remove_tenant(&key(&spec)).await.unwrap();
    assert!(execute(&mut idle, "SELECT 1").await.is_err());
    // To an unknown name the server pretends that it is another account, one with another way to log in among them.
    let refusal = number(harness.login("wp_leaving", "secret").await);
    assert!([1045, 1698].contains(&refusal), "{refusal}");
}

async fn an_account_for_another_host_is_foreign(harness: &Real) {
    let spec = spec("elsewhere");
    harness.run("CREATE USER `wp_elsewhere`@`10.1.2.3` IDENTIFIED BY 'theirs'").await;
    let before = harness.everything("wp_elsewhere").await;
    assert!(matches!(harness.adapter.ensure_tenant(&spec).await, Err(EffectError::Rejected(_))));
    assert!(facts(harness, &spec).await.unwrap().user.is_some());
    assert_eq!(harness.everything("wp_elsewhere").await, before);
    harness.run("DROP USER `wp_elsewhere`@`10.1.2.3`").await;
    harness.adapter.ensure_tenant(&spec).await.unwrap();
    harness.run("CREATE USER `wp_elsewhere`@`10.1.2.3` IDENTIFIED BY 'theirs'").await;
    // Its row holds the time of its creation.
    let theirs = "SELECT CONCAT_WS('|', Host, User, Priv) FROM mysql.global_priv WHERE Host = '10.1.2.3'";
    let theirs = harness.query(theirs).await;
    assert_eq!(
        facts(harness, &spec).await.unwrap().user.unwrap().grants,
        Grants::Others,
        "it takes precedence over ours"
    );
    assert!(matches!(harness.adapter.ensure_tenant(&spec).await, Err(EffectError::Rejected(_))));
    harness.adapter.remove_tenant(&key(&spec)).await.unwrap();
    let left = harness.everything("wp_elsewhere").await;
    assert_eq!(left, format!("[] [] [] {theirs:?} []"), "ours goes, theirs stays");
}

async fn an_account_that_was_locked_is_opened(harness: &Real) {
    let spec = made(harness, "locked").await;
    for obstacle in ["ACCOUNT LOCK", "PASSWORD EXPIRE", "REQUIRE SSL", "IDENTIFIED VIA unix_socket"] {
        harness.run(&format!("ALTER USER `wp_locked`@`%` {obstacle}")).await;
        assert_ne!(facts(harness, &spec).await, Some(whole(&spec)), "{obstacle}");
        harness.adapter.ensure_tenant(&spec).await.unwrap();
        assert_eq!(facts(harness, &spec).await, Some(whole(&spec)), "{obstacle}");
        harness.login("wp_locked", "secret").await.unwrap();
    }
}

async fn privileges_outside_its_database_are_taken_away(harness: &Real) {
    let spec = made(harness, "climber").await;
    harness.run("CREATE TABLE IF NOT EXISTS mysql.contract (x INT)").await;
    harness.run("CREATE PROCEDURE IF NOT EXISTS mysql.contract_routine() SELECT 1").await;
    for extra in [
        "PROCESS ON *.*",
        "SELECT ON mysql.contract",
        "SELECT (x) ON mysql.contract",
        "EXECUTE ON PROCEDURE mysql.contract_routine",
        "ALL PRIVILEGES ON `wp_climber`.*",
        "ALL PRIVILEGES ON `%`.*",
        "ALL PRIVILEGES ON *.*",
        // One can't give or take any other than the right to act as oneself.
        "PROXY ON `hostplane`@`%`",
    ] {
        harness.run(&format!("GRANT {extra} TO `wp_climber`@`%`")).await;
        assert_eq!(facts(harness, &spec).await.unwrap().user.unwrap().grants, Grants::Others, "{extra}");
        harness.adapter.ensure_tenant(&spec).await.unwrap();
        assert_eq!(facts(harness, &spec).await, Some(whole(&spec)), "{extra}");
    }
}

async fn a_database_that_the_tenant_dropped_is_made_again(harness: &Real) {
    let spec = made(harness, "dropper").await;
    let mut tenant = harness.login("wp_dropper", "secret").await.unwrap();
    execute(&mut tenant, "DROP DATABASE `wp_dropper`").await.unwrap();
    assert!(!facts(harness, &spec).await.unwrap().database);
    harness.adapter.ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));
}

async fn listing_takes_the_same_number_of_statements_for_many_as_for_few(harness: &Real) {
    let count = async || -> u64 {
        harness
            .query("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'QUESTIONS'")
            .await[0]
            .parse()
            .unwrap()
    };
    let cost = async || {
        let before = count().await;
        harness.adapter.tenants(&Tenants::All).await.unwrap();
        count().await - before
    };
    let few = cost().await;
    for n in 0..30 {
        made(harness, &format!("many-{n}")).await;
    }
    assert_eq!(cost().await, few);
}

async fn a_ledger_of_an_earlier_version_is_brought_up_to_date(harness: &Real) {
    let spec = made(harness, "early").await;
    for first in ["observe", "ensure", "confirm"] {
        harness.run("ALTER TABLE wp__hostplane.tenants DROP COLUMN confirmed").await;
        match first {
            "observe" => assert_eq!(facts(harness, &spec).await, Some(whole(&spec))),
            "ensure" => harness.adapter.ensure_tenant(&spec).await.unwrap(),
            _ => harness.adapter.confirm_tenant(&key(&spec)).await.unwrap(),
        }
        assert_eq!(facts(harness, &spec).await.unwrap().confirmed, first == "confirm", "{first}");
    }
}

async fn a_tenant_that_holds_a_lock_does_not_stop_its_removal(harness: &Real) {
    let mut spec = made(harness, "clinging").await;
    spec.mark.job = job(3);
    assert_eq!(spec.mark.site, site("clinging", 1));
    let mut clinging = harness.login("wp_clinging", "secret").await.unwrap();
    execute(&mut clinging, "CREATE TABLE `wp_clinging`.x (id INT) ENGINE=InnoDB").await.unwrap();
    execute(&mut clinging, "BEGIN").await.unwrap();
    execute(&mut clinging, "SELECT * FROM `wp_clinging`.x").await.unwrap();
    harness.adapter.remove_tenant(&key(&spec)).await.unwrap();
    assert_eq!(facts(harness, &spec).await, None);
    assert_eq!(harness.everything(&tenant(&spec)).await, "[] [] [] [] []");
}

/// Each has found another way to make its table something else than it should be.
async fn a_tenant_s_tables_cannot_hinder_the_scan_for_events(harness: &Real) {
    const DUE: &str = "a:1:{i:1700000000;a:0:{}}";
    let hostile = [
        (
            "hostile-view",
            "RENAME TABLE wp_options TO real_options; CREATE SQL SECURITY INVOKER VIEW wp_options AS \
          SELECT option_name, IF((SELECT COUNT(*) FROM real_options) > 0, option_value, '') AS option_value FROM real_options",
        ),
        (
            "hostile-slow-view",
            "DROP TABLE wp_options; CREATE SQL SECURITY INVOKER VIEW wp_options AS \
          SELECT 'cron' AS option_name, IF(SLEEP(9) = 0, 'a:1:{i:1;', '') AS option_value",
        ),
        ("hostile-index", "ALTER TABLE wp_options DROP INDEX option_name"),
        (
            "hostile-other-index",
            "ALTER TABLE wp_options DROP INDEX option_name, ADD UNIQUE INDEX option_name (option_name(2))",
        ),
        (
            "hostile-generated",
            "ALTER TABLE wp_options DROP COLUMN option_value, \
          ADD COLUMN option_value LONGTEXT AS (CONCAT('a:1:{i:1700000000;', SHA2(REPEAT(option_name, 1000), 512))) VIRTUAL",
        ),
        ("hostile-missing", "ALTER TABLE wp_options DROP COLUMN option_value"),
        (
            "hostile-bytes",
            "ALTER TABLE wp_options MODIFY option_value LONGBLOB; UPDATE wp_options SET option_value = x'ff00fe'",
        ),
        ("hostile-other", "ALTER TABLE wp_options MODIFY option_name VARCHAR(40) CHARACTER SET latin1"),
        ("hostile-lock", "LOCK TABLES wp_options WRITE"),
    ];
    let mut sessions = Vec::new();
    for (name, _) in hostile.iter().chain(&[("honest", ""), ("honest-too", "")]) {
        let spec = made(harness, name).await;
        harness.adapter.confirm_tenant(&key(&spec)).await.unwrap();
        harness.schedule(&tenant(&spec), DUE).await;
    }
    for (name, statements) in hostile {
        let mut session = harness.login(&format!("wp_{name}"), "secret").await.unwrap();
        execute(&mut session, &format!("USE `wp_{name}`")).await.unwrap();
        for statement in statements.split("; ") {
            execute(&mut session, statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        // A lock lasts as long as its session.
        sessions.push(session);
    }
    let begun = std::time::Instant::now();
    let events = harness.adapter.next_events(super::super::instance(1)).await.unwrap();
    let mut listed: Vec<&str> = events.iter().map(|event| event.site.name.as_str()).collect();
    listed.retain(|name| name.starts_with("hos") || name.starts_with("honest"));
    listed.sort_unstable();
    // What is stored otherwise than WordPress does, and still found at once, counts.
    assert_eq!(listed, ["honest", "honest-too", "hostile-other"]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(3), "no tenant was waited for: {:?}", begun.elapsed());
}

/// Each has found another way to hide its statement, or the time for which it runs.
async fn a_statement_hides_from_no_limit(harness: &Real) {
    let spec = made(harness, "timeless").await;
    let hostile = [
        ("SET SESSION max_statement_time = 0, timestamp = 4102444800", "/* DELETE */ SELECT SLEEP(600), 's3cret'"),
        ("PREPARE odd FROM \"SELECT SLEEP(600), 's3cret'\"", "EXECUTE odd"),
        ("SET NAMES latin1", "SELECT 'ä\u{1f980}s3cret', SLEEP(600)"),
    ];
    let mut running = Vec::new();
    for (before, statement) in hostile {
        let mut session = harness.login(&tenant(&spec), "secret").await.unwrap();
        execute(&mut session, before).await.unwrap();
        running.push(tokio::spawn(async move {
            assert_eq!(number(execute(&mut session, statement).await), INTERRUPTED);
            execute(&mut session, "DO 1").await
        }));
    }
    let mut exempt = harness.login("hostplane", "contract-admin").await.unwrap();
    let exempt = tokio::spawn(async move { execute(&mut exempt, "SELECT SLEEP(600), 'exempt'").await });
    let mut ended = Vec::new();
    let begun = std::time::Instant::now();
    while ended.len() < hostile.len() && begun.elapsed() < std::time::Duration::from_mins(1) {
        ended.extend(harness.adapter.end_long_statements(super::super::instance(1), 1).await.unwrap());
    }
    assert_eq!(ended.len(), hostile.len(), "{ended:?}");
    assert!(!format!("{ended:?}").contains("s3cret"));
    for connection in running {
        connection.await.unwrap().expect("the connection stays");
    }
    assert!(!exempt.is_finished(), "the control plane's own");
    exempt.abort();
}
