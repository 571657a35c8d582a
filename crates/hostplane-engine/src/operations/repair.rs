//! Site → site: what has drifted is as it was, and nothing else is touched, so a site that serves is never taken down.

use hostplane_domain::job::OperationName;
use hostplane_domain::plan::Goal;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::status::SiteEvent;

use super::Operation;

/// Nobody's order: the reconciler begins it. There is no way back to what was broken.
pub(super) struct Repair;

impl Operation for Repair {
    fn name(&self) -> OperationName {
        OperationName::Repair
    }

    fn goal(&self) -> Goal {
        Goal::Repaired
    }

    fn pivot(&self) -> Option<ResourceKind> {
        None
    }

    fn begun(&self) -> SiteEvent {
        SiteEvent::Changed
    }

    fn completed(&self) -> SiteEvent {
        SiteEvent::Changed
    }

    fn rolled_back(&self) -> Option<SiteEvent> {
        None
    }
}
