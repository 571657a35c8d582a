//! Takes one claimed job to an end, or puts it back into the queue.

use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::{InstanceId, JobId};
use hostplane_domain::job::{Direction, JobState, OperationName};
use hostplane_domain::mark::Owner;
use hostplane_domain::naming;
use hostplane_domain::observed::Observed;
use hostplane_domain::plan::{Goal, Held, Node, converge};
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::secret::Keyring;
use hostplane_infra::containers::Scope;
use hostplane_infra::databases::{TenantFacts, TenantKey, Tenants};
use hostplane_infra::error::{Dependency, EffectError, Rejection, chain};
use hostplane_infra::world::World;
use metrics::{counter, histogram};
use tokio::time::{Instant, sleep};
use tracing::{Instrument, debug, error, info, info_span, warn};

use super::execute::Plan;
use super::failure::{Failure, Lost};
use super::repair;
use crate::context::SiteCx;
use crate::inventory::snapshot::{Depth, Snapshot};
use crate::operations::{self, Operation};
use crate::orphans::{Orphans, ScanError};
use crate::resources;
use crate::secrets::Secrets;
use crate::store::{Claim, JobError, PutBack, Store, StoreError};
use crate::{
    pace::{JOB_ATTEMPTS, STEP_TRIES},
    site_settings::SiteSettings,
};

/// Runs jobs.
pub(crate) struct Runner {
    pub store: Store,
    pub world: World,
    pub instance: InstanceId,
    pub secrets: Secrets,
    pub settings: SiteSettings,
    pub orphans: Arc<Orphans>,
}

/// One end of a run.
enum End {
    Completed,
    Failed,
    Cancelled,
    PutBack,
    NeedsOperator,
}

/// Why nothing is rolled back.
const OLDER: &str = "the control database is older than the world, so nothing is rolled back";
const UNSEEN: &str = "the world can't be seen as a whole, so nothing is rolled back";

/// What to do about a failure that doesn't pass by itself.
enum FailureAction {
    /// Converge on what was before.
    RollBack,
    /// Try again with another subnet.
    AnotherSubnet,
    /// Wait for a dependency.
    Wait(Dependency),
    /// Wait for somebody; perhaps for another reason than the failure itself.
    Operator(Option<&'static str>),
}

impl Runner {
    /// Runs a claimed job. Nothing is returned: the outcome is in the store and in the log.
    pub async fn run(&self, claim: Claim) {
        let span = info_span!(
            "job",
            site = %claim.site.site.name,
            job = %claim.job.id,
            operation = %claim.job.operation,
        );
        async {
            let (begun, operation) = (Instant::now(), claim.job.operation.as_str());
            let ended = self.drive(claim).await;
            count(operation, &ended, begun.elapsed());
            let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            match ended {
                Ok(End::Completed) => info!(elapsed_ms, "job completed"),
                Ok(End::Failed) => warn!(elapsed_ms, "job failed; all is as before"),
                Ok(End::Cancelled) => info!(elapsed_ms, "job cancelled; all is as before"),
                Ok(End::PutBack) => debug!(elapsed_ms, "job put back"),
                Ok(End::NeedsOperator) => error!(elapsed_ms, "job needs an operator"),
                Err(Lost(error)) => error!(elapsed_ms, error = chain(&error), "job's run broke off at its journal"),
            }
        }
        .instrument(span)
        .await;
    }

