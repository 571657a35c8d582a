//! The operations as a table. An operation takes a site from `before` to `after`; steps, retries, rollback and journal
//! are the same for all of them.

use hostplane_domain::job::OperationName;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::plan::Goal;
use hostplane_domain::status::SiteEvent;

/// An operation.
#[derive(Debug)]
pub struct Operation {
    /// Its name.
    pub name: OperationName,
    /// The state that it converges on.
    pub goal: Goal,
    /// The step after which it can't be rolled back any more. Without a pivot it never can.
    pub pivot: Option<ResourceKind>,
    /// The event for the site's status when it begins: when it is ordered, or when the job of a site that is ordered
    /// with it first runs.
    pub begun: SiteEvent,
    /// The event when `after` is confirmed.
    pub completed: SiteEvent,
    /// The event when `before` is confirmed instead.
    pub rolled_back: Option<SiteEvent>,
}

/// Every operation, in the order of their names' declaration.
pub const OPERATIONS: &[Operation] = &[
    // A site that was confirmed from outside is never taken down again: the pivot is the last step.
    Operation {
        name: OperationName::Provision,
        goal: Goal::Present,
        pivot: Some(ResourceKind::Serving),
        begun: SiteEvent::ProvisionStarted,
        completed: SiteEvent::ProvisionConfirmed,
        rolled_back: Some(SiteEvent::ProvisionRolledBack),
    },
    // A removed object can't be brought back: forward only, from the first step on.
    Operation {
        name: OperationName::Destroy,
        goal: Goal::Absent,
        pivot: None,
        begun: SiteEvent::DestroyStarted,
        completed: SiteEvent::DestroyConfirmed,
        rolled_back: None,
    },
    change(OperationName::Update),
    change(OperationName::Upgrade),
    change(OperationName::Suspend),
    change(OperationName::Resume),
    // The control plane orders these two.
    change(OperationName::Restrict),
    change(OperationName::Lift),
    change(OperationName::Rotate),
    // The reconciler orders it. Rolling back to a broken site would help nothing.
    Operation {
        name: OperationName::Repair,
        goal: Goal::Repaired,
        pivot: None,
        begun: SiteEvent::Changed,
        completed: SiteEvent::Changed,
        rolled_back: None,
    },
    // Removes objects that appeared after their own job had ended.
    Operation {
        name: OperationName::Collect,
        goal: Goal::Absent,
        pivot: None,
        begun: SiteEvent::Collected,
        completed: SiteEvent::Collected,
        rolled_back: None,
    },
];

/// A change of a site that stays in service. Changes differ in their name and in the order, which fixes `after`.
const fn change(name: OperationName) -> Operation {
    Operation {
        name,
        goal: Goal::Present,
        pivot: Some(ResourceKind::Serving),
        begun: SiteEvent::Changed,
        completed: SiteEvent::Changed,
        rolled_back: Some(SiteEvent::Changed),
    }
}

/// The operation of a name.
pub(crate) fn of(name: OperationName) -> &'static Operation {
    OPERATIONS.iter().find(|operation| operation.name == name).expect("every name has an operation: there is a test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_operation_of_every_name() {
        let names: Vec<OperationName> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!(names, OperationName::ALL);
    }

    #[test]
    fn operations_with_a_pivot_can_be_rolled_back() {
        for operation in OPERATIONS {
            assert_eq!(operation.pivot.is_some(), operation.rolled_back.is_some(), "{}", operation.name);
        }
    }
}
