//! From what was observed to the steps that converge the world on one end of a change.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::drift::{Remediation, drifts};
use crate::mark::Owner;
use crate::observed::{Node, Observed};
use crate::resource_kind::ResourceKind;

/// Which of the two verbs that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Make it match.
    Ensure,
    /// Make it absent.
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

/// What to converge on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The site is there, as desired.
    Present,
    /// Nothing of the site is there.
    Absent,
    /// What has drifted is as it was, and nothing else is touched: neither what holds data, nor what waits for an
    /// upgrade.
    Repaired,
}

/// One verb on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Of what.
    pub kind: ResourceKind,
    /// What to do.
    pub verb: Verb,
    /// The steps of this plan that have to be done first.
    pub after: Vec<ResourceKind>,
}

/// A name that the site needs is held by another: nothing is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Under whose name.
    pub kind: ResourceKind,
    /// By whom.
    pub owner: Owner,
}

/// The steps that converge on `goal`. Steps that don't wait for one another may run at the same time.
///
/// What is as wanted gets no step, but what could not be told does: verbs are idempotent.
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

fn ensure_all(nodes: &[Node]) -> Result<Vec<Step>, Held> {
    require_free(nodes)?;
    let due = nodes.iter().filter(|node| !node.observed.is_as_wanted()).map(|node| node.kind).collect();
    Ok(ensure(nodes, &due))
}

/// What could not be told is ensured too, unless it holds data: a repair takes containers away through which it
/// would be seen.
fn repair(nodes: &[Node]) -> Result<Vec<Step>, Held> {
    require_free(nodes)?;
    let unknown = nodes.iter().filter(|node| matches!(node.observed, Observed::Unknown(_)) && !node.holds_data);
    let drifted =
        drifts(nodes).into_iter().filter(|drift| drift.remediation == Remediation::Repair).map(|drift| drift.kind);
    let due = unknown.map(|node| node.kind).chain(drifted).collect();
    Ok(ensure(nodes, &due))
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

/// Everything that `node` needs, directly or through others that have no step, comes first.
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

/// Everything that needs `kind`, directly or through others that have no step, goes first.
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
    use crate::observed::{Difference, Reason, Remedy};

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
    fn ensures_what_is_absent_or_unknown_in_order() {
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
    fn what_is_as_wanted_gets_no_step_and_is_waited_through() {
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
    fn a_held_name_stops_everything() {
        let mut nodes = chain(&Observed::Absent);
        nodes[2].observed = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        let held = converge(&nodes, Goal::Present).unwrap_err();
        assert_eq!(held, Held { kind: ResourceKind::PhpContainer, owner: Owner::Foreign });
    }

    #[test]
    fn removes_in_the_opposite_order_and_across_what_has_no_removal() {
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
    fn a_repair_touches_what_has_drifted_and_nothing_else() {
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
            "what holds data isn't made, and what wasn't asked neither"
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
    fn what_is_absent_or_another_s_is_not_removed() {
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
