//! The plan: from observed resources to the steps that converge on a desired state.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::drift::{Remediation, drifts};
use crate::mark::Owner;
use crate::naming::ResourceKind;
use crate::observed::{Difference, Node, Observed, Reason, Remedy};

/// One of the two verbs that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Makes the world match.
    Ensure,
    /// Makes the resource absent.
    Remove,
}

impl Verb {
    /// The stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ensure => "ensure",
            Self::Remove => "remove",
        }
    }
}

/// The state that a plan converges on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The site is there, as desired.
    Present,
    /// Nothing of the site is there.
    Absent,
    /// Drifts are repaired and nothing else is touched, neither resources with data nor those that wait for an
    /// upgrade.
    Repaired,
}

/// One verb on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The kind of resource.
    pub kind: ResourceKind,
    /// The verb.
    pub verb: Verb,
    /// The steps of this plan that have to be done first.
    pub after: Vec<ResourceKind>,
}

/// Another object holds a name that the site needs: nothing is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The resource with that name.
    pub kind: ResourceKind,
    /// The owner of the object.
    pub owner: Owner,
}

/// The steps that converge on `goal`. Steps that don't wait for one another may run at the same time.
///
/// A resource that nothing can be changed about gets no step. An unknown one does, as verbs are idempotent.
///
/// # Errors
/// [`Held`], when the goal is presence and one of the names is not free.
pub fn converge(nodes: &[Node], goal: Goal) -> Result<Vec<Step>, Held> {
    match goal {
        Goal::Present => ensure_all(nodes),
        Goal::Absent => Ok(remove_all(nodes)),
        Goal::Repaired => repair(nodes),
    }
}

/// The steps that change a site in service. Its content is its owner's, so there is none for it, whatever it is.
///
/// # Errors
/// [`Held`], when one of the names is not free.
pub fn change(nodes: &[Node]) -> Result<Vec<Step>, Held> {
    require_free(nodes)?;
    let is_due = |node: &&Node| !node.is_content() && !node.observed.is_settled();
    let due = nodes.iter().filter(is_due).map(|node| node.kind).collect();
    Ok(ensure(nodes, &due))
}

fn ensure_all(nodes: &[Node]) -> Result<Vec<Step>, Held> {
    require_free(nodes)?;
    let due = nodes.iter().filter(|node| !node.observed.is_settled()).map(|node| node.kind).collect();
    Ok(ensure(nodes, &due))
}

/// Also ensures unknown resources that hold no data: a repair may remove the container through which they are read.
fn repair(nodes: &[Node]) -> Result<Vec<Step>, Held> {
    require_free(nodes)?;
    let unknown = nodes.iter().filter(|node| matches!(node.observed, Observed::Unknown(_)) && !node.holds_data);
    let drifted =
        drifts(nodes).into_iter().filter(|drift| drift.remediation == Remediation::Repair).map(|drift| drift.kind);
    let mut due: BTreeSet<ResourceKind> = unknown.map(|node| node.kind).chain(drifted).collect();
    let anew = nodes.iter().filter(|node| due.contains(&node.kind) && is_made_anew(nodes, node));
    let read = anew.flat_map(|node| needed_content(nodes, node)).collect::<Vec<_>>();
    due.extend(read);
    Ok(ensure(nodes, &due))
}

/// True when a repair can't keep what is there of a resource.
fn is_made_anew(nodes: &[Node], node: &Node) -> bool {
    let is_absent = |kind: &ResourceKind| nodes.iter().any(|n| n.kind == *kind && n.observed == Observed::Absent);
    let is_replaced = |differs: &Difference| differs.remedy == Remedy::Recreate;
    match &node.observed {
        Observed::Absent => true,
        Observed::Present { differs, .. } => differs.iter().any(is_replaced) || node.needs.iter().any(is_absent),
        Observed::NotObserved | Observed::Unknown(_) => false,
    }
}

/// The files that a resource reads, where they wait for an upgrade: what is made by this release reads those of this
/// release.
fn needed_content(nodes: &[Node], node: &Node) -> Vec<ResourceKind> {
    let waits = |needed: &&Node| match &needed.observed {
        Observed::Present { differs, .. } => differs.iter().any(|differs| differs.reason == Reason::Configuration),
        _ => false,
    };
    let needed = nodes.iter().filter(|other| node.needs.contains(&other.kind));
    needed.filter(waits).map(|needed| needed.kind).collect()
}

fn require_free(nodes: &[Node]) -> Result<(), Held> {
    for node in nodes {
        if let Observed::Present { owner: owner @ (Owner::Predecessor(_) | Owner::Foreign), .. } = &node.observed {
            return Err(Held { kind: node.kind, owner: owner.clone() });
        }
    }
    Ok(())
}

