//! Drift is detected: by the Engine's events, by scans, and after changes of ours.

use hostplane_domain::drift::Remediation;
use hostplane_domain::mark::Labels;
use hostplane_domain::observed::Reason;
use hostplane_domain::site_change::SiteChange;
use hostplane_infra::error::Dependency;
use hostplane_infra::gate::Verdict;
use hostplane_testing::harness::name;

use crate::drift::{kill_php, known, new_in_service, repair_completes, repaired, repairs, stop_php, until_known};

#[tokio::test]
async fn an_event_of_the_engine_is_enough() {
    let (harness, running) = new_in_service().await;
    kill_php(&harness);
    repair_completes(&running, 1).await;
    // The events of networks and volumes carry only a name.
    harness.world.state().containers.containers.clear();
    harness.world.state().containers.networks.retain(|_, network| network.name != "site_hello");
    harness.world.emit_event("site_hello", "destroy", Labels::new());
    repair_completes(&running, 2).await;
    until_known(&running, &[]).await;
    running.stop().await;
}

/// Too many for a listener who doesn't listen, so that some are lost and the stream with them.
#[tokio::test]
async fn lost_events_are_followed_by_a_full_scan() {
    let (harness, running) = new_in_service().await;
    let before = harness.gate.calls().len();
    stop_php(&harness);
    for _ in 0..1_000 {
        harness.world.emit_event("mariadb", "health_status", Labels::new());
    }
    repair_completes(&running, 1).await;
    assert_eq!(harness.world.listeners(), 1);
    let calls = harness.gate.calls().split_off(before);
    let first =
        |name| calls.iter().position(|call| call.name == name).unwrap_or_else(|| panic!("no {name}: {calls:?}"));
    assert!(first("docker.events") < first("docker.containers"), "{calls:?}");
    running.stop().await;
}

#[tokio::test]
async fn events_without_a_site_change_nothing() {
    let (harness, running) = new_in_service().await;
    let strange = Labels::from([("hostplane.site-id".to_owned(), "../../etc".to_owned())]);
    for (event, labels) in [("mariadb", Labels::new()), ("php_absent", Labels::new()), ("wp_../x", strange)] {
        harness.world.emit_event(event, "die", labels);
    }
    running.scan_deeply().await;
    assert_eq!(repairs(&running).await.len(), 0);
    running.stop().await;
}

/// Drift that only a deep scan shows is found on all sites, in turn.
#[tokio::test]
async fn each_full_scan_scans_other_sites_deeply() {
    let (harness, running) = new_in_service().await;
    let sites = ["hello", "second", "third"];
    for site in &sites[1..] {
        running.active(site).await;
    }
    for site in sites {
        let php = format!("php_{site}");
        harness.world.state().containers.write_file(&php, "wp-config.php", "changed");
    }
    for nth in 1..=sites.len() {
        running.scan(1).await;
        repaired(&running, nth).await;
    }
    let repaired: std::collections::BTreeSet<_> = repairs(&running).await.into_iter().map(|job| job.site).collect();
    assert_eq!(repaired, sites.map(name).into());
    running.stop().await;
}

#[tokio::test]
async fn hanging_front_pages_hold_up_no_repair() {
    let (harness, running) = new_in_service().await;
    for n in 0..8 {
        running.active(&format!("s{n}")).await;
    }
    // As many as sites are scanned deeply at the same time.
    for _ in 0..8 {
        harness.gate.next("probe.get", Verdict::Hang);
    }
    let asked = || harness.gate.calls().iter().filter(|call| call.name == "probe.get").count();
    let before = asked();
    let repaired = async {
        while asked() < before + 8 {
            tokio::task::yield_now().await;
        }
        kill_php(&harness);
        repair_completes(&running, 1).await;
    };
    tokio::select! {
        biased;
        scanned = running.app.reconcile(true) => panic!("the deep scan ended: {scanned:?}"),
        () = repaired => {}
    }
    running.stop().await;
}

#[tokio::test]
async fn a_changed_site_is_scanned_when_its_job_ends() {
    let (_harness, running) = new_in_service().await;
    let suspend = running.change("hello", &SiteChange::Suspended(true)).await;
    running.scan(1).await;
    running.completed(suspend).await;
    running.scan_deeply().await;
    assert_eq!((known(&running), repairs(&running).await.len()), (Vec::new(), 0), "it is as it should be");
    running.stop().await;
}

#[tokio::test]
async fn a_change_drops_a_site_s_cached_drift() {
    let (_harness, running) = new_in_service().await;
    running.scan(1).await;
    let job = running.change("hello", &SiteChange::Suspended(true)).await;
    running.completed(job).await;
    // First the result of deep scans, so that the last word is that of the lists.
    running.scan_deeply().await;
    running.scan(1).await;
    assert_eq!(known(&running), []);
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_seen_is_unknown_and_nothing_is_done_about_it() {
    let (harness, running) = new_in_service().await;
    for dependency in [Dependency::DOCKER, Dependency::Mariadb, Dependency::CADDY] {
        harness.gate.cut_off(dependency);
        running.scan_deeply().await;
        let report = running.app.drift();
        let trouble = report.trouble.unwrap_or_else(|| panic!("{dependency} is not missed"));
        assert!(trouble.contains("refused") || trouble.contains("down"), "{trouble}");
        assert!(
            known(&running).iter().all(|(_, reason, way)| (*reason, *way) == (Reason::Unknown, Remediation::Nothing))
        );
        harness.gate.reconnect(dependency);
        running.app.readiness().await;
        running.scan_deeply().await;
        assert_eq!((running.app.drift().trouble, known(&running)), (None, Vec::new()), "{dependency}");
    }
    assert_eq!(repairs(&running).await.len(), 0);
    running.stop().await;
}
