//! Site → nothing: forward only, and it ends with proof that nothing is left.

use hostplane_domain::job::OperationName;
use hostplane_domain::plan::Goal;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::status::SiteEvent;

use super::Operation;

/// What was removed can't be brought back, so there is no way back from the first step on.
pub(super) struct Destroy;

impl Operation for Destroy {
    fn name(&self) -> OperationName {
        OperationName::Destroy
    }

    fn goal(&self) -> Goal {
        Goal::Absent
    }

    fn pivot(&self) -> Option<ResourceKind> {
        None
    }

    fn begun(&self) -> SiteEvent {
        SiteEvent::DestroyStarted
    }

    fn completed(&self) -> SiteEvent {
        SiteEvent::DestroyConfirmed
    }

    fn rolled_back(&self) -> Option<SiteEvent> {
        None
    }
}