fn ensure(nodes: &[Node], due: &BTreeSet<ResourceKind>) -> Vec<Step> {
    let due_nodes = nodes.iter().filter(|node| due.contains(&node.kind));
    due_nodes
        .map(|node| Step { kind: node.kind, verb: Verb::Ensure, after: ensured_before(nodes, due, node) })
        .collect()
}

/// The steps before that of `node`: all that it needs, directly or through resources without a step.
fn ensured_before(nodes: &[Node], due: &BTreeSet<ResourceKind>, node: &Node) -> Vec<ResourceKind> {
    let mut first = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = node.needs.to_vec();
    while let Some(kind) = open.pop() {
        if !seen.insert(kind) {
            continue;
        }
        if due.contains(&kind) {
            first.insert(kind);
        } else if let Some(needed) = nodes.iter().find(|node| node.kind == kind) {
            open.extend(needed.needs);
        }
    }
    first.into_iter().collect()
}

fn remove_all(nodes: &[Node]) -> Vec<Step> {
    let due: BTreeSet<ResourceKind> = nodes
        .iter()
        .filter(|node| node.within.is_none() && !node.observed.is_none_of_ours())
        .map(|node| node.kind)
        .collect();
    nodes
        .iter()
        .filter(|node| due.contains(&node.kind))
        .map(|node| Step { kind: node.kind, verb: Verb::Remove, after: removed_before(nodes, &due, node.kind) })
        .collect()
}

