//! Checks of the installation and of every site, each with its meaning and a hint.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::join;
use hostplane_domain::drift::{Drift, Remediation};
use hostplane_domain::job::JobState;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_domain::subnet::overlap;
use hostplane_domain::wordpress::SiteImages;
use hostplane_infra::containers::{EngineFacts, ImageFacts, Scope};
use hostplane_infra::database_path::{ClosedPath, PathState};
use hostplane_infra::error::{Dependency, Effect};

use super::{App, AppResult, JobView, OrphanReason};
use crate::store::{JobFilter, UnreadableRow};

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to do.
    Ok,
    /// Everything works now, and may not later.
    Warning,
    /// Something doesn't work.
    Error,
}

impl Severity {
    /// The stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Result of one check.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    /// The site, if the check is about one.
    pub site: Option<SiteName>,
    /// The severity.
    pub severity: Severity,
    /// The result and its meaning.
    pub message: String,
    /// The command to type, or the setting to change.
    pub hint: Option<String>,
}

impl Finding {
    /// A check that passed.
    #[must_use]
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, site: None, severity: Severity::Ok, message: message.into(), hint: None }
    }

    /// A check that found a problem.
    #[must_use]
    pub fn bad(check: &'static str, severity: Severity, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, site: None, severity, message: message.into(), hint: Some(hint.into()) }
    }

    pub(super) fn of(self, site: &SiteName) -> Self {
        Self { site: Some(site.clone()), ..self }
    }
}

/// Engines that the product is tested with.
const TESTED_ENGINES: [&str; 2] = ["20.10.", "26.1."];
/// Tolerated difference between two clocks; tokens, logs and wp-cron depend on them.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// Age of an image from which it is to be built anew.
const IMAGE_AGE: Duration = Duration::from_hours(30 * 24);
/// A pool is nearly full when fewer than one in this number of subnets are free.
const FREE_SHARE: usize = 10;
/// Most stuck jobs shown.
const JOBS: u32 = 100;

impl App {
    /// Checks the installation and, by a deep scan, every site.
    ///
    /// # Errors
    /// When the control database fails.
    pub async fn examine(&self) -> AppResult<Vec<Finding>> {
        let is_complete = self.reconcile(true).await?;
        let mut findings = vec![Finding::ok("control plane", "it answers")];
        findings.push(match self.store.ping().await {
            Ok(()) => Finding::ok("database", "the control database answers"),
            Err(error) => Finding::bad(
                "database",
                Severity::Error,
                format!("the control database doesn't answer: {error}"),
                "see the control plane's log, and whether the disk of HOSTPLANE_HOME is full",
            ),
        });
        // Concurrently, as a dependency that is silent takes its whole deadline.
        let (engine, mariadb, caddy, path, images, subnets) = join!(
            self.world.local().containers.about(),
            self.answers(Dependency::Mariadb, "MARIADB_CONTAINER, or the server of WP_DSN"),
            self.answers(Dependency::CADDY, "CADDY_CONTAINER"),
            self.world.local().database_path.ping(),
            self.images(),
            self.subnets(),
        );
        findings.push(engine_answers(&engine));
        findings.extend(self.clocks(&engine));
        // A server that is down is out of the sites' reach, too: one cause, one finding.
        let path = (mariadb.severity == Severity::Ok).then(|| path_finding(&path));
        let is_path_closed = path.as_ref().is_some_and(|path| path.severity == Severity::Error);
        findings.extend([mariadb, caddy].into_iter().chain(path));
        findings.extend(images);
        findings.push(subnets);
        findings.extend(self.disk_findings().await);
        findings.extend(self.unreadable_rows().await?);
        findings.extend(self.stuck_jobs().await?);
        findings.extend(self.sites_findings(is_complete, is_path_closed).await?);
        findings.push(self.orphans_finding());
        Ok(findings)
    }

    async fn answers(&self, dependency: Dependency, setting: &str) -> Finding {
        let check = dependency.as_str();
        match self.world.ping(dependency).await {
            Ok(()) => Finding::ok(check, "it answers"),
            Err(error) => Finding::bad(
                check,
                Severity::Error,
                format!("it doesn't answer ({}); jobs that need it wait", error.chain()),
                format!("start it (`hostplane up` starts what it made), or see the setting {setting}"),
            ),
        }
    }

