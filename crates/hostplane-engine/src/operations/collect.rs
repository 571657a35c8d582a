//! Nothing → nothing: what landed after its own job had ended is removed.

use hostplane_domain::job::OperationName;
use hostplane_domain::plan::Goal;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::status::SiteEvent;

use super::Operation;

/// It is nobody's order: it begins when something is found that no site explains.
pub(super) struct Collect;

impl Operation for Collect {
    fn name(&self) -> OperationName {
        OperationName::Collect
    }

    fn goal(&self) -> Goal {
        Goal::Absent
    }

    fn pivot(&self) -> Option<ResourceKind> {
        None
    }

    fn begun(&self) -> SiteEvent {
        SiteEvent::Collected
    }

    fn completed(&self) -> SiteEvent {
        SiteEvent::Collected
    }

    fn rolled_back(&self) -> Option<SiteEvent> {
        None
    }
}
