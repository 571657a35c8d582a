//! Takes one claimed job to an end, or puts it back into the queue.

use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::job::{Direction, JobState};
use hostplane_domain::kind::Kind;
use hostplane_domain::naming;
use hostplane_domain::plan::{Goal, Held, converge};
use hostplane_domain::secret::MasterSecret;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::containers::Scope;
use hostplane_infra::error::{Dependency, EffectError, Rejection, chain};
use hostplane_infra::world::World;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, debug, error, info, info_span, warn};

use super::execute::Plan;
use super::failure::{Failure, Lost};
use crate::context::SiteCx;
use crate::operations::{self, Operation};
use crate::resources;
use crate::settings::{JOB_ATTEMPTS, SiteSettings};
use crate::snapshot::{Depth, Snapshot};
use crate::store::{Claim, JobError, PutBack, Store};

/// Runs jobs.
pub(crate) struct Runner {
    pub store: Store,
    pub world: World,
    pub instance: InstanceId,
    pub secrets: Arc<MasterSecret>,
    pub settings: SiteSettings,
}

/// One end of a run.
enum End {
    Completed,
    Failed,
    PutBack,
    NeedsOperator,
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
            let begun = Instant::now();
            let ended = self.drive(claim).await;
            let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            match ended {
                Ok(End::Completed) => info!(elapsed_ms, "job completed"),
                Ok(End::Failed) => warn!(elapsed_ms, "job failed; what it had made is removed"),
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
        // A provision that was begun before is PROVISIONING already.
        let event = operation.begun().filter(|event| claim.site.status.on(*event).is_ok());
        self.store.begin_run(&claim, event, self.world.clock.now()).await?;
        claim.job.waiting_for = None;
        claim.site.status = event.and_then(|event| claim.site.status.on(event).ok()).unwrap_or(claim.site.status);
        loop {
            let failure = match self.attempt(&mut claim, operation).await? {
                Ok(()) => return self.finish(&claim, operation).await,
                Err(failure) => failure,
            };
            if let Some(down) = failure.down() {
                return self.wait_for(&claim, down).await;
            }
            // What can't even be looked at says nothing about the site: it is the dependency's trouble.
            if (!failure.is_permanent() || failure.step.is_none())
                && let Some(down) = self.which_is_down().await
            {
                return self.wait_for(&claim, down).await;
            }
            if !failure.is_permanent() && claim.job.attempt < JOB_ATTEMPTS {
                let pause = self.world.clock.jitter(self.settings.pace.backoff(claim.job.attempt));
                return self.put_back(&claim, &PutBack::Failed(&failure.for_job()), pause).await;
            }
            let may_turn =
                operation.pivot().is_some() && !claim.job.past_pivot && claim.job.direction == Direction::Forward;
            if !may_turn {
                let error = self.what_is_left(&claim, &failure).await;
                self.store.needs_operator(&claim, &error).await?;
                return Ok(End::NeedsOperator);
            }
            if let EffectError::Rejected(Rejection::SubnetOverlap(_)) = failure.error {
                let until = self.world.clock.now().plus(self.settings.pace.subnet_block);
                self.store.block_subnet(&claim, until).await?;
                claim.job.after = None;
                info!(error = %failure.error, "taking another subnet");
                continue;
            }
            warn!(error = %failure.error.chain(), step = ?failure.step.map(Kind::as_str), "turning back");
            self.store.turn_back(&claim, &failure.for_job()).await?;
            claim.job.direction = Direction::Back;
            claim.job.attempt = 1;
            claim.job.error = Some(failure.for_job());
        }
    }

