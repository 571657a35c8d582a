//! Verification: a job ends only when a fresh snapshot shows its goal. One snapshot may be stale.

use std::time::Duration;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::{Drift, Remediation, drifts};
use hostplane_domain::observed::{Node, Observed};
use hostplane_infra::error::EffectError;
use tokio::time::sleep;
use tracing::info;

use super::failure::{Failure, RunError};
use super::runner::{Runner, blueprint, concerns};
use crate::context::SiteCx;
use crate::inventory::snapshot::Depth;
use crate::resources::Resource;
use crate::sites::Blueprint;
use crate::store::Claim;

/// Verifies that all of a site in service is as wanted.
pub(super) async fn present(cx: &SiteCx<'_>, claim: &Claim, want: Option<&DesiredSite>) -> Result<(), RunError> {
    let blueprint = blueprint(claim);
    let seen = blueprint.snapshot(cx, Depth::Deep).await?;
    let mut nodes = blueprint.observe(cx, want, &seen);
    nodes.retain(|node| concerns(claim, node));
    // No snapshot shows the site as visitors see it; a step has requested it. And content is its owner's to change.
    let is_theirs = |node: &Node| node.is_content() && node.observed != Observed::Absent;
    let differs = nodes.iter().filter(|node| !node.is_visitors_view && !node.observed.is_settled() && !is_theirs(node));
    none_left(differs, "not as wanted after the change")
}

/// Verifies that nothing repairable is left. Content that could not be read, because WordPress fails for a reason of
/// its own, doesn't count.
pub(super) async fn repaired(
    cx: &SiteCx<'_>,
    blueprint: &dyn Blueprint,
    want: Option<&DesiredSite>,
) -> Result<(), RunError> {
    let seen = blueprint.snapshot(cx, Depth::Deep).await?;
    let found = drifts(&blueprint.observe(cx, want, &seen));
    let is_left = |drift: &&Drift| match drift.remediation {
        Remediation::Repair | Remediation::Restore => true,
        Remediation::Nothing => !blueprint.resource(drift.kind).is_some_and(Resource::holds_data),
        Remediation::Upgrade | Remediation::Operator => false,
    };
    let left: Vec<String> =
        found.iter().filter(is_left).map(|drift| format!("{} ({})", drift.kind, drift.detail)).collect();
    if left.is_empty() {
        return Ok(());
    }
    let message = format!("not as wanted after the repair: {}", left.join(", "));
    Err(EffectError::transient_message("observe", message).into())
}

impl Runner {
    /// Verifies that none of the objects to be removed is left, after the last moment at which an effect whose reply
    /// was lost may land.
    pub(super) async fn verify_gone(&self, cx: &SiteCx<'_>, claim: &Claim) -> Result<(), RunError> {
        let settles_at = self.store.settles_at(claim.job.site_id).await?;
        let pause = settles_at.map_or(Duration::ZERO, |at| at.since(self.world.clock.now()));
        // A clock that was set back must not prolong the pause.
        let pause = pause.min(self.settings.pace.settle);
        if !pause.is_zero() {
            info!(wait_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), "waiting for lost calls to settle");
            sleep(pause).await;
        }
        let blueprint = blueprint(claim);
        let seen = blueprint.snapshot(cx, Depth::Shallow).await?;
        let nodes = blueprint.observe(cx, None, &seen);
        let left = nodes.iter().filter(|node| concerns(claim, node) && !node.observed.is_none_of_ours());
        none_left(left, "still there after the removal")
    }
}

/// A failure that may pass, if a node is left.
fn none_left<'a>(nodes: impl Iterator<Item = &'a Node>, what: &str) -> Result<(), RunError> {
    let kinds: Vec<&str> = nodes.map(|node| node.kind.as_str()).collect();
    if kinds.is_empty() {
        return Ok(());
    }
    Err(Failure::from(EffectError::transient_message("observe", format!("{what}: {}", kinds.join(", ")))).into())
}
