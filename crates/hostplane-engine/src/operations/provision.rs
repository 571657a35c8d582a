//! Nothing → site.

use hostplane_domain::job::OperationName;
use hostplane_domain::plan::Goal;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::status::SiteEvent;

use super::Operation;

/// The pivot is the last step: a site that was confirmed from outside is never taken down again.
pub(super) struct Provision;

impl Operation for Provision {
    fn name(&self) -> OperationName {
        OperationName::Provision
    }

    fn goal(&self) -> Goal {
        Goal::Present
    }

    fn pivot(&self) -> Option<ResourceKind> {
        Some(ResourceKind::Serving)
    }

    fn begun(&self) -> SiteEvent {
        SiteEvent::ProvisionStarted
    }

    fn completed(&self) -> SiteEvent {
        SiteEvent::ProvisionConfirmed
    }

    fn rolled_back(&self) -> Option<SiteEvent> {
        Some(SiteEvent::ProvisionRolledBack)
    }
}
