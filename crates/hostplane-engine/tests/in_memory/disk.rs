//! Sites that use up their disk space take no more of it, and an Engine's disk is watched.

use std::time::Duration;

use hostplane_domain::disk::{DiskLimits, DiskSpace, MIB};
use hostplane_domain::job::OperationName;
use hostplane_engine::app::{AppError, Severity};
use hostplane_infra::error::Dependency;
use hostplane_testing::earlier_release;
use hostplane_testing::harness::{ControlPlane, name, new_site};

use crate::harness::{Harness, until};

const LIMITS: DiskLimits = DiskLimits { soft: Some(500 * MIB), hard: Some(1000 * MIB), reserve: 2000 * MIB };
const DISK: DiskSpace = DiskSpace { total: 10_000 * MIB, free: 9000 * MIB, inodes: 1_000_000, free_inodes: 900_000 };

/// A harness that measures all the time.
async fn measuring() -> Harness {
    let mut harness = Harness::new().await;
    harness.settings.disk.limits = LIMITS;
    harness.settings.disk.interval = Duration::ZERO;
    harness.settings.disk.tick = Duration::from_millis(4);
    harness.world.state().containers.space = DISK;
    harness
}

/// The same with sites in service.
async fn with_sites<const N: usize>(sites: [&str; N]) -> (Harness, ControlPlane) {
    let harness = measuring().await;
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    for site in sites {
        running.active(site).await;
    }
    (harness, running)
}

impl Harness {
    /// Gives a site files of a size.
    fn fill(&self, site: &str, mib: u64) {
        self.world.state().containers.volumes.get_mut(&format!("wp_{site}")).unwrap().bulk = mib * MIB;
    }

    /// Gives a site's database a size, of which a part is free inside.
    fn fill_database(&self, site: &str, mib: u64, free: u64) {
        let mut state = self.world.state();
        state.databases.databases.get_mut(&format!("wp_{site}")).unwrap().size = (mib * MIB, free * MIB);
    }

    fn set_free(&self, mib: u64) {
        self.world.state().containers.space.free = mib * MIB;
    }

    /// True when a site's user lacks privileges and its route refuses uploads; both or neither.
    fn is_restricted(&self, site: &str) -> bool {
        let state = self.world.state();
        let user = state.databases.users[&format!("wp_{site}")].restricted;
        let route = state.proxy.loaded[&format!("{site}.caddy")].contains(" 507\n");
        assert_eq!(user, route, "{site}");
        user
    }

    /// Waits until every site was measured once more.
    async fn measured(&self, sites: usize) {
        let count = || self.gate.calls().iter().filter(|call| call.name == "docker.usage").count();
        let before = count();
        until("measurements", async || (count() > before + 2 * sites).then_some(())).await;
    }
}

/// Waits until a site is restricted, or free, and idle.
async fn becomes(running: &ControlPlane, site: &str, restricted: bool) {
    until("the restriction, or its end", async || {
        let seen = running.site(site).await;
        let is = seen.record.spec.is_some_and(|spec| spec.restricted);
        (is == restricted && seen.active_job.is_none()).then_some(())
    })
    .await;
}

async fn orders(running: &ControlPlane) -> usize {
    running.jobs_of(OperationName::Restrict).await.len() + running.jobs_of(OperationName::Lift).await.len()
}

#[tokio::test]
async fn a_site_at_its_limit_is_restricted_until_it_has_room() {
    let (harness, running) = with_sites(["full", "other"]).await;
    harness.fill("full", 999);
    harness.measured(2).await;
    assert_eq!(orders(&running).await, 0, "files of a new site are few");
    let used = running.site("full").await.usage.unwrap().usage;
    assert!(used.bytes() > 999 * MIB && used.files.unwrap().inodes > 1 && used.database == Some(0), "{used:?}");

    harness.fill_database("full", 100, 0);
    becomes(&running, "full", true).await;
    assert!(harness.is_restricted("full") && !harness.is_restricted("other"));
    running.assert_whole("full").await;

    harness.fill("full", 860);
    harness.measured(2).await;
    assert!(harness.is_restricted("full"), "it has to fall some way below the limit");
    // No file of the database gets smaller, but it has room inside.
    harness.fill_database("full", 100, 90);
    becomes(&running, "full", false).await;
    assert!(!harness.is_restricted("full"));
    assert_eq!(orders(&running).await, 2);
    running.stop().await;
}

#[tokio::test]
async fn what_is_enforced_outlasts_a_restart_and_repairs() {
    let (mut harness, running) = with_sites(["full"]).await;
    harness.fill("full", 2000);
    becomes(&running, "full", true).await;
    running.stop().await;

    // Nothing is measured, so only what is stored counts.
    let (interval, tick) = (harness.settings.disk.interval, harness.settings.disk.tick);
    harness.settings.disk.tick = Duration::from_hours(1);
    let running = harness.start().await;
    running.app.settle_routes().await.unwrap();
    running.scan(2).await;
    assert!(running.jobs_of(OperationName::Repair).await.is_empty() && harness.is_restricted("full"));
    // What somebody grants is taken back, but not what was taken by the restriction.
    harness.world.state().databases.users.get_mut("wp_full").unwrap().grants_more = true;
    running.scan(1).await;
    let repair = until("the repair", async || running.jobs_of(OperationName::Repair).await.pop()).await;
    running.completed(repair.record.id).await;
    assert!(harness.is_restricted("full"));
    running.stop().await;

    (harness.settings.disk.interval, harness.settings.disk.tick) = (interval, tick);
    harness.settings.disk.limits.hard = Some(3000 * MIB);
    let running = harness.start().await;
    becomes(&running, "full", false).await;
    assert!(!harness.is_restricted("full"), "the limit was raised");
    running.stop().await;
}

