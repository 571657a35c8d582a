//! Faults on the way to a real server, and at any point of a call.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hostplane_infra::databases::{Databases, Mariadb, TenantSpec, Tenants};
use hostplane_infra::error::{Effect, EffectError, Rejection};
use hostplane_testing::cases;
use secrecy::SecretString;

use super::super::{facts, key, spec, whole};
use super::{Real, address, execute};

cases!(pub(super) CASES: Real = [
    missing_privileges_are_access_denied_without_the_hash,
    an_older_password_is_renewed_at_the_next_call,
    a_call_that_is_cut_off_anywhere_is_finished_by_the_next,
    a_removal_that_is_cut_off_anywhere_is_finished_by_the_next,
    a_lock_that_is_held_is_transient_and_soon,
    a_server_that_is_down_is_transient,
]);

async fn each_call(adapter: &Mariadb, spec: &TenantSpec) -> [Effect<()>; 5] {
    let which = Tenants::Of(spec.mark.site.name.clone());
    let key = key(spec);
    let (ping, tenants, ensure, confirm, remove) = tokio::join!(
        adapter.ping(),
        adapter.tenants(&which),
        adapter.ensure_tenant(spec),
        adapter.confirm_tenant(&key),
        adapter.remove_tenant(&key)
    );
    [ping, tenants.map(drop), ensure, confirm, remove]
}

async fn missing_privileges_are_access_denied_without_the_hash(harness: &Real) {
    // The more it may do, the further it gets.
    harness.run("CREATE USER `climbing`@`%` IDENTIFIED BY 'climbing'").await;
    let adapter = Mariadb::new(address(harness.server.port, "climbing", "climbing"));
    let spec = spec("unprivileged");
    for next in [
        "SELECT ON mysql.*",
        "SELECT, INSERT, UPDATE, DELETE, CREATE ON `wp\\_\\_hostplane`.*",
        "CREATE USER ON *.*",
        "CREATE ON *.*",
    ] {
        let error = adapter.ensure_tenant(&spec).await.unwrap_err();
        assert!(matches!(&error, EffectError::Rejected(Rejection::AccessDenied { .. })), "before {next}: {error:?}");
        assert!(!format!("{error:?} {}", error.chain()).contains(&spec.password_hash[1..]));
        harness.run(&format!("GRANT {next} TO `climbing`@`%`")).await;
    }
    harness.run("GRANT ALL PRIVILEGES ON *.* TO `climbing`@`%` WITH GRANT OPTION").await;
    adapter.ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)), "what was begun is finished");
}

/// An adapter whose password may be any of these; the first is the one that it should be.
fn one_of(harness: &Real, passwords: &'static [&'static str]) -> Mariadb {
    let all = move || passwords.iter().map(|&password| SecretString::from(password)).collect();
    Mariadb::with_passwords(address(harness.server.port, "renewing", passwords[0]), Arc::new(all))
}

async fn an_older_password_is_renewed_at_the_next_call(harness: &Real) {
    harness
        .run("CREATE USER `renewing`@`%` IDENTIFIED BY 'first'; GRANT ALL PRIVILEGES ON *.* TO `renewing`@`%`")
        .await;
    let denied = one_of(harness, &["third", "second"]).ping().await.unwrap_err();
    assert!(matches!(&denied, EffectError::Rejected(Rejection::AccessDenied { .. })), "{denied:?}");
    // Several at once, as there are when everything goes on after a rotation.
    let adapter = one_of(harness, &["third", "second", "first"]);
    let all = Tenants::All;
    let (pings, lists) =
        tokio::join!(join_all((0..8).map(|_| adapter.ping())), join_all((0..8).map(|_| adapter.tenants(&all))));
    assert!(pings.iter().all(Result::is_ok) && lists.iter().all(Result::is_ok), "{pings:?} {lists:?}");
    one_of(harness, &["third"]).ping().await.unwrap();
    let denied = one_of(harness, &["first"]).ping().await.unwrap_err();
    assert!(matches!(&denied, EffectError::Rejected(Rejection::AccessDenied { .. })), "{denied:?}");
    assert!(!format!("{denied:?} {}", denied.chain()).contains("third"));
}

/// Runs a call and cuts it off after a while, as the gate does.
async fn cut_off<F>(after: Duration, call: F)
where
    F: Future<Output = Effect<()>>,
{
    let _ = tokio::time::timeout(after, call).await;
}

async fn a_call_that_is_cut_off_anywhere_is_finished_by_the_next(harness: &Real) {
    let spec = spec("cut-off");
    for step in 0..60 {
        cut_off(Duration::from_micros(step * 150), harness.adapter.ensure_tenant(&spec)).await;
        harness.adapter.ensure_tenant(&spec).await.unwrap();
        assert_eq!(facts(harness, &spec).await, Some(whole(&spec)), "step {step}");
        // And so is what was cut off before the tenant was ever whole.
        harness.adapter.remove_tenant(&key(&spec)).await.unwrap();
        cut_off(Duration::from_micros(step * 150), harness.adapter.ensure_tenant(&spec)).await;
        harness.adapter.remove_tenant(&key(&spec)).await.unwrap();
        assert_eq!(facts(harness, &spec).await, None, "step {step}: nothing lands after a removal");
    }
}

async fn a_removal_that_is_cut_off_anywhere_is_finished_by_the_next(harness: &Real) {
    let spec = spec("cut-away");
    for step in 0..60 {
        harness.adapter.ensure_tenant(&spec).await.unwrap();
        cut_off(Duration::from_micros(step * 150), harness.adapter.remove_tenant(&key(&spec))).await;
        harness.adapter.remove_tenant(&key(&spec)).await.unwrap();
        assert_eq!(facts(harness, &spec).await, None, "step {step}");
    }
}

async fn a_lock_that_is_held_is_transient_and_soon(harness: &Real) {
    let spec = spec("blocked");
    harness.adapter.ensure_tenant(&spec).await.unwrap();
    harness.run("CREATE TABLE `wp_blocked`.x (id INT) ENGINE=InnoDB").await;
    let mut holder = harness.login("hostplane", "contract-admin").await.unwrap();
    execute(&mut holder, "BEGIN").await.unwrap();
    execute(&mut holder, "SELECT * FROM `wp_blocked`.x").await.unwrap();
    let begun = tokio::time::Instant::now();
    let error = harness.adapter.remove_tenant(&key(&spec)).await.unwrap_err();
    assert!(matches!(error, EffectError::Transient { down: None, .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(facts(harness, &spec).await.unwrap().ledger.is_some(), "the row goes last");
    drop(holder);
    harness.adapter.remove_tenant(&key(&spec)).await.unwrap();
    assert_eq!(facts(harness, &spec).await, None);
}

async fn a_server_that_is_down_is_transient(harness: &Real) {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [port, silent.local_addr().unwrap().port()];
    let adapters = ports.map(|port| Arc::new(Mariadb::new(address(port, "hostplane", "contract-admin"))));
    for adapter in adapters {
        for result in each_call(&adapter, &spec("unreachable")).await {
            let error = result.unwrap_err();
            assert!(matches!(error, EffectError::Transient { .. }), "{error:?}");
        }
    }
    harness.adapter.ping().await.unwrap();
}
