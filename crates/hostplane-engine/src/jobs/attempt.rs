//! One attempt of a job: observe, plan, carry out, verify.

use hostplane_domain::baseline::Baseline;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::job::Direction;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::Node;
use hostplane_domain::plan::{Goal, Held, Step, change, converge};
use hostplane_infra::containers::Scope;
use hostplane_infra::databases::TenantKey;
use hostplane_infra::error::Rejection;
use ipnet::Ipv4Net;
use tracing::warn;

use super::execute::Plan;
use super::failure::{Failure, RunError};
use super::runner::{Runner, blueprint, concerns, host};
use super::{data_loss, verify};
use crate::context::{Intent, SiteCx};
use crate::inventory::page;
use crate::inventory::snapshot::Depth;
use crate::operations::Operation;
use crate::sites;
use crate::store::Claim;

impl Runner {
    /// Converges once on the end that the job is heading for.
    pub(super) async fn attempt(&self, claim: &mut Claim, operation: &Operation) -> Result<(), RunError> {
        let forward = claim.job.direction == Direction::Forward;
        let goal = goal(claim, operation);
        if forward && goal == Goal::Present && claim.job.after.is_none() {
            claim.job.after = Some(self.decide_after(claim).await?);
        }
        let claim: &Claim = claim;
        let want = match goal {
            Goal::Present if forward => claim.job.after.as_ref(),
            Goal::Present | Goal::Repaired => claim.job.before.as_ref(),
            Goal::Absent => None,
        };
        let (ring, blueprint) = (self.secrets.now(), blueprint(claim));
        let cx = SiteCx { intent: intent(claim, goal), ..self.context(claim, &ring)? };
        // Only a snapshot shows what an earlier job of this site left: this is also the recovery.
        let depth = if goal == Goal::Absent { Depth::Shallow } else { Depth::Deep };
        let seen = blueprint.snapshot(&cx, depth).await?;
        let mut nodes = blueprint.observe(&cx, want, &seen);
        if let Some((kind, job)) = self.staleness.unknown_maker(&nodes).await? {
            return Err(Failure::StaleDatabase { kind, job }.into());
        }
        nodes.retain(|node| concerns(claim, node));
        // No job, whatever its operation, makes an object of a site in service in the place of lost data.
        if claim.job.before.is_some()
            && let Some(want) = want
            && let Some(lost) = data_loss::find(&nodes)
        {
            return self.hold(&cx, claim, want, &lost).await;
        }
        let is_change = claim.job.before.is_some() && goal == Goal::Present;
        // An owner may keep his PHP from saying what is there, or marks from being written: those are a repair's.
        let steps = if is_change { change(&nodes) } else { converge(&nodes, goal) };
        let mut steps = steps.map_err(|held| name_taken(&cx, &held))?;
        if claim.job.before.is_some() && ends_php(&nodes, &steps, want) && self.waits_for_update(&cx, claim).await {
            return Err(Failure::Updating.into());
        }
        let baseline = match &claim.job.before {
            Some(before) if forward && goal == Goal::Present && nodes.iter().any(|node| node.is_visitors_view) => {
                Some(self.baseline(&cx, claim, before).await?)
            }
            Some(_) => {
                // A rollback is about our resources. What the site's pages say is its owner's.
                let is_view = |kind| nodes.iter().any(|node| node.kind == kind && node.is_visitors_view);
                steps.retain(|step| !is_view(step.kind));
                None
            }
            None => None,
        };
        // One may have begun while the site was asked for its pages.
        if baseline.is_some() && ends_php(&nodes, &steps, want) && self.waits_for_update(&cx, claim).await {
            return Err(Failure::Updating.into());
        }
        let cx = SiteCx { baseline: baseline.as_ref(), ..cx };
        let plan = Plan { claim, direction: claim.job.direction, want, pivot: operation.pivot };
        self.execute(&cx, &plan, steps).await?;
        match goal {
            Goal::Present if forward && claim.job.before.is_none() => self.confirm(&cx, claim).await,
            Goal::Present => verify::present(&cx, claim, want).await,
            Goal::Absent => self.verify_gone(&cx, claim).await,
            Goal::Repaired => verify::repaired(&cx, blueprint, want).await,
        }
    }

    /// The condition and the answers of the site before its change, stored before the first step.
    async fn baseline(&self, cx: &SiteCx<'_>, claim: &Claim, before: &DesiredSite) -> Result<Baseline, RunError> {
        if let Some(known) = &claim.job.baseline {
            return Ok(known.clone());
        }
        let paths: Vec<&str> =
            blueprint(claim).resources().iter().flat_map(|resource| resource.paths()).copied().collect();
        let baseline = page::baseline(cx, before, &paths, blueprint(claim).asks_wordpress()).await;
        self.store.set_baseline(claim, &baseline).await?;
        Ok(baseline)
    }