#[tokio::test]
async fn a_site_that_a_job_holds_is_left_alone() {
    let (harness, running) = with_sites(["held"]).await;
    harness.gate.cut_off(Dependency::CADDY);
    let job = running.change("held", &hostplane_domain::site_change::SiteChange::Suspended(true)).await;
    running.waiting(job).await;
    harness.fill("held", 2000);
    harness.measured(1).await;
    assert_eq!(orders(&running).await, 0);
    harness.gate.reconnect(Dependency::CADDY);
    running.completed(job).await;
    becomes(&running, "held", true).await;
    running.stop().await;
}

/// No person ordered the change, so it is no reason for any other; nor can a page stop it.
#[tokio::test]
async fn a_restriction_upgrades_nothing_and_asks_no_page() {
    let (harness, running) = with_sites(["old"]).await;
    earlier_release::leave(&mut harness.world.state(), &name("old"));
    let containers = harness.state().containers;
    let asked = || harness.gate.calls().iter().filter(|call| call.name == "probe.get").count();
    let before = asked();
    harness.world.state().containers.write_file("wp_old", hostplane_testing::fake::ANSWERS, "/ 500\n");
    harness.fill("old", 2000);
    becomes(&running, "old", true).await;
    harness.fill("old", 0);
    becomes(&running, "old", false).await;
    assert_eq!(harness.state().containers.containers, containers.containers);
    assert_eq!(asked(), before);
    assert!(running.site("old").await.upgrade_pending || running.app.drift().sites.is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_site_that_cannot_be_measured_stays_as_it_is() {
    let (harness, running) = with_sites(["silent"]).await;
    harness.fill("silent", 2000);
    becomes(&running, "silent", true).await;
    harness.gate.cut_off(Dependency::Mariadb);
    harness.fill("silent", 0);
    let unknown = until("a measurement without the database", async || {
        let usage = running.site("silent").await.usage?.usage;
        usage.database.is_none().then_some(usage)
    });
    assert!(unknown.await.files.is_some());
    harness.measured(1).await;
    assert!(harness.is_restricted("silent"));
    harness.gate.reconnect(Dependency::Mariadb);
    becomes(&running, "silent", false).await;
    running.stop().await;
}

/// The findings of `doctor` about disk space: of the Engine's disk (no site), and of sites.
async fn findings(running: &ControlPlane) -> Vec<(Option<String>, Severity, String)> {
    let all = running.app.examine().await.unwrap();
    let about_disk = all.into_iter().filter(|finding| finding.check == "disk");
    about_disk.map(|found| (found.site.map(|site| site.to_string()), found.severity, found.message)).collect()
}

#[tokio::test]
async fn operators_are_warned_before_sites_are_restricted() {
    let (harness, running) = with_sites(["big", "full", "small"]).await;
    harness.fill("big", 600);
    harness.fill("full", 2000);
    becomes(&running, "full", true).await;
    harness.measured(3).await;
    let found = findings(&running).await;
    let severities: Vec<_> = found.iter().map(|(site, severity, _)| (site.as_deref(), *severity)).collect();
    assert_eq!(severities, [(None, Severity::Ok), (Some("full"), Severity::Error), (Some("big"), Severity::Warning)]);
    assert!(found[1].2.contains("2001 MB (hard limit: 1000 MB)"), "{found:?}");
    let statistics = running.app.statistics().await.unwrap().disk;
    assert_eq!((statistics.sites.len(), statistics.above_soft), (3, 2));
    running.stop().await;
}

#[tokio::test]
async fn below_the_reserve_no_site_is_made_and_who_grows_is_restricted() {
    let (mut harness, running) = with_sites(["grows", "stays"]).await;
    running.stop().await;
    harness.settings.disk.limits.hard = None;
    let running = harness.start().await;
    harness.fill("stays", 600);
    harness.measured(2).await;
    harness.set_free(1999);
    until("a measurement of the disk", async || {
        let space = running.app.statistics().await.unwrap().disk.space?;
        (space.free == 1999 * MIB).then_some(())
    })
    .await;
    let refused = running.app.create_site(&new_site("new")).await.unwrap_err();
    assert!(matches!(refused, AppError::DiskReserve { .. }), "{refused}");
    assert!(refused.to_string().contains("1999 MB are free, and DISK_RESERVE keeps 2000 MB"), "{refused}");
    let about_disk = findings(&running).await.swap_remove(0);
    assert_eq!((about_disk.0, about_disk.1), (None, Severity::Error));
    harness.measured(2).await;
    assert_eq!(orders(&running).await, 0, "nobody grows");

    harness.fill("grows", 100);
    becomes(&running, "grows", true).await;
    assert!(harness.is_restricted("grows") && !harness.is_restricted("stays"));
    // What is deleted frees nobody before the reserve is whole.
    harness.fill("grows", 0);
    harness.measured(2).await;
    assert!(harness.is_restricted("grows"));
    harness.set_free(9000);
    becomes(&running, "grows", false).await;
    assert!(!harness.is_restricted("grows"));
    running.active("new").await;
    running.stop().await;
}