    fn clocks(&self, engine: &Effect<EngineFacts>) -> Option<Finding> {
        let theirs = engine.as_ref().ok()?.time?;
        let ours = self.world.clock.now();
        let apart = ours.since(theirs).max(theirs.since(ours));
        Some(if apart <= CLOCK_TOLERANCE {
            Finding::ok("clock", "the clock of the Engine's machine agrees with this one's")
        } else {
            let message = format!(
                "the clock of the Engine's machine and this one's are {} s apart, so times in logs and scheduled events are \
                 wrong on one of them",
                apart.as_secs()
            );
            Finding::bad("clock", Severity::Warning, message, "timedatectl set-ntp true   # on both machines")
        })
    }

    async fn images(&self) -> Vec<Finding> {
        let SiteImages { php, nginx } = &self.settings.images;
        join_all([php, nginx].into_iter().chain(&self.settings.platform_images).map(|image| self.image(image))).await
    }

    async fn image(&self, image: &str) -> Finding {
        match self.world.local().containers.image(image).await {
            Ok(Some(ImageFacts { built: Some(built) })) if self.world.clock.now().since(built) > IMAGE_AGE => {
                let days = self.world.clock.now().since(built).as_secs() / (24 * 60 * 60);
                let message = format!("{image} was built {days} days ago and lacks the security updates since then");
                let hint = "make images REFRESH=1   # then make up, and hostplane site upgrade --all";
                Finding::bad("images", Severity::Warning, message, hint)
            }
            Ok(Some(_)) => Finding::ok("images", format!("{image} is there")),
            Ok(None) => Finding::bad(
                "images",
                Severity::Error,
                format!("{image} is not on the Engine's machine: nothing can be made or remade from it"),
                "make images   # or load it with `docker load`",
            ),
            Err(error) => Finding::bad(
                "images",
                Severity::Error,
                format!("can't check for {image}: {error}"),
                "hostplane doctor   # once the Engine answers",
            ),
        }
    }

    async fn subnets(&self) -> Finding {
        let pool = self.settings.subnet_pool;
        let networks = match self.world.local().containers.networks(&Scope::All).await {
            Ok(networks) => networks,
            Err(error) => {
                let message = format!("can't count free subnets: {error}");
                return Finding::bad(
                    "subnets",
                    Severity::Error,
                    message,
                    "hostplane doctor   # once the Engine answers",
                );
            }
        };
        let used: Vec<_> = networks.iter().flat_map(|network| &network.subnets).collect();
        let is_free = |subnet: &ipnet::Ipv4Net| !used.iter().any(|used| overlap(used, subnet));
        let (free, all) = (pool.subnets().filter(is_free).count(), pool.subnets().count());
        let message = format!("{free} of {all} subnets of {pool} are free, one for each further site");
        let hint = "set SUBNET_POOL to a larger range, and restart the control plane; sites keep what they have";
        if free == 0 {
            Finding::bad("subnets", Severity::Error, message, hint)
        } else if free * FREE_SHARE < all {
            Finding::bad("subnets", Severity::Warning, message, hint)
        } else {
            Finding::ok("subnets", message)
        }
    }

    async fn unreadable_rows(&self) -> AppResult<Vec<Finding>> {
        let finding = |row: &UnreadableRow| {
            let finding = Finding::bad("database", Severity::Error, row.to_string(), row.hint());
            row.site.as_ref().map_or(finding.clone(), |site| finding.of(site))
        };
        Ok(self.store.unreadable_rows().await?.iter().map(finding).collect())
    }

    async fn stuck_jobs(&self) -> AppResult<Vec<Finding>> {
        let filter = JobFilter { state: Some(JobState::NeedsOperator), limit: JOBS, ..JobFilter::default() };
        // A row that can't be read has a finding of its own.
        let stuck = self.jobs(None, &filter).await?.rows;
        if stuck.is_empty() {
            return Ok(vec![Finding::ok("jobs", "none needs an operator")]);
        }
        let finding = |job: &JobView| {
            let (id, operation) = (job.record.id, job.record.operation);
            let why = job.record.error.as_ref().map_or("", |error| error.message.as_str());
            let message = format!("the job {id} ({operation}) needs an operator and holds its site: {why}");
            let hint = format!(
                "hostplane job show {id}; remove the cause, then: hostplane job retry {id}; or give it up: hostplane job cancel {id}"
            );
            Finding::bad("jobs", Severity::Error, message, hint).of(&job.site)
        };
        Ok(stuck.iter().map(finding).collect())
    }