    async fn drive(&self, mut claim: Claim) -> Result<End, Lost> {
        let operation = operations::of(claim.job.operation);
        if let Some(down) = self.still_waiting(&claim).await {
            return self.wait_for(&claim, down).await;
        }
        // Most begin when they are asked for, and what was begun before doesn't begin again.
        let event = Some(operation.begun()).filter(|event| claim.site.status.on(*event).is_ok());
        self.store.begin_run(&claim, event, self.world.clock.now()).await?;
        claim.job.waiting_for = None;
        loop {
            let failure = if claim.job.must_roll_back() {
                Failure::Cancelled
            } else {
                match self.attempt(&mut claim, operation).await? {
                    Ok(()) => match self.finish(&claim, operation).await {
                        Err(Lost(StoreError::Cancelled)) => Failure::Cancelled,
                        ended => return ended,
                    },
                    Err(failure) => failure,
                }
            };
            if let Some(down) = failure.down() {
                return self.wait_for(&claim, down).await;
            }
            // What can't even be looked at says nothing about the site: it is the dependency's trouble.
            if (!failure.is_permanent() || failure.is_observation())
                && let Some(down) = self.which_is_down().await
            {
                return self.wait_for(&claim, down).await;
            }
            if !failure.is_permanent() && claim.job.attempt < JOB_ATTEMPTS {
                let pause = self.world.clock.jitter(self.settings.pace.backoff(claim.job.attempt));
                return self.put_back(&claim, &PutBack::Failed(&failure.for_job()), pause).await;
            }
            match self.failure_action(&claim, operation, &failure).await? {
                FailureAction::Wait(down) => return self.wait_for(&claim, down).await,
                FailureAction::Operator(why) => {
                    let error = self.what_is_left(&claim, &failure, why).await;
                    self.store.needs_operator(&claim, &error).await?;
                    return Ok(End::NeedsOperator);
                }
                FailureAction::AnotherSubnet => {
                    let until = self.world.clock.now().plus(self.settings.pace.subnet_block);
                    self.store.block_subnet(&claim, until).await?;
                    claim.job.after = None;
                    info!(error = %failure.message(), "taking another subnet");
                }
                FailureAction::RollBack => {
                    warn!(error = %failure.chain(), step = ?failure.step().map(ResourceKind::as_str), "turning back");
                    self.store.roll_back(&claim, &failure.for_job()).await?;
                    claim.job.direction = Direction::Back;
                    claim.job.attempt = 1;
                    claim.job.error = Some(failure.for_job());
                }
            }
        }
    }

    /// What to do about a failure that doesn't pass by itself.
    async fn failure_action(
        &self,
        claim: &Claim,
        operation: &dyn Operation,
        failure: &Failure,
    ) -> Result<FailureAction, Lost> {
        // The pivot may have been passed in this very attempt.
        let job = self.store.job(claim.job.id).await?;
        let may_turn = operation.pivot().is_some() && !job.past_pivot && job.direction == Direction::Forward;
        if !may_turn || matches!(failure, Failure::StaleDatabase { .. }) {
            return Ok(FailureAction::Operator(None));
        }
        // Of a site that is there, the subnet stays.
        if failure.is_subnet_overlap() && claim.job.before.is_none() {
            return Ok(FailureAction::AnotherSubnet);
        }
        let mut tried = 0;
        loop {
            match self.is_database_stale(claim).await {
                Ok(false) => return Ok(FailureAction::RollBack),
                Ok(true) => return Ok(FailureAction::Operator(Some(OLDER))),
                Err(ScanError::Store(error)) => return Err(error.into()),
                Err(ScanError::World(_)) => {}
            }
            if let Some(down) = self.which_is_down().await {
                return Ok(FailureAction::Wait(down));
            }
            tried += 1;
            if tried >= STEP_TRIES {
                return Ok(FailureAction::Operator(Some(UNSEEN)));
            }
            sleep(self.world.clock.jitter(self.settings.pace.backoff(tried))).await;
        }
    }

    /// Whether the world shows what the journal doesn't know. A rollback removes, and that a database which is
    /// older than the world must not do: the site may have been completed, and used, since the copy was taken.
    async fn is_database_stale(&self, claim: &Claim) -> Result<bool, ScanError> {
        if !self.orphans.unknown().await?.is_empty() {
            return Ok(true);
        }
        // What goes back to a site that was there before removes nothing of it.
        if claim.job.before.is_some() {
            return Ok(false);
        }
        let ring = self.secrets.now();
        let cx = self.context(claim, &ring);
        let tenants = self.world.databases.tenants(&Tenants::Of(cx.site.name.clone())).await?;
        // The journal knows of a confirmation before the world does.
        let was_confirmed =
            |tenant: TenantFacts| tenant.confirmed && matches!(cx.owner(tenant.ledger.as_ref()), Owner::Ours(_));
        Ok(tenants.into_iter().any(was_confirmed))
    }

