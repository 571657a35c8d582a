//! Site → site': a site that is there is changed while it is served. What it is to be was decided when the job was
//! asked for; turned back, it is what it was before.

use hostplane_domain::job::OperationName;
use hostplane_domain::plan::Goal;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::status::SiteEvent;

use super::Operation;

/// They differ in what they are called and in what is asked for, and in nothing that a job does.
pub(super) struct Change(OperationName);

pub(super) const UPDATE: Change = Change(OperationName::Update);
pub(super) const UPGRADE: Change = Change(OperationName::Upgrade);
pub(super) const SUSPEND: Change = Change(OperationName::Suspend);
pub(super) const RESUME: Change = Change(OperationName::Resume);
pub(super) const ROTATE: Change = Change(OperationName::Rotate);

impl Operation for Change {
    fn name(&self) -> OperationName {
        self.0
    }

    fn goal(&self) -> Goal {
        Goal::Present
    }

    fn pivot(&self) -> Option<ResourceKind> {
        Some(ResourceKind::Serving)
    }

    fn begun(&self) -> SiteEvent {
        SiteEvent::Changed
    }

    fn completed(&self) -> SiteEvent {
        SiteEvent::Changed
    }

    fn rolled_back(&self) -> Option<SiteEvent> {
        Some(SiteEvent::Changed)
    }
}
