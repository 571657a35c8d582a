//! From what was observed to the steps that converge the world on one end of a change.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::kind::Kind;
use crate::mark::Owner;
use crate::observed::Observed;

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
    /// What the site has stays as it is, and nothing is left beside it.
    Tidy,
}

/// One resource, as the planner needs it.
#[derive(Debug, Clone)]
pub struct Node {
    /// Which.
    pub kind: Kind,
    /// What has to be there before it. In a removal it goes before these.
    pub needs: &'static [Kind],
    /// The resource whose removal takes this one along, if it has no removal of its own.
    pub inside: Option<Kind>,
    /// What was found.
    pub observed: Observed,
}

/// One verb on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Of what.
    pub kind: Kind,
    /// What to do.
    pub verb: Verb,
    /// The steps of this plan that have to be done first.
    pub after: Vec<Kind>,
}

/// A name that the site needs is held by another: nothing is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Under whose name.
    pub kind: Kind,
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
        Goal::Tidy => Ok(tidy_all(nodes)),
    }
}

fn ensure_all(nodes: &[Node]) -> Result<Vec<Step>, Held> {
    for node in nodes {
        if let Observed::Present { owner: owner @ (Owner::Predecessor(_) | Owner::Foreign), .. } = &node.observed {
            return Err(Held { kind: node.kind, owner: owner.clone() });
        }
    }
    let due: BTreeSet<Kind> = nodes.iter().filter(|node| !node.observed.is_as_wanted()).map(|node| node.kind).collect();
    Ok(nodes
        .iter()
        .filter(|node| due.contains(&node.kind))
        .map(|node| Step { kind: node.kind, verb: Verb::Ensure, after: ensured_before(nodes, &due, node) })
        .collect())
}

/// Everything that `node` needs, directly or through others that have no step, comes first.
fn ensured_before(nodes: &[Node], due: &BTreeSet<Kind>, node: &Node) -> Vec<Kind> {
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

fn tidy_all(nodes: &[Node]) -> Vec<Step> {
    let untidy = nodes.iter().filter(|node| node.observed.is_untidy());
    untidy.map(|node| Step { kind: node.kind, verb: Verb::Remove, after: Vec::new() }).collect()
}

fn remove_all(nodes: &[Node]) -> Vec<Step> {
    let due: BTreeSet<Kind> = nodes
        .iter()
        .filter(|node| node.inside.is_none() && !node.observed.is_none_of_ours())
        .map(|node| node.kind)
        .collect();
    nodes
        .iter()
        .filter(|node| due.contains(&node.kind))
        .map(|node| Step { kind: node.kind, verb: Verb::Remove, after: removed_before(nodes, &due, node.kind) })
        .collect()
}

/// Everything that needs `kind`, directly or through others that have no step, goes first.
fn removed_before(nodes: &[Node], due: &BTreeSet<Kind>, kind: Kind) -> Vec<Kind> {
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
    use crate::observed::{Difference, Remedy};

    fn node(kind: Kind, needs: &'static [Kind], observed: Observed) -> Node {
        Node { kind, needs, inside: None, observed }
    }

    fn chain(observed: &Observed) -> Vec<Node> {
        vec![
            node(Kind::Network, &[], observed.clone()),
            Node { inside: Some(Kind::Network), ..node(Kind::Settings, &[Kind::Network], observed.clone()) },
            node(Kind::PhpContainer, &[Kind::Settings], observed.clone()),
        ]
    }

    fn mark() -> crate::mark::Mark {
        let job = crate::ids::JobId::new(uuid::Uuid::from_u128(1));
        let site = crate::mark::SiteRef {
            id: crate::ids::SiteId::new(uuid::Uuid::from_u128(2)),
            name: crate::name::SiteName::parse("hello").unwrap(),
        };
        let instance = crate::ids::InstanceId::new(uuid::Uuid::from_u128(3));
        let spec = crate::spec_hash::SpecHash::of(&"x");
        crate::mark::Mark { instance, site, kind: Kind::Settings, job, spec }
    }

    fn as_wanted() -> Observed {
        Observed::Present { owner: Owner::Ours(mark()), differs: Vec::new() }
    }

    fn step(kind: Kind, verb: Verb, after: &[Kind]) -> Step {
        Step { kind, verb, after: after.to_vec() }
    }

    #[test]
    fn ensures_what_is_absent_or_unknown_in_order() {
        let mut nodes = chain(&Observed::Absent);
        nodes[1].observed = Observed::Unknown("no answer".into());
        assert_eq!(
            converge(&nodes, Goal::Present).unwrap(),
            [
                step(Kind::Network, Verb::Ensure, &[]),
                step(Kind::Settings, Verb::Ensure, &[Kind::Network]),
                step(Kind::PhpContainer, Verb::Ensure, &[Kind::Settings]),
            ]
        );
    }

    #[test]
    fn what_is_as_wanted_gets_no_step_and_is_waited_through() {
        let mut nodes = chain(&Observed::Absent);
        nodes[1].observed = as_wanted();
        assert_eq!(
            converge(&nodes, Goal::Present).unwrap(),
            [step(Kind::Network, Verb::Ensure, &[]), step(Kind::PhpContainer, Verb::Ensure, &[Kind::Network]),]
        );
    }

    #[test]
    fn a_held_name_stops_everything() {
        let mut nodes = chain(&Observed::Absent);
        nodes[2].observed = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        let held = converge(&nodes, Goal::Present).unwrap_err();
        assert_eq!(held, Held { kind: Kind::PhpContainer, owner: Owner::Foreign });
    }

    #[test]
    fn removes_in_the_opposite_order_and_across_what_has_no_removal() {
        let nodes = chain(&Observed::Unknown("no answer".into()));
        assert_eq!(
            converge(&nodes, Goal::Absent).unwrap(),
            [step(Kind::Network, Verb::Remove, &[Kind::PhpContainer]), step(Kind::PhpContainer, Verb::Remove, &[]),]
        );
    }

    #[test]
    fn only_what_is_left_beside_is_tidied() {
        let mark = mark();
        let differs = |remedy| {
            let differs = vec![Difference { field: "x", wanted: "y".into(), found: "z".into(), remedy }];
            Observed::Present { owner: Owner::Ours(mark.clone()), differs }
        };
        let mut nodes = chain(&Observed::Absent);
        for remedy in [Remedy::InPlace, Remedy::Recreate, Remedy::DataLoss] {
            nodes[1].observed = differs(remedy);
            assert_eq!(converge(&nodes, Goal::Tidy).unwrap(), [], "{remedy:?}");
        }
        nodes[1].observed = differs(Remedy::Tidy);
        assert_eq!(converge(&nodes, Goal::Tidy).unwrap(), [step(Kind::Settings, Verb::Remove, &[])]);
        let foreign = vec![Difference { field: "x", wanted: "y".into(), found: "z".into(), remedy: Remedy::Tidy }];
        nodes[1].observed = Observed::Present { owner: Owner::Foreign, differs: foreign };
        assert_eq!(converge(&nodes, Goal::Tidy).unwrap(), [], "another's");
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
