//! What of a site is not as it should be, why, and what follows from it.

use serde::{Deserialize, Serialize};

use crate::mark::Owner;
use crate::observed::{Difference, Node, Observed, Reason, Remedy};
use crate::resource_kind::ResourceKind;
use crate::text_enum::text_enum;

text_enum!(
    /// What follows from a drift.
    Remediation, "remediation" {
        /// It is mended by itself.
        Repair = "repair",
        /// It waits until somebody upgrades the site.
        Upgrade = "upgrade",
        /// Data is gone: making it anew would hide that, so the site is held until somebody brings the data back.
        Restore = "restore",
        /// Only somebody who knows the site can mend it.
        Operator = "operator",
        /// Nothing: what is unknown is no reason to do anything.
        Nothing = "nothing",
    }
);

/// One resource of a site that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Which.
    pub kind: ResourceKind,
    /// Why, in a word.
    pub reason: Reason,
    /// What follows. Stored with the job that it caused, under the name of version 0.1.
    #[serde(rename = "way")]
    pub remediation: Remediation,
    /// Why, in full.
    pub detail: String,
}

/// What of a site is not as it should be. What was not looked at is no drift.
#[must_use]
pub fn drifts(nodes: &[Node]) -> Vec<Drift> {
    nodes.iter().filter(|node| !goes_with_another(nodes, node)).filter_map(|node| drift(nodes, node)).collect()
}

/// What lies in something that is gone is not missed by itself.
fn goes_with_another(nodes: &[Node], node: &Node) -> bool {
    let holder = nodes.iter().find(|other| Some(other.kind) == node.within);
    holder.is_some_and(|holder| holder.holds_data && holder.observed == Observed::Absent)
}

fn drift(nodes: &[Node], node: &Node) -> Option<Drift> {
    let kind = node.kind;
    match &node.observed {
        Observed::NotObserved => None,
        Observed::Unknown(why) => {
            Some(Drift { kind, reason: Reason::Unknown, remediation: Remediation::Nothing, detail: why.clone() })
        }
        Observed::Absent => {
            let remediation = if node.holds_data { lost(nodes, node) } else { Remediation::Repair };
            Some(Drift { kind, reason: Reason::Absent, remediation, detail: "it is not there".to_owned() })
        }
        Observed::Present { owner: Owner::Ours(_), differs } => {
            // Of those that weigh the same, the first says most.
            let most = differs.iter().rev().max_by_key(|differs| weight(differs.remedy))?;
            let remediation = match most.remedy {
                Remedy::InPlace | Remedy::Recreate => Remediation::Repair,
                Remedy::Upgrade => Remediation::Upgrade,
                Remedy::Operator => Remediation::Operator,
                Remedy::DataLoss => lost(nodes, node),
            };
            Some(Drift { kind, reason: most.reason, remediation, detail: in_words(differs) })
        }
        Observed::Present { owner, .. } => {
            let detail = format!("what has its name belongs to {owner}");
            Some(Drift { kind, reason: Reason::Foreign, remediation: Remediation::Operator, detail })
        }
    }
}

/// What weighs most says what follows.
fn weight(remedy: Remedy) -> u8 {
    match remedy {
        Remedy::Upgrade => 0,
        Remedy::Operator => 1,
        Remedy::InPlace => 2,
        Remedy::Recreate => 3,
        Remedy::DataLoss => 4,
    }
}

/// What follows when data is not there. A marker inside of what is there can be lost without the data: as long as
/// the site isn't seen to fail, it is not taken from its visitors.
fn lost(nodes: &[Node], node: &Node) -> Remediation {
    let fails = |node: &Node| matches!(&node.observed, Observed::Present { differs, .. } if !differs.is_empty());
    let page_fails = nodes.iter().any(|node| node.is_visitors_view && fails(node));
    if node.within.is_none() || page_fails { Remediation::Restore } else { Remediation::Operator }
}

