//! What can be asked for: one file per operation. An operation takes a site from `before` to `after`;
//! everything else (steps, retries, rollback, journal) is the same for all.

mod change;
mod collect;
mod destroy;
mod provision;
mod repair;

use hostplane_domain::job::OperationName;
use hostplane_domain::plan::Goal;
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::status::SiteEvent;

/// An operation.
pub trait Operation: Send + Sync {
    /// Its name.
    fn name(&self) -> OperationName;

    /// What it converges on.
    fn goal(&self) -> Goal;

    /// The step from which there is no way back. Without one there is never a way back.
    fn pivot(&self) -> Option<ResourceKind>;

    /// What happens to the site's status when it begins: when it is asked for, or when the job of a site that
    /// is asked for with it first runs.
    fn begun(&self) -> SiteEvent;

    /// What happens to the site's status when `after` is confirmed.
    fn completed(&self) -> SiteEvent;

    /// What happens to the site's status when `before` is confirmed instead.
    fn rolled_back(&self) -> Option<SiteEvent>;
}

/// Every operation.
pub const OPERATIONS: &[&dyn Operation] = &[
    &provision::Provision,
    &destroy::Destroy,
    &change::UPDATE,
    &change::UPGRADE,
    &change::SUSPEND,
    &change::RESUME,
    &change::ROTATE,
    &repair::Repair,
    &collect::Collect,
];

/// The operation of a name.
pub(crate) fn of(name: OperationName) -> &'static dyn Operation {
    let found = OPERATIONS.iter().find(|operation| operation.name() == name);
    *found.expect("every name has an operation: there is a test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_operation_of_every_name() {
        let names: Vec<OperationName> = OPERATIONS.iter().map(|operation| operation.name()).collect();
        assert_eq!(names, OperationName::ALL);
    }

    #[test]
    fn what_can_turn_back_says_where_it_ends_then() {
        for operation in OPERATIONS {
            assert_eq!(operation.pivot().is_some(), operation.rolled_back().is_some(), "{}", operation.name());
        }
    }
}
