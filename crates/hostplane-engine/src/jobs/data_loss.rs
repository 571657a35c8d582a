//! Lost data of a site in service: no job makes an empty object in its place.

use std::fmt::Write;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::drift::{Drift, Remediation, drifts};
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::{Node, Reason};
use hostplane_domain::plan::{Step, Verb};

use super::execute::Plan;
use super::failure::{Failure, RunError};
use super::runner::{Runner, blueprint};
use crate::context::SiteCx;
use crate::inventory::ObjectKind;
use crate::resources::Resource;
use crate::store::Claim;

/// The drifts by which data is lost, if there are any.
pub(super) fn find(nodes: &[Node]) -> Option<Vec<Drift>> {
    let mut found = drifts(nodes);
    found.retain(|drift| drift.remediation == Remediation::Restore);
    (!found.is_empty()).then_some(found)
}

/// The command that makes a volume which an operator fills from a backup. Without our labels it would be foreign.
fn made_by_hand(cx: &SiteCx<'_>, volume: &dyn Resource, want: &DesiredSite) -> String {
    let mut command = "docker volume create".to_owned();
    for (label, value) in volume.mark(cx, want).to_labels() {
        // Writing to a string can't fail.
        let _ = write!(command, " --label {label}={value}");
    }
    format!(": make the volume again with `{command} {}` and fill it", volume.object_name(&cx.site.name))
}

impl Runner {
    /// Shows visitors the maintenance page until the operator has brought the data back: the rest of the site would
    /// answer with errors, or as a new site.
    pub(super) async fn hold(
        &self,
        cx: &SiteCx<'_>,
        claim: &Claim,
        want: &DesiredSite,
        lost: &[Drift],
    ) -> Result<(), RunError> {
        let held = DesiredSite { suspended: true, ..want.clone() };
        let plan = Plan { claim, direction: claim.job.direction, want: Some(&held), pivot: None };
        let step = Step { kind: ResourceKind::Route, verb: Verb::Ensure, after: Vec::new() };
        self.execute(cx, &plan, vec![step]).await?;
        let words = |lost: &Drift| format!("{} {}: {}", lost.kind, naming::of(lost.kind, &cx.site.name), lost.detail);
        let what = lost.iter().map(words).collect::<Vec<_>>().join("; ");
        let absent = lost.iter().filter(|lost| lost.reason == Reason::Absent);
        let mut volumes = absent
            .filter_map(|lost| blueprint(claim).resource(lost.kind))
            .filter(|resource| resource.object() == Some(ObjectKind::Volume));
        let how = volumes.next().map_or_else(String::new, |volume| made_by_hand(cx, volume, want));
        Err(Failure::DataLost { kind: lost[0].kind, what, how }.into())
    }
}
