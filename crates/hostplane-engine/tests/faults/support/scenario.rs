//! Every operation, on a site of every kind, from every status in which it can begin; straight on, and turned back.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::naming;
use hostplane_domain::site_change::{LimitsPatch, PhpPatch, SettingsPatch, SiteChange};
use hostplane_domain::site_kind::SiteKind;
use hostplane_domain::status::SiteStatus;
use hostplane_domain::wordpress::SiteImages;
use hostplane_engine::app::{App, AppError, AppResult};
use hostplane_engine::operations::OPERATIONS;
use hostplane_engine::store::NewSite;
use hostplane_testing::earlier_release;
use hostplane_testing::fake::State;
use hostplane_testing::harness::{name, new_site, new_site_of};

use crate::check;
use crate::harness::{Harness, OTHER_NGINX_IMAGE, OTHER_PHP_IMAGE, Stage, in_virtual_time, jobs_of};
use crate::run::turning_point;

/// The site that everything is done to.
pub const SITE: &str = "hello";

/// One change for each operation that changes a site that is there, as wide as that operation can be.
pub static CHANGES: LazyLock<Vec<SiteChange>> = LazyLock::new(|| {
    let limits = LimitsPatch {
        php_workers: Some(7),
        database_connections: Some(30),
        upload_mib: Some(32),
        ..LimitsPatch::default()
    };
    let images = SiteImages { php: OTHER_PHP_IMAGE.to_owned(), nginx: OTHER_NGINX_IMAGE.to_owned() };
    let php = PhpPatch { memory_mib: Some(128), ..PhpPatch::default() };
    vec![
        SiteChange::Settings(SettingsPatch { limits, php }),
        SiteChange::Upgrade { images, mail: None },
        SiteChange::Suspended(true),
        SiteChange::Suspended(false),
        SiteChange::Secrets { generation: 1 },
        SiteChange::Restricted(true),
        SiteChange::Restricted(false),
    ]
});

