//! What a repair does besides what every job does: it makes nothing in the place of data that is gone, and it ends when
//! nothing is seen any more that it could mend.

use std::fmt::Write;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::{Drift, Reason, Remediation, drifts};
use hostplane_domain::naming;
use hostplane_domain::plan::{Node, Step, Verb};
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_infra::error::EffectError;

use super::execute::Plan;
use super::failure::{Failure, Lost};
use super::run::Runner;
use crate::context::SiteCx;
use crate::inventory::snapshot::{Depth, Snapshot};
use crate::resources;
use crate::store::Claim;

/// Data that is gone, if any is. Where only a marker is missing, the front page tells whether the data is too.
pub(super) async fn lost_data(
    cx: &SiteCx<'_>,
    want: &DesiredSite,
    mut seen: Snapshot,
    nodes: &[Node],
) -> Option<Vec<Drift>> {
    let is_lost = |drift: &Drift| drift.remediation == Remediation::Restore;
    let mut found = drifts(nodes);
    let markers = [ResourceKind::WordpressFiles, ResourceKind::WordpressInstall];
    if !found.iter().any(is_lost)
        && found.iter().any(|drift| markers.contains(&drift.kind) && drift.remediation == Remediation::Operator)
    {
        seen.read_page(cx, want).await;
        found = drifts(&resources::observe_all(cx, Some(want), &seen));
    }
    found.retain(is_lost);
    (!found.is_empty()).then_some(found)
}

/// How somebody makes the volume that is to be filled from a backup: without our labels it would be another's.
fn made_by_hand(cx: &SiteCx<'_>, want: &DesiredSite) -> String {
    let mut command = "docker volume create".to_owned();
    for (label, value) in cx.mark(ResourceKind::FilesVolume, want).to_labels() {
        // A string takes all that is written to it.
        let _ = write!(command, " --label {label}={value}");
    }
    format!(": make the volume again with `{command} {}` and fill it", naming::files_volume(&cx.site.name))
}

impl Runner {
    /// Visitors get the maintenance page until somebody has brought the data back: what is left of the site would
    /// answer with errors, or as somebody else's new site.
    pub(super) async fn hold(
        &self,
        cx: &SiteCx<'_>,
        claim: &Claim,
        want: &DesiredSite,
        lost: Vec<Drift>,
    ) -> Result<Result<(), Failure>, Lost> {
        let held = DesiredSite { suspended: true, ..want.clone() };
        let plan = Plan { claim, direction: claim.job.direction, want: Some(&held), pivot: None };
        let step = Step { kind: ResourceKind::Route, verb: Verb::Ensure, after: Vec::new() };
        if let Err(failure) = self.execute(cx, &plan, vec![step]).await? {
            return Ok(Err(failure));
        }
        let words = |lost: &Drift| format!("{} {}: {}", lost.kind, naming::of(lost.kind, &cx.site.name), lost.detail);
        let what = lost.iter().map(words).collect::<Vec<_>>().join("; ");
        let lacks_volume =
            lost.iter().any(|lost| lost.kind == ResourceKind::FilesVolume && lost.reason == Reason::Absent);
        let how = if lacks_volume { made_by_hand(cx, want) } else { String::new() };
        Ok(Err(Failure::DataLost { kind: lost[0].kind, what, how }))
    }

    /// A repair ends when nothing is seen that it could mend. What holds data and could not be told (WordPress fails for a
    /// reason of its own) is nothing that it could mend.
    pub(super) async fn verify_repaired(
        &self,
        cx: &SiteCx<'_>,
        want: Option<&DesiredSite>,
    ) -> Result<Result<(), Failure>, Lost> {
        let seen = match Snapshot::of_site(cx, Depth::Deep).await {
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error.into())),
        };
        let found = drifts(&resources::observe_all(cx, want, &seen));
        let is_left = |drift: &&Drift| match drift.remediation {
            Remediation::Repair | Remediation::Restore => true,
            Remediation::Nothing => !resources::of(drift.kind).holds_data(),
            Remediation::Upgrade | Remediation::Operator => false,
        };
        let left: Vec<String> =
            found.iter().filter(is_left).map(|drift| format!("{} ({})", drift.kind, drift.detail)).collect();
        if left.is_empty() {
            return Ok(Ok(()));
        }
        let message = format!("not as wanted after the repair: {}", left.join(", "));
        Ok(Err(EffectError::transient_message("observe", message).into()))
    }
}