    async fn sites_findings(&self, is_complete: bool, is_path_closed: bool) -> AppResult<Vec<Finding>> {
        let report = self.drift_cache.report();
        let mut findings = Vec::new();
        if is_path_closed {
            // It has its finding, and keeps deep scans from saying anything about a site.
        } else if let Some(trouble) = &report.trouble {
            let message = format!("the last full scan was incomplete, so findings may be missing: {trouble}");
            findings.push(Finding::bad(
                "sites",
                Severity::Error,
                message,
                "hostplane doctor   # once it answers again",
            ));
        } else if !is_complete {
            let message = "the deep scan has not ended yet, so the findings may be out of date";
            findings.push(Finding::bad("sites", Severity::Warning, message, "hostplane drift"));
        }
        for site in &report.sites {
            findings.extend(site.drifts.iter().map(|drift| drift_finding(&site.site.name, drift).of(&site.site.name)));
        }
        // Only a whole scan has anything to say about the others.
        if is_path_closed || report.trouble.is_some() || !is_complete {
            return Ok(findings);
        }
        let counts = self.store.count_sites().await?;
        let active = counts.iter().find(|(status, _)| status.as_str() == "ACTIVE").map_or(0, |(_, count)| *count);
        let well = active.saturating_sub(u64::try_from(report.sites.len()).unwrap_or(u64::MAX));
        findings
            .push(Finding::ok("sites", format!("{well} of {active} in service have no drift, front page included")));
        Ok(findings)
    }

    fn orphans_finding(&self) -> Finding {
        let orphans = self.orphans.all();
        if orphans.iter().any(|orphan| orphan.reason == OrphanReason::UnknownJob) {
            return Finding::bad(
                "orphans",
                Severity::Error,
                "the control database is stale: it doesn't know the jobs that made some of the objects, so automatic \
                 repairs and removals are suspended",
                "hostplane orphan list; then restore a newer copy of the control database",
            );
        }
        if orphans.is_empty() {
            return Finding::ok("orphans", "there are none");
        }
        let message = format!("no site accounts for {} of the objects with this installation's mark", orphans.len());
        Finding::bad("orphans", Severity::Warning, message, "hostplane orphan list")
    }
}

fn path_finding(path: &Effect<PathState>) -> Finding {
    let check = "database path";
    match path {
        Ok(PathState::Open) => Finding::ok(check, "the sites reach MariaDB"),
        Ok(PathState::Unwatched(why)) => Finding::bad(
            check,
            Severity::Warning,
            format!("can't say whether the sites reach MariaDB: {why}"),
            "hostplane up   # makes what asks",
        ),
        Err(error) => {
            let closed = ClosedPath::of(error);
            let what = closed.map_or_else(|| error.chain(), ToString::to_string);
            let repair = closed.map_or_else(|| "hostplane doctor   # asks again".to_owned(), ClosedPath::repair);
            let message = format!("{what}; their pages answer with errors, and jobs that need it wait");
            Finding::bad(check, Severity::Error, message, repair)
        }
    }
}

fn engine_answers(engine: &Effect<EngineFacts>) -> Finding {
    match engine {
        Ok(facts) if TESTED_ENGINES.iter().any(|tested| facts.version.starts_with(tested)) => {
            Finding::ok("docker", format!("Engine {} answers", facts.version))
        }
        Ok(facts) => Finding::bad(
            "docker",
            Severity::Warning,
            format!("Engine {} answers; the product is not tested with it", facts.version),
            "tested are 20.10 and 26.1",
        ),
        Err(error) => Finding::bad(
            "docker",
            Severity::Error,
            format!("the Engine doesn't answer ({}); jobs wait, and nothing is repaired", error.chain()),
            "start it (`systemctl start docker`), or see the setting DOCKER_HOST",
        ),
    }
}

fn drift_finding(site: &SiteName, drift: &Drift) -> Finding {
    let name = naming::of(drift.kind, site);
    let what = format!("{} {name} ({}: {})", drift.kind, drift.reason, drift.detail);
    match drift.remediation {
        Remediation::Repair => Finding::bad(
            "sites",
            Severity::Warning,
            format!("{what}: Hostplane repairs it"),
            format!("hostplane job list --site {site}"),
        ),
        Remediation::Upgrade => Finding::bad(
            "sites",
            Severity::Warning,
            format!("{what}: it was made by an earlier release, and works"),
            format!("hostplane site upgrade {site}"),
        ),
        Remediation::Restore => Finding::bad(
            "sites",
            Severity::Error,
            format!("{what}: data is gone, and visitors get a maintenance page"),
            format!("bring it back from a backup, then retry the site's job: hostplane job list --site {site}"),
        ),
        Remediation::Operator => Finding::bad(
            "sites",
            Severity::Error,
            format!("{what}: Hostplane can't repair it; operator required"),
            format!("hostplane site logs {site}"),
        ),
        Remediation::Nothing => Finding::bad(
            "sites",
            Severity::Warning,
            format!("{what}: it could not be observed"),
            format!("hostplane drift --site {site}"),
        ),
    }
}