    /// One attempt to converge on the end that the job is heading for.
    async fn attempt(&self, claim: &mut Claim, operation: &dyn Operation) -> Result<Result<(), Failure>, Lost> {
        let forward = claim.job.direction == Direction::Forward;
        let goal = match (claim.job.direction, &claim.job.before) {
            (Direction::Forward, _) => operation.goal(),
            (Direction::Back, Some(_)) => Goal::Present,
            (Direction::Back, None) => Goal::Absent,
        };
        if forward && goal == Goal::Present && claim.job.after.is_none() {
            match self.decide_after(claim).await? {
                Ok(after) => claim.job.after = Some(after),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        let claim: &Claim = claim;
        let want = match goal {
            Goal::Present if forward => claim.job.after.as_ref(),
            Goal::Present | Goal::Repaired => claim.job.before.as_ref(),
            Goal::Absent => None,
        };
        let ring = self.secrets.now();
        let cx = self.context(claim, &ring);
        // What an earlier job of this site left can only be seen by looking: this is also the recovery.
        let depth = if goal == Goal::Absent { Depth::Shallow } else { Depth::Deep };
        let seen = match Snapshot::of_site(&cx, depth).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut nodes = resources::observe_all(&cx, want, &seen);
        if let Some(older) = self.made_by_unknown_job(&nodes).await? {
            return Ok(Err(older));
        }
        nodes.retain(|node| concerns(claim, node));
        // Of a site that is there, nothing is made in the place of data that is gone, whatever was asked for.
        if claim.job.before.is_some()
            && let Some(want) = want
            && let Some(lost) = repair::lost_data(&cx, want, seen, &nodes).await
        {
            return self.hold(&cx, claim, want, lost).await;
        }
        let steps = match converge(&nodes, goal) {
            Ok(steps) => steps,
            Err(held) => return Ok(Err(name_taken(&cx, &held))),
        };
        let plan = Plan { claim, direction: claim.job.direction, want, pivot: operation.pivot() };
        if let Err(failure) = self.execute(&cx, &plan, steps).await? {
            return Ok(Err(failure));
        }
        match goal {
            Goal::Present if forward && claim.job.before.is_none() => self.confirm(&cx, claim).await,
            Goal::Present => self.verify_present(&cx, want).await,
            Goal::Absent => self.verify_gone(&cx, claim).await,
            Goal::Repaired => self.verify_repaired(&cx, want).await,
        }
    }

    /// Leaves a trace in the world that there is no way back, once the journal has it: a copy of the control
    /// database that was taken before can't know, and takes the job up as if it were in the middle of it.
    async fn confirm(&self, cx: &SiteCx<'_>, claim: &Claim) -> Result<Result<(), Failure>, Lost> {
        if self.store.job(claim.job.id).await?.must_roll_back() {
            return Ok(Err(Failure::Cancelled));
        }
        let tenant = TenantKey { instance: cx.instance, site: cx.site.clone() };
        let confirmed = self.world.databases.confirm_tenant(&tenant).await;
        Ok(confirmed.map_err(|error| Failure::of(ResourceKind::Database, error)))
    }

    /// The first resource of the site whose maker the journal doesn't know.
    async fn made_by_unknown_job(&self, nodes: &[Node]) -> Result<Option<Failure>, Lost> {
        let makers = nodes.iter().filter_map(|node| match &node.observed {
            Observed::Present { owner: Owner::Ours(mark), .. } => Some((node.kind, mark.job)),
            _ => None,
        });
        let makers: Vec<(ResourceKind, JobId)> = makers.collect();
        let known = self.store.origins(&makers.iter().map(|(_, job)| *job).collect()).await?;
        let unknown = makers.into_iter().find(|(_, job)| !known.know(*job));
        Ok(unknown.map(|(kind, job)| Failure::StaleDatabase { kind, job }))
    }

    /// Decides what the site is to be: its subnet above all, chosen beside those in use.
    async fn decide_after(&self, claim: &Claim) -> Result<Result<DesiredSite, Failure>, Lost> {
        let networks = match self.world.containers.networks(&Scope::All).await {
            Ok(networks) => networks,
            Err(error) => return Ok(Err(error.into())),
        };
        // The site's own network may exist from an attempt whose plan was not stored.
        let own = naming::network(&claim.site.site.name);
        let in_use: Vec<_> =
            networks.iter().filter(|network| network.name != own).flat_map(|network| network.subnets.clone()).collect();
        let pool = self.settings.subnet_pool;
        let now = self.world.clock.now();
        let Some(subnet) = self.store.allocate_subnet(claim, pool, &in_use, now).await? else {
            let error = Rejection::PoolExhausted(pool.to_string()).into();
            return Ok(Err(Failure::of(ResourceKind::Network, error)));
        };
        let site = &claim.site;
        let generation = self.secrets.now().newest();
        let after = self.settings.desired(site, subnet, generation);
        self.store.set_after(claim, &after).await?;
        Ok(Ok(after))
    }

    /// A change of a site that is there ends only when all of it is seen to be as wanted: one look that was out of
    /// date must not pass for a change that was made, or taken back.
    async fn verify_present(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>) -> Result<Result<(), Failure>, Lost> {
        let seen = match Snapshot::of_site(cx, Depth::Deep).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error.into())),
        };
        let nodes = resources::observe_all(cx, want, &seen);
        // No snapshot shows whether it serves: that was asked.
        let differs = nodes.iter().filter(|node| node.kind != ResourceKind::Serving && !node.observed.is_as_wanted());
        Ok(none_of(differs, "not as wanted after the change"))
    }