    /// One attempt to converge on the end that the job is heading for.
    async fn attempt(&self, claim: &mut Claim, operation: &dyn Operation) -> Result<Result<(), Failure>, Lost> {
        let forward = claim.job.direction == Direction::Forward;
        if forward && operation.goal() == Goal::Present && claim.job.after.is_none() {
            match self.decide_after(claim).await? {
                Ok(after) => claim.job.after = Some(after),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        let claim: &Claim = claim;
        let want = if forward { claim.job.after.as_ref() } else { claim.job.before.as_ref() };
        let cx = self.context(claim);
        let goal = if want.is_some() { Goal::Present } else { Goal::Absent };
        // What an earlier job of this site left can only be seen by looking: this is also the recovery.
        let depth = if want.is_some() { Depth::Inside } else { Depth::Lists };
        let seen = match Snapshot::of_site(&cx, depth).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error.into())),
        };
        let steps = match converge(&resources::observe_all(&cx, want, &seen), goal) {
            Ok(steps) => steps,
            Err(held) => return Ok(Err(name_taken(&cx, &held))),
        };
        let plan = Plan { claim, direction: claim.job.direction, want, pivot: operation.pivot() };
        if let Err(failure) = self.execute(&cx, &plan, steps).await? {
            return Ok(Err(failure));
        }
        match goal {
            Goal::Present => Ok(Ok(())),
            Goal::Absent => self.prove_absence(&cx, claim).await,
        }
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
            return Ok(Err(Failure { step: Some(Kind::Network), error }));
        };
        let site = &claim.site;
        let after = self.settings.desired(site.site.clone(), site.details.clone(), subnet, site.secret_version);
        self.store.set_after(claim, &after).await?;
        Ok(Ok(after))
    }

    /// A removal ends only when nothing of the site is seen, after the last moment at which an effect
    /// whose reply was lost may land.
    async fn prove_absence(&self, cx: &SiteCx<'_>, claim: &Claim) -> Result<Result<(), Failure>, Lost> {
        let settles_at = self.store.settles_at(claim.job.site_id).await?;
        let wait = settles_at.map_or(Duration::ZERO, |at| at.since(self.world.clock.now()));
        // A clock that was set back must not make it longer.
        let wait = wait.min(self.settings.pace.settle);
        if !wait.is_zero() {
            info!(wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "waiting for lost calls to settle");
            sleep(wait).await;
        }
        let seen = match Snapshot::of_site(cx, Depth::Lists).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error.into())),
        };
        let nodes = resources::observe_all(cx, None, &seen);
        let left: Vec<&str> =
            nodes.iter().filter(|node| !node.observed.is_none_of_ours()).map(|node| node.kind.as_str()).collect();
        if left.is_empty() {
            return Ok(Ok(()));
        }
        let message = format!("still there after the removal: {}", left.join(", "));
        Ok(Err(EffectError::transient_message("observe", message).into()))
    }

    async fn finish(&self, claim: &Claim, operation: &dyn Operation) -> Result<End, Lost> {
        let now = self.world.clock.now();
        let (state, event, spec, end) = match claim.job.direction {
            Direction::Forward => (JobState::Completed, operation.completed(), &claim.job.after, End::Completed),
            Direction::Back => {
                let event = operation.rolled_back().expect("an operation that turned back says where it ends");
                (JobState::Failed, event, &claim.job.before, End::Failed)
            }
        };
        self.store.finish(claim, state, event, spec, now).await?;
        Ok(end)
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

    /// The error of a job that can't go on, with what is left of the site outside.
    async fn what_is_left(&self, claim: &Claim, failure: &Failure) -> JobError {
        let cx = self.context(claim);
        let left = match Snapshot::of_site(&cx, Depth::Lists).await {
            Err(error) => format!("what is left can't be seen: {error}"),
            Ok(seen) => {
                let ours = resources::observe_all(&cx, None, &seen)
                    .into_iter()
                    .filter(|node| !node.observed.is_none_of_ours())
                    .map(|node| format!("{} ({})", node.kind, naming::of(node.kind, &cx.site.name)))
                    .collect::<Vec<_>>();
                if ours.is_empty() { "nothing is left".to_owned() } else { format!("left: {}", ours.join("; ")) }
            }
        };
        let first = claim.job.error.as_ref().map(|first| format!("; it began with: {}", first.message));
        let message =
            format!("{}; {left}{}; mend the cause, then retry this job", failure.error, first.unwrap_or_default());
        JobError { step: failure.step, message }
    }

    fn context<'a>(&'a self, claim: &'a Claim) -> SiteCx<'a> {
        debug_assert_ne!(claim.site.status, SiteStatus::Destroyed, "no job runs on a destroyed site");
        SiteCx {
            world: &self.world,
            secrets: &self.secrets,
            instance: self.instance,
            site: &claim.site.site,
            job: claim.job.id,
            pace: self.settings.pace,
        }
    }
}

fn name_taken(cx: &SiteCx<'_>, held: &Held) -> Failure {
    let what = match held.kind {
        Kind::Network => "network",
        Kind::FilesVolume | Kind::PhpVolume | Kind::NginxVolume => "volume",
        Kind::Database => "database or database user",
        Kind::PhpContainer | Kind::NginxContainer | Kind::Settings => "container",
        Kind::Route => "Caddy snippet",
        Kind::WordpressFiles | Kind::WordpressInstall | Kind::Serving => "resource",
    };
    let name = match held.kind {
        Kind::Settings => naming::writer_container(&cx.site.name),
        kind => naming::of(kind, &cx.site.name),
    };
    let error = Rejection::NameTaken { what, name, owner: held.owner.to_string() }.into();
    Failure { step: Some(held.kind), error }
}
