//! Snippets on disk and snippets that are served, which may differ.

use hostplane_testing::cases;

use super::{Harness, answering, config_rejected, find, put, remove, route};

cases!(pub(super) CASES: dyn Harness = [
    a_route_that_is_only_on_disk_is_finished_or_removed,
    a_route_that_is_gone_from_disk_only_is_finished_or_removed,
    settling_loads_what_is_on_disk,
    a_broken_foreign_snippet_is_named_and_all_is_served_on,
    a_restarted_control_plane_does_not_know_what_is_loaded,
]);

/// As a call leaves it that broke off before the proxy reloaded.
async fn a_route_that_is_only_on_disk_is_finished_or_removed(harness: &dyn Harness) {
    let spec = route("on-disk", "on-disk.test", "x");
    harness.proxy().settle().await.unwrap();
    for again in [false, true] {
        harness.plant("on-disk.caddy", &spec.contents).await;
        let found = find(harness, "on-disk.caddy").await.unwrap();
        assert_eq!((found.mark, found.loaded), (Some(spec.mark.clone()), false));
        assert_eq!(harness.body("on-disk.test").await, None);
        if !again {
            put(harness, &spec).await.unwrap();
            assert!(find(harness, "on-disk.caddy").await.unwrap().loaded);
            assert_eq!(harness.body("on-disk.test").await.as_deref(), Some("x"));
            harness.plant("on-disk.caddy", &route("on-disk", "on-disk.test", "changed").contents).await;
            assert!(!find(harness, "on-disk.caddy").await.unwrap().loaded, "another version is");
            assert_eq!(harness.body("on-disk.test").await.as_deref(), Some("x"));
        }
        remove(harness, &spec).await;
        assert_eq!(find(harness, "on-disk.caddy").await, None);
        assert_eq!(harness.body("on-disk.test").await, None);
    }
}

/// As a removal leaves it that broke off before the proxy reloaded.
async fn a_route_that_is_gone_from_disk_only_is_finished_or_removed(harness: &dyn Harness) {
    let spec = route("off-disk", "off-disk.test", "x");
    let may_be_served = async || harness.proxy().routes().await.unwrap().served.may_have("off-disk.caddy");
    for again in [false, true] {
        put(harness, &spec).await.unwrap();
        harness.uproot("off-disk.caddy").await;
        assert_eq!(find(harness, "off-disk.caddy").await, None);
        assert!(may_be_served().await);
        assert_eq!(harness.body("off-disk.test").await.as_deref(), Some("x"), "it is served on");
        if again {
            put(harness, &spec).await.unwrap();
            assert!(find(harness, "off-disk.caddy").await.unwrap().loaded);
        }
        remove(harness, &spec).await;
        assert!(!may_be_served().await);
        assert_eq!(harness.body("off-disk.test").await, None);
    }
}

async fn settling_loads_what_is_on_disk(harness: &dyn Harness) {
    harness.plant("settled-by-hand.caddy", &answering("settled.test", "theirs")).await;
    for _ in 0..2 {
        harness.proxy().settle().await.unwrap();
        assert!(find(harness, "settled-by-hand.caddy").await.unwrap().loaded);
        assert_eq!(harness.body("settled.test").await.as_deref(), Some("theirs"));
    }
    harness.uproot("settled-by-hand.caddy").await;
    harness.proxy().settle().await.unwrap();
    assert_eq!(harness.body("settled.test").await, None);
}

async fn a_broken_foreign_snippet_is_named_and_all_is_served_on(harness: &dyn Harness) {
    let healthy = route("healthy", "healthy.test", "x");
    put(harness, &healthy).await.unwrap();
    harness.plant("theirs.caddy", "http://theirs.test {\n\tno_such_directive\n}\n").await;
    let innocent = route("innocent", "innocent.test", "x");
    let site = &healthy.mark.site;
    for refused in [
        put(harness, &innocent).await,
        put(harness, &healthy).await,
        harness.proxy().settle().await,
        harness.proxy().remove_route(healthy.mark.instance, site).await,
        harness.proxy().remove_route(innocent.mark.instance, &innocent.mark.site).await,
    ] {
        let message = config_rejected(refused);
        assert!(message.starts_with("the present configuration is not valid: sites/theirs.caddy:2:"), "{message}");
    }
    assert_eq!(find(harness, "innocent.caddy").await, None);
    assert!(find(harness, "healthy.caddy").await.unwrap().loaded);
    assert_eq!(harness.body("healthy.test").await.as_deref(), Some("x"));
    harness.uproot("theirs.caddy").await;
    put(harness, &innocent).await.unwrap();
    remove(harness, &healthy).await;
    assert_eq!(harness.body("innocent.test").await.as_deref(), Some("x"));
}

async fn a_restarted_control_plane_does_not_know_what_is_loaded(harness: &dyn Harness) {
    let spec = route("unknown", "unknown.test", "x");
    for by_putting in [false, true] {
        put(harness, &spec).await.unwrap();
        let proxy = harness.after_restart();
        let loaded = async || {
            let found = proxy.routes().await.unwrap().snippets;
            found.into_iter().find(|facts| facts.file == "unknown.caddy").unwrap().loaded
        };
        let may_have = async |file: &str| proxy.routes().await.unwrap().served.may_have(file);
        assert!(!loaded().await);
        assert!(may_have("long-gone.caddy").await, "nothing is known yet");
        if by_putting {
            proxy.put_route(&spec).await.unwrap();
        } else {
            proxy.settle().await.unwrap();
        }
        assert!(loaded().await);
        assert!(may_have("unknown.caddy").await && !may_have("long-gone.caddy").await);
    }
}