    /// True when an update of the site's own WordPress has to come to its end first. It is not waited for for ever.
    pub(super) async fn waits_for_update(&self, cx: &SiteCx<'_>, claim: &Claim) -> bool {
        // PHP that runs and doesn't answer may be busy with one.
        if blueprint(claim).hold_updates(cx).await.unwrap_or(false) {
            return false;
        }
        let waits = self.waited_for_update(claim.job.id) < self.settings.pace.update_patience;
        if !waits {
            warn!(site = %cx.site.name, "an update of the site's WordPress doesn't end; going on without it");
        }
        waits
    }

    /// Decides the desired state of a new site: its subnet above all, chosen beside those in use.
    async fn decide_after(&self, claim: &Claim) -> Result<DesiredSite, RunError> {
        let blueprint = blueprint(claim);
        let subnet = if blueprint.has(ResourceKind::Network) { Some(self.choose_subnet(claim).await?) } else { None };
        let kind = blueprint.new_spec(&claim.site.details, &self.settings, subnet);
        let after = self.settings.desired(&claim.site, kind, self.secrets.now().newest());
        self.store.set_after(claim, &after).await?;
        Ok(after)
    }

    async fn choose_subnet(&self, claim: &Claim) -> Result<Ipv4Net, RunError> {
        let networks = self.world.at(host(claim))?.containers.networks(&Scope::All).await?;
        // The site's own network may exist from an attempt whose plan was not stored.
        let own = naming::network(&claim.site.site.name);
        let in_use: Vec<_> =
            networks.iter().filter(|network| network.name != own).flat_map(|network| network.subnets.clone()).collect();
        let (pool, now) = (self.settings.subnet_pool, self.world.clock.now());
        let subnet = self.store.allocate_subnet(claim, pool, &in_use, now).await?;
        subnet
            .ok_or_else(|| Failure::of(ResourceKind::Network, Rejection::PoolExhausted(pool.to_string()).into()).into())
    }

    /// Marks the site in the world as past its pivot, once the journal has it. A copy of the control database that was
    /// taken before would resume the job in the middle, and must not roll back.
    async fn confirm(&self, cx: &SiteCx<'_>, claim: &Claim) -> Result<(), RunError> {
        if self.store.job(claim.job.id).await?.must_roll_back() {
            return Err(Failure::Cancelled.into());
        }
        if !blueprint(claim).has(ResourceKind::Database) {
            return Ok(());
        }
        let tenant = TenantKey { instance: cx.instance, site: cx.site.clone() };
        let confirmed = self.world.databases.confirm_tenant(&tenant).await;
        confirmed.map_err(|error| Failure::of(ResourceKind::Database, error).into())
    }
}

/// True when steps end what runs in the site's PHP, or keep its visitors from it.
fn ends_php(nodes: &[Node], steps: &[Step], want: Option<&DesiredSite>) -> bool {
    let is_there = |kind| nodes.iter().any(|node| node.kind == kind && !node.observed.is_none_of_ours());
    steps.iter().any(|step| match step.kind {
        ResourceKind::PhpContainer | ResourceKind::Network => is_there(step.kind),
        ResourceKind::Route => want.is_none_or(|want| want.suspended),
        _ => false,
    })
}

/// The goal of the direction in which the job goes.
fn goal(claim: &Claim, operation: &Operation) -> Goal {
    match (claim.job.direction, &claim.job.before) {
        (Direction::Forward, _) => operation.goal,
        (Direction::Back, Some(_)) => Goal::Present,
        (Direction::Back, None) => Goal::Absent,
    }
}

fn intent(claim: &Claim, goal: Goal) -> Intent {
    match (&claim.job.before, goal) {
        (None, _) => Intent::New,
        (Some(_), Goal::Repaired) => Intent::Repair,
        (Some(_), Goal::Present | Goal::Absent) => Intent::Change,
    }
}

fn name_taken(cx: &SiteCx<'_>, held: &Held) -> Failure {
    let resource = sites::resource(held.kind);
    let object = resource.and_then(|resource| Some((resource.object()?.noun(), resource.object_name(&cx.site.name))));
    let (what, name) = object.unwrap_or_else(|| ("resource", naming::of(held.kind, &cx.site.name)));
    Failure::of(held.kind, Rejection::NameTaken { what, name, owner: held.owner.to_string() }.into())
}