    /// A removal ends only when nothing is seen of what was to go, after the last moment at which an effect
    /// whose reply was lost may land.
    async fn verify_gone(&self, cx: &SiteCx<'_>, claim: &Claim) -> Result<Result<(), Failure>, Lost> {
        let settles_at = self.store.settles_at(claim.job.site_id).await?;
        let pause = settles_at.map_or(Duration::ZERO, |at| at.since(self.world.clock.now()));
        // A clock that was set back must not make it longer.
        let pause = pause.min(self.settings.pace.settle);
        if !pause.is_zero() {
            info!(wait_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "waiting for lost calls to settle");
            sleep(pause).await;
        }
        let seen = match Snapshot::of_site(cx, Depth::Shallow).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error.into())),
        };
        let nodes = resources::observe_all(cx, None, &seen);
        let left = nodes.iter().filter(|node| concerns(claim, node) && !node.observed.is_none_of_ours());
        Ok(none_of(left, "still there after the removal"))
    }

    async fn finish(&self, claim: &Claim, operation: &dyn Operation) -> Result<End, Lost> {
        let now = self.world.clock.now();
        let before = &claim.job.before;
        let (state, event, spec) = match (claim.job.direction, operation.goal()) {
            (Direction::Back, _) => {
                let event = operation.rolled_back().expect("an operation that turned back says where it ends");
                (JobState::Failed, event, before)
            }
            (Direction::Forward, Goal::Present) => (JobState::Completed, operation.completed(), &claim.job.after),
            (Direction::Forward, Goal::Absent) => (JobState::Completed, operation.completed(), &None),
            (Direction::Forward, Goal::Repaired) => (JobState::Completed, operation.completed(), before),
        };
        Ok(match self.store.finish(claim, state, event, spec, now).await? {
            JobState::Completed => End::Completed,
            JobState::Cancelled => End::Cancelled,
            _ => End::Failed,
        })
    }

    /// The dependency that the job waits for, if it is still down.
    async fn still_waiting(&self, claim: &Claim) -> Option<Dependency> {
        claim.job.waiting_for.as_ref()?;
        self.which_is_down().await
    }

    async fn wait_for(&self, claim: &Claim, down: Dependency) -> Result<End, Lost> {
        if claim.job.waiting_for.as_deref() != Some(down.as_str()) {
            warn!(waiting_for = %down, "waiting for a dependency");
        }
        self.put_back(claim, &PutBack::Waits(down), self.settings.pace.dependency_pause).await
    }

    async fn put_back(&self, claim: &Claim, why: &PutBack<'_>, pause: Duration) -> Result<End, Lost> {
        let run_at = self.world.clock.now().plus(pause);
        self.store.put_back(claim, why, run_at).await?;
        Ok(End::PutBack)
    }

    /// The error of a job that can't go on, with what is left of the site outside; of a site that was there before,
    /// with what is neither as before nor as it was to be.
    async fn what_is_left(&self, claim: &Claim, failure: &Failure, why: Option<&str>) -> JobError {
        let ring = self.secrets.now();
        let cx = self.context(claim, &ring);
        let goal = operations::of(claim.job.operation).goal();
        let want = match (goal, claim.job.direction) {
            (Goal::Present, Direction::Forward) => claim.job.after.as_ref(),
            (Goal::Present, Direction::Back) | (Goal::Repaired, _) => claim.job.before.as_ref(),
            (Goal::Absent, _) => None,
        };
        let want = want.filter(|_| claim.job.before.is_some());
        let is_left = |node: &Node| match want {
            Some(_) => !node.observed.is_as_wanted() && node.observed != Observed::NotObserved,
            None => !node.observed.is_none_of_ours(),
        };
        let left = match Snapshot::of_site(&cx, Depth::Shallow).await {
            Err(error) => format!("what is left can't be seen: {error}"),
            Ok(snapshot) => {
                let left = resources::observe_all(&cx, want, &snapshot)
                    .into_iter()
                    .filter(is_left)
                    .map(|node| format!("{} ({})", node.kind, naming::of(node.kind, &cx.site.name)))
                    .collect::<Vec<_>>();
                let what = if want.is_some() { "left to be changed" } else { "left" };
                if left.is_empty() { format!("nothing is {what}") } else { format!("{what}: {}", left.join("; ")) }
            }
        };
        let first = claim.job.error.as_ref().map(|first| format!("; it began with: {}", first.message));
        let why = why.map(|why| format!("; {why}"));
        let message = format!(
            "{}{}; {left}{}; mend the cause, then retry this job",
            failure.message(),
            why.unwrap_or_default(),
            first.unwrap_or_default()
        );
        JobError { step: failure.step(), message }
    }

    pub(super) fn context<'a>(&'a self, claim: &'a Claim, secrets: &'a Keyring) -> SiteCx<'a> {
        SiteCx {
            world: &self.world,
            secrets,
            mail: self.settings.mail_login(),
            instance: self.instance,
            site: &claim.site.site,
            job: claim.job.id,
            pace: self.settings.pace,
            hashes: None,
        }
    }
}