fn in_words(differs: &[Difference]) -> String {
    differs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::tests::mark;

    fn node(kind: ResourceKind, observed: Observed) -> Node {
        let holds_data =
            matches!(kind, ResourceKind::FilesVolume | ResourceKind::Database | ResourceKind::WordpressFiles);
        let within = (kind == ResourceKind::WordpressFiles).then_some(ResourceKind::FilesVolume);
        Node { kind, needs: &[], within, holds_data, is_visitors_view: kind == ResourceKind::Serving, observed }
    }

    fn differs(reasons: &[(Reason, Remedy)]) -> Observed {
        let difference = |(reason, remedy): &(Reason, Remedy)| Difference {
            reason: *reason,
            field: "x",
            wanted: "a".into(),
            found: "b".into(),
            remedy: *remedy,
        };
        Observed::Present { owner: Owner::Ours(mark()), differs: reasons.iter().map(difference).collect() }
    }

    fn of(nodes: &[Node]) -> Vec<(ResourceKind, Reason, Remediation)> {
        drifts(nodes).into_iter().map(|drift| (drift.kind, drift.reason, drift.remediation)).collect()
    }

    fn one(kind: ResourceKind, observed: Observed) -> Vec<(ResourceKind, Reason, Remediation)> {
        of(&[node(kind, observed)])
    }

    #[test]
    fn what_is_as_wanted_or_was_not_asked_is_no_drift() {
        assert_eq!(one(ResourceKind::Network, differs(&[])), []);
        assert_eq!(one(ResourceKind::Serving, Observed::NotObserved), []);
    }

    #[test]
    fn stored_drifts_of_version_0_1_are_read() {
        let stored = r#"{"kind":"route","reason":"absent","way":"repair","detail":"it is not there"}"#;
        let drift: Drift = serde_json::from_str(stored).unwrap();
        assert_eq!((drift.kind, drift.remediation), (ResourceKind::Route, Remediation::Repair));
        assert_eq!(serde_json::to_string(&drift).unwrap(), stored);
    }

    #[test]
    fn what_is_unknown_is_reason_for_nothing() {
        let unknown = one(ResourceKind::Database, Observed::Unknown("no answer".into()));
        assert_eq!(unknown, [(ResourceKind::Database, Reason::Unknown, Remediation::Nothing)]);
    }

    #[test]
    fn what_holds_no_data_is_made_again_and_what_holds_data_is_not() {
        let php = ResourceKind::PhpContainer;
        assert_eq!(one(php, Observed::Absent), [(php, Reason::Absent, Remediation::Repair)]);
        assert_eq!(
            one(ResourceKind::Database, Observed::Absent),
            [(ResourceKind::Database, Reason::Absent, Remediation::Restore)]
        );
        let database = differs(&[(Reason::Grants, Remedy::InPlace), (Reason::Absent, Remedy::DataLoss)]);
        assert_eq!(
            one(ResourceKind::Database, database),
            [(ResourceKind::Database, Reason::Absent, Remediation::Restore)]
        );
    }

    #[test]
    fn the_difference_that_weighs_most_says_what_follows() {
        let php = ResourceKind::PhpContainer;
        let of = |reasons: &[(Reason, Remedy)]| one(php, differs(reasons));
        let (release, stopped) = ((Reason::Release, Remedy::Upgrade), (Reason::Stopped, Remedy::InPlace));
        assert_eq!(of(&[release]), [(php, Reason::Release, Remediation::Upgrade)]);
        assert_eq!(of(&[release, stopped]), [(php, Reason::Stopped, Remediation::Repair)]);
        assert_eq!(of(&[stopped, (Reason::Limits, Remedy::Recreate)]), [(php, Reason::Limits, Remediation::Repair)]);
        assert_eq!(of(&[stopped, (Reason::NotLoaded, Remedy::InPlace)]), [(php, Reason::Stopped, Remediation::Repair)]);
        assert_eq!(of(&[(Reason::Page, Remedy::Operator)]), [(php, Reason::Page, Remediation::Operator)]);
    }

    #[test]
    fn a_name_that_another_holds_needs_somebody() {
        let foreign = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        assert_eq!(
            one(ResourceKind::Network, foreign),
            [(ResourceKind::Network, Reason::Foreign, Remediation::Operator)]
        );
    }

    #[test]
    fn a_marker_that_is_gone_takes_no_site_down_that_is_not_seen_to_fail() {
        let (files, serving) = (ResourceKind::WordpressFiles, ResourceKind::Serving);
        let way = |page: Observed| {
            let nodes =
                [node(ResourceKind::FilesVolume, differs(&[])), node(files, Observed::Absent), node(serving, page)];
            of(&nodes)[0]
        };
        assert_eq!(way(Observed::NotObserved), (files, Reason::Absent, Remediation::Operator));
        assert_eq!(way(differs(&[])), (files, Reason::Absent, Remediation::Operator));
        assert_eq!(way(differs(&[(Reason::Page, Remedy::Operator)])), (files, Reason::Absent, Remediation::Restore));
    }

    #[test]
    fn what_lay_in_a_volume_that_is_gone_is_not_missed_besides() {
        let nodes =
            [node(ResourceKind::FilesVolume, Observed::Absent), node(ResourceKind::WordpressFiles, Observed::Absent)];
        assert_eq!(of(&nodes), [(ResourceKind::FilesVolume, Reason::Absent, Remediation::Restore)]);
    }
}