/// One of the changes, as a site of a kind can be asked for it: PHP's settings are WordPress's alone.
pub fn change(kind: SiteKind, which: usize) -> SiteChange {
    match &CHANGES[which] {
        SiteChange::Settings(patch) if kind != SiteKind::Wordpress => {
            SiteChange::Settings(SettingsPatch { php: PhpPatch::default(), ..*patch })
        }
        change => change.clone(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scenario {
    pub kind: SiteKind,
    pub operation: OperationName,
    pub from: SiteStatus,
    /// The last change before the pivot is refused for good, so that all calls of the way back are made.
    pub turned: bool,
}

impl Scenario {
    /// All there are, by the registry.
    pub fn all() -> Vec<Self> {
        SiteKind::ALL.iter().flat_map(|kind| Self::all_of(*kind)).collect()
    }

    /// Those of one kind of site.
    pub fn all_of(kind: SiteKind) -> Vec<Self> {
        let mut all = Vec::new();
        for operation in OPERATIONS {
            let begins = |status: &&SiteStatus| status.on(operation.begun).is_ok();
            for &from in SiteStatus::ALL.iter().filter(begins) {
                let straight = Self { kind, operation: operation.name, from, turned: false };
                all.push(straight);
                // A change that a kind of site has no object for can't be refused by the world.
                if operation.pivot.is_some() && turning_point(straight).is_some() {
                    all.push(Self { turned: true, ..straight });
                }
            }
        }
        all
    }

    fn new_site(self) -> NewSite {
        new_site_of(self.kind, SITE)
    }

    /// Before the order. What takes time is done once.
    pub fn stage(self) -> Stage {
        static STAGES: LazyLock<Mutex<HashMap<Scenario, Stage>>> = LazyLock::new(Mutex::default);
        if let Some(stage) = STAGES.lock().unwrap().get(&self) {
            return stage.clone();
        }
        let stage = in_virtual_time(self.prepare()).unwrap();
        STAGES.lock().unwrap().insert(self, stage.clone());
        stage
    }

    async fn prepare(self) -> Stage {
        let base = with_bystanders().await;
        let harness = Harness::on(&base);
        let running = harness.start().await;
        let mut made = None;
        if self.from != SiteStatus::Created {
            harness.gate.arm(Vec::new());
            if self.from == SiteStatus::Failed {
                harness.gate.refuse_next(last_change(self.kind));
            }
            let job = running.app.create_site(&self.new_site()).await.unwrap().1.record.id;
            if self.from == SiteStatus::Failed {
                assert_eq!(running.at_rest(job).await.record.state, JobState::Failed);
                made = Some(harness.gate.at_refusal());
            } else {
                assert_eq!(running.at_rest(job).await.record.state, JobState::Completed);
                made = Some(harness.world.state().clone());
            }
            if self.from == SiteStatus::Destroyed {
                let job = running.app.destroy_site(&name(SITE)).await.unwrap().record.id;
                assert_eq!(running.at_rest(job).await.record.state, JobState::Completed);
            }
            if let Some(change) = self.undone() {
                let job = running.app.change_site(&name(SITE), &change).await.unwrap().record.id;
                assert_eq!(running.at_rest(job).await.record.state, JobState::Completed);
            }
        }
        let mut stage = harness.leave(running).await;
        match (self.operation, self.from) {
            (OperationName::Repair, _) => wreck(&mut stage.state),
            (OperationName::Upgrade, _) => earlier_release::leave(&mut stage.state, &name(SITE)),
            (OperationName::Collect, _) => plant(&made.expect("something was made"), &mut stage.state),
            _ => {}
        }
        stage
    }

    /// The change that the operation takes back.
    fn undone(self) -> Option<SiteChange> {
        match self.operation {
            OperationName::Resume => Some(SiteChange::Suspended(true)),
            OperationName::Lift => Some(SiteChange::Restricted(true)),
            _ => None,
        }
    }

    /// Gives the order. A repair begins without one.
    pub async fn ask(self, app: App) -> AppResult<JobId> {
        match self.operation {
            OperationName::Provision if self.from == SiteStatus::Created => {
                Ok(app.create_site(&self.new_site()).await?.1.record.id)
            }
            OperationName::Provision => {
                let newest = jobs_of(&app, SITE).await?.first().expect("it has failed").record.id;
                Ok(app.retry_job(newest).await?.record.id)
            }
            OperationName::Destroy => Ok(app.destroy_site(&name(SITE)).await?.record.id),
            OperationName::Update
            | OperationName::Upgrade
            | OperationName::Suspend
            | OperationName::Resume
            | OperationName::Restrict
            | OperationName::Lift
            | OperationName::Rotate => {
                let which = CHANGES.iter().position(|change| change.operation() == self.operation);
                let which = which.expect("every operation that changes a site is asked for by a change");
                Ok(app.change_site(&name(SITE), &change(self.kind, which)).await?.record.id)
            }
            OperationName::Collect => {
                let orphan = app.orphans().into_iter().find(|orphan| orphan.name == naming::files_volume(&name(SITE)));
                let job = app.remove_orphan(&orphan.ok_or(AppError::NoOrphan)?.id).await?;
                Ok(job.expect("the journal knows its site").record.id)
            }
            OperationName::Repair => {
                // There is a scan each minute.
                for _ in 0..70 {
                    if let Some(job) = self.newest(&app).await? {
                        return Ok(job);
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(AppError::NoJob)
            }
        }
    }

    /// The newest job of the site, if it is one of this operation that has not failed before.
    pub async fn newest(self, app: &App) -> AppResult<Option<JobId>> {
        let jobs = match jobs_of(app, SITE).await {
            Err(AppError::NoSite(_)) => return Ok(None),
            jobs => jobs?,
        };
        let new = &jobs[..jobs.len().saturating_sub(self.jobs_before())];
        let found = new.iter().find(|job| job.record.operation == self.operation);
        Ok(found.map(|job| job.record.id))
    }

    /// Jobs of the site before the order.
    fn jobs_before(self) -> usize {
        match self.from {
            SiteStatus::Created => 0,
            _ if self.undone().is_some() => 2,
            SiteStatus::Failed | SiteStatus::Active => 1,
            SiteStatus::Destroyed => 2,
            other => unreachable!("nothing begins in {other}"),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let turned = if self.turned { " turned" } else { "" };
        write!(f, "{} {} {}{turned}", self.kind, self.operation, self.from)
    }
}

impl FromStr for Scenario {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::all()
            .into_iter()
            .find(|scenario| scenario.to_string() == text)
            .ok_or_else(|| format!("no scenario {text:?}"))
    }
}

/// A world with everything in it that must stay as it is: foreign things, a site of another installation,
/// another site of ours.
pub async fn with_bystanders() -> Stage {
    let mut stage = Stage::empty().await;
    check::plant_foreign(&mut stage.state);
    let harness = Harness::on(&stage);
    let theirs = harness.start().await;
    let job = theirs.app.create_site(&new_site("theirs")).await.unwrap().1.record.id;
    assert_eq!(theirs.at_rest(job).await.record.state, JobState::Completed);
    let left = harness.leave(theirs).await;
    let harness = Harness::on(&Stage { database: Vec::new(), ..left });
    let ours = harness.start().await;
    // The other installation has the first subnet, which ours finds out by itself.
    let job = ours.app.create_site(&new_site("bystander")).await.unwrap().1.record.id;
    assert_eq!(ours.at_rest(job).await.record.state, JobState::Completed);
    harness.leave(ours).await
}

/// The call by which a provision has made everything that a failed one leaves behind.
fn last_change(kind: SiteKind) -> &'static str {
    match kind {
        SiteKind::Wordpress => "wordpress.install",
        SiteKind::Tiny => "caddy.put_route",
    }
}

/// All that can be made again is gone, or is not as it should be.
fn wreck(state: &mut State) {
    let site = name(SITE);
    let (php, nginx) = (naming::php_container(&site), naming::nginx_container(&site));
    state.containers.containers.retain(|_, container| container.spec.name != php && container.spec.name != nginx);
    state.containers.networks.retain(|_, network| network.name != naming::network(&site));
    state.containers.volumes.remove(&naming::php_volume(&site));
    state.containers.volumes.remove(&naming::nginx_volume(&site));
    state.databases.users.remove(&naming::database(&site));
    state.proxy.snippets.remove(&naming::snippet_file(&site));
    state.proxy.loaded.remove(&naming::snippet_file(&site));
}

/// Everything of the site that there was once is there again, as if it had landed late.
fn plant(made: &State, state: &mut State) {
    for (id, container) in &made.containers.containers {
        if check::is_of(SITE, &container.spec.name) {
            state.containers.containers.insert(id.clone(), container.clone());
        }
    }
    for (volume, made) in &made.containers.volumes {
        state.containers.volumes.entry(volume.clone()).or_insert_with(|| made.clone());
    }
    for (id, network) in &made.containers.networks {
        if !state.containers.networks.contains_key(id) {
            state.containers.networks.insert(id.clone(), network.clone());
        }
    }
    for (database, made) in &made.databases.databases {
        state.databases.databases.entry(database.clone()).or_insert_with(|| made.clone());
    }
    for (user, made) in &made.databases.users {
        state.databases.users.entry(user.clone()).or_insert_with(|| made.clone());
    }
    for (tenant, made) in &made.databases.ledger {
        state.databases.ledger.entry(tenant.clone()).or_insert_with(|| made.clone());
    }
    for (file, made) in &made.proxy.snippets {
        state.proxy.snippets.entry(file.clone()).or_insert_with(|| made.clone());
        state.proxy.loaded.entry(file.clone()).or_insert_with(|| made.clone());
    }
}