/// What monitoring is told of a run.
fn count(operation: &'static str, ended: &Result<End, Lost>, elapsed: Duration) {
    histogram!("hostplane_job_duration_seconds", "operation" => operation).record(elapsed);
    let state = match ended {
        Ok(End::Completed) => JobState::Completed,
        Ok(End::Failed) => JobState::Failed,
        Ok(End::Cancelled) => JobState::Cancelled,
        Ok(End::NeedsOperator) => JobState::NeedsOperator,
        Ok(End::PutBack) | Err(_) => return,
    };
    counter!("hostplane_jobs_ended_total", "operation" => operation, "state" => state.as_str()).increment(1);
}

/// Whether a job is about a resource of its site: a collect is only about what was found left over.
fn concerns(claim: &Claim, node: &Node) -> bool {
    claim.job.operation != OperationName::Collect || claim.job.why.iter().any(|found| found.kind == node.kind)
}

/// A failure that may pass, if there is any.
pub(super) fn none_of<'a>(nodes: impl Iterator<Item = &'a Node>, what: &str) -> Result<(), Failure> {
    let kinds: Vec<&str> = nodes.map(|node| node.kind.as_str()).collect();
    if kinds.is_empty() {
        return Ok(());
    }
    Err(EffectError::transient_message("observe", format!("{what}: {}", kinds.join(", "))).into())
}

fn name_taken(cx: &SiteCx<'_>, held: &Held) -> Failure {
    let what = match held.kind {
        ResourceKind::Network => "network",
        ResourceKind::FilesVolume | ResourceKind::PhpVolume | ResourceKind::NginxVolume => "volume",
        ResourceKind::Database => "database or database user",
        ResourceKind::PhpContainer | ResourceKind::NginxContainer | ResourceKind::Settings => "container",
        ResourceKind::Route => "Caddy snippet",
        ResourceKind::WordpressFiles | ResourceKind::WordpressInstall | ResourceKind::Serving => "resource",
    };
    let name = match held.kind {
        ResourceKind::Settings => naming::writer_container(&cx.site.name),
        kind => naming::of(kind, &cx.site.name),
    };
    let error = Rejection::NameTaken { what, name, owner: held.owner.to_string() }.into();
    Failure::of(held.kind, error)
}
