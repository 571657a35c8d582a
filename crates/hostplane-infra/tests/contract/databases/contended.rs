//! Calls that meet.

use futures_util::future::join_all;
use hostplane_testing::cases;

use super::{Harness, facts, key, site, spec, whole};

cases!(pub(super) CASES: dyn Harness = [one_tenant_at_once_is_one_tenant, two_sites_at_once_never_share_a_tenant]);

async fn one_tenant_at_once_is_one_tenant(harness: &dyn Harness) {
    let (spec, databases) = (spec("at-once"), harness.databases());
    for result in join_all((0..8).map(|_| databases.ensure_tenant(&spec))).await {
        result.unwrap();
    }
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));
    let key = key(&spec);
    for result in join_all((0..8).map(|_| databases.remove_tenant(&key))).await {
        result.unwrap();
    }
    assert_eq!(facts(harness, &spec).await, None);
}

async fn two_sites_at_once_never_share_a_tenant(harness: &dyn Harness) {
    let one = spec("contested");
    let mut other = one.clone();
    other.mark.site = site("contested", 2);
    other.max_connections = 9;
    // Adapters with other credentials don't share the lock, as those of two instances.
    let (databases, rival) = (harness.databases(), harness.rival().await);
    for _ in 0..10 {
        let winner = match tokio::join!(databases.ensure_tenant(&one), rival.ensure_tenant(&other)) {
            (Ok(()), Err(_)) => &one,
            (Err(_), Ok(())) => &other,
            other => panic!("{other:?}"),
        };
        assert_eq!(facts(harness, winner).await, Some(whole(winner)));
        databases.remove_tenant(&key(winner)).await.unwrap();
        assert_eq!(facts(harness, winner).await, None);
    }
}