/// The removals before that of `kind`: all that need it, directly or through resources without a step.
fn removed_before(nodes: &[Node], due: &BTreeSet<ResourceKind>, kind: ResourceKind) -> Vec<ResourceKind> {
    let mut first = BTreeSet::new();
    let mut seen = BTreeSet::from([kind]);
    let mut open = vec![kind];
    while let Some(current) = open.pop() {
        for node in nodes.iter().filter(|node| node.needs.contains(&current)) {
            if !seen.insert(node.kind) {
                continue;
            }
            if due.contains(&node.kind) {
                first.insert(node.kind);
            } else {
                open.push(node.kind);
            }
        }
    }
    first.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::tests::mark;

    fn node(kind: ResourceKind, needs: &'static [ResourceKind], observed: Observed) -> Node {
        Node {
            kind,
            needs,
            within: None,
            holds_data: kind == ResourceKind::Database,
            is_visitors_view: false,
            observed,
        }
    }

    fn chain(observed: &Observed) -> Vec<Node> {
        vec![
            node(ResourceKind::Network, &[], observed.clone()),
            Node {
                within: Some(ResourceKind::Network),
                ..node(ResourceKind::Settings, &[ResourceKind::Network], observed.clone())
            },
            node(ResourceKind::PhpContainer, &[ResourceKind::Settings], observed.clone()),
        ]
    }

    fn as_wanted() -> Observed {
        Observed::Present { owner: Owner::Ours(mark()), differs: Vec::new() }
    }

    fn step(kind: ResourceKind, verb: Verb, after: &[ResourceKind]) -> Step {
        Step { kind, verb, after: after.to_vec() }
    }

    #[test]
    fn absent_and_unknown_resources_are_ensured_in_order() {
        let mut nodes = chain(&Observed::Absent);
        nodes[1].observed = Observed::Unknown("no answer".into());
        assert_eq!(
            converge(&nodes, Goal::Present).unwrap(),
            [
                step(ResourceKind::Network, Verb::Ensure, &[]),
                step(ResourceKind::Settings, Verb::Ensure, &[ResourceKind::Network]),
                step(ResourceKind::PhpContainer, Verb::Ensure, &[ResourceKind::Settings]),
            ]
        );
    }

    #[test]
    fn a_resource_as_wanted_gets_no_step() {
        let mut nodes = chain(&Observed::Absent);
        nodes[1].observed = as_wanted();
        assert_eq!(
            converge(&nodes, Goal::Present).unwrap(),
            [
                step(ResourceKind::Network, Verb::Ensure, &[]),
                step(ResourceKind::PhpContainer, Verb::Ensure, &[ResourceKind::Network]),
            ]
        );
    }

    #[test]
    fn a_change_has_no_step_for_content_and_keeps_the_order() {
        let mut nodes = chain(&Observed::Absent);
        nodes[1].holds_data = true;
        for observed in [Observed::Unknown("no answer".into()), Observed::Absent, as_wanted()] {
            nodes[1].observed = observed;
            let steps = [
                step(ResourceKind::Network, Verb::Ensure, &[]),
                step(ResourceKind::PhpContainer, Verb::Ensure, &[ResourceKind::Network]),
            ];
            assert_eq!(change(&nodes).unwrap(), steps);
        }
        nodes[2].observed = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        assert!(change(&nodes).is_err(), "a name that isn't free stops it too");
    }

    #[test]
    fn a_held_name_stops_everything() {
        let mut nodes = chain(&Observed::Absent);
        nodes[2].observed = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        let held = converge(&nodes, Goal::Present).unwrap_err();
        assert_eq!(held, Held { kind: ResourceKind::PhpContainer, owner: Owner::Foreign });
    }

    #[test]
    fn removal_goes_in_the_opposite_order() {
        let nodes = chain(&Observed::Unknown("no answer".into()));
        assert_eq!(
            converge(&nodes, Goal::Absent).unwrap(),
            [
                step(ResourceKind::Network, Verb::Remove, &[ResourceKind::PhpContainer]),
                step(ResourceKind::PhpContainer, Verb::Remove, &[]),
            ]
        );
    }

    #[test]
    fn a_repair_touches_only_what_has_drifted() {
        let differs = |remedy| {
            let difference =
                Difference { reason: Reason::Stopped, field: "x", wanted: "y".into(), found: "z".into(), remedy };
            Observed::Present { owner: Owner::Ours(mark()), differs: vec![difference] }
        };
        let mut nodes = chain(&as_wanted());
        nodes.push(node(ResourceKind::Database, &[], Observed::Absent));
        nodes.push(node(ResourceKind::Serving, &[ResourceKind::PhpContainer], Observed::NotObserved));
        assert_eq!(
            converge(&nodes, Goal::Repaired).unwrap(),
            [],
            "neither a resource with data nor one that was not observed gets a step"
        );
        nodes[3].observed = Observed::Unknown("no answer".into());
        for remedy in [Remedy::Upgrade, Remedy::Operator] {
            nodes[2].observed = differs(remedy);
            assert_eq!(converge(&nodes, Goal::Repaired).unwrap(), [], "{remedy:?}");
        }
        nodes[1].observed = Observed::Unknown("no answer".into());
        nodes[2].observed = differs(Remedy::InPlace);
        let steps = [
            step(ResourceKind::Settings, Verb::Ensure, &[]),
            step(ResourceKind::PhpContainer, Verb::Ensure, &[ResourceKind::Settings]),
        ];
        assert_eq!(converge(&nodes, Goal::Repaired).unwrap(), steps);
        nodes[0].observed = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        assert_eq!(converge(&nodes, Goal::Repaired).unwrap_err().kind, ResourceKind::Network);
    }

    #[test]
    fn what_a_repair_makes_anew_reads_the_files_of_this_release() {
        let differs = |reason, remedy| {
            let difference = Difference { reason, field: "x", wanted: "y".into(), found: "z".into(), remedy };
            Observed::Present { owner: Owner::Ours(mark()), differs: vec![difference] }
        };
        let steps = |network: Observed, container: Observed| {
            let mut nodes = chain(&as_wanted());
            nodes[0].observed = network;
            nodes[1].observed = differs(Reason::Configuration, Remedy::Upgrade);
            nodes[2].needs = &[ResourceKind::Network, ResourceKind::Settings];
            nodes[2].observed = container;
            let steps = converge(&nodes, Goal::Repaired).unwrap();
            steps.iter().map(|step| step.kind).collect::<Vec<_>>()
        };
        let (network, settings, php) = (ResourceKind::Network, ResourceKind::Settings, ResourceKind::PhpContainer);
        assert_eq!(steps(as_wanted(), as_wanted()), []);
        assert_eq!(steps(as_wanted(), differs(Reason::Stopped, Remedy::InPlace)), [php], "it is started as it is");
        assert_eq!(steps(as_wanted(), differs(Reason::Unhealthy, Remedy::Recreate)), [settings, php]);
        assert_eq!(steps(as_wanted(), Observed::Absent), [settings, php]);
        let stopped = differs(Reason::Stopped, Remedy::InPlace);
        assert_eq!(
            steps(Observed::Absent, stopped),
            [network, settings, php],
            "it was made for a network that is gone"
        );
    }

    #[test]
    fn absent_and_foreign_resources_are_not_removed() {
        assert_eq!(converge(&chain(&Observed::Absent), Goal::Absent).unwrap(), []);
        let foreign = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        assert_eq!(converge(&chain(&foreign), Goal::Absent).unwrap(), []);
    }

    #[test]
    fn verbs_have_their_text_forms() {
        for (verb, text) in [(Verb::Ensure, "ensure"), (Verb::Remove, "remove")] {
            assert_eq!(verb.as_str(), text);
            assert_eq!(serde_json::to_string(&verb).unwrap(), format!("\"{text}\""));
        }
    }
}
