//! Drift: the differences between a site's desired and observed state, and the remediation of each.

use serde::{Deserialize, Serialize};

use crate::mark::Owner;
use crate::naming::ResourceKind;
use crate::observed::{Difference, Node, Observed, Reason, Remedy};
use crate::text_enum::text_enum;

text_enum!(
    /// The remediation of a drift.
    Remediation, "remediation" {
        /// Hostplane repairs it.
        Repair = "repair",
        /// Left until the operator upgrades the site.
        Upgrade = "upgrade",
        /// Data is gone. Making it anew would hide that, so the site is held until the operator brings the data back.
        Restore = "restore",
        /// Only an operator who knows the site can repair it.
        Operator = "operator",
        /// None: the state is unknown, which is no reason to act.
        Nothing = "nothing",
    }
);

/// The drift of one resource of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The kind of resource.
    pub kind: ResourceKind,
    /// The reason in a word.
    pub reason: Reason,
    /// The remediation. Stored with the job that it caused, under the name of version 0.1.
    #[serde(rename = "way")]
    pub remediation: Remediation,
    /// The reason in full.
    pub detail: String,
}

/// The drifts of a site. A resource that was not observed has none.
#[must_use]
pub fn drifts(nodes: &[Node]) -> Vec<Drift> {
    nodes.iter().filter(|node| !goes_with_another(nodes, node)).filter_map(drift).collect()
}

/// True when a resource lies within another that is gone: only the other one is a drift.
fn goes_with_another(nodes: &[Node], node: &Node) -> bool {
    let holder = nodes.iter().find(|other| Some(other.kind) == node.within);
    holder.is_some_and(|holder| holder.holds_data && holder.observed == Observed::Absent)
}

fn drift(node: &Node) -> Option<Drift> {
    let kind = node.kind;
    match &node.observed {
        Observed::NotObserved => None,
        Observed::Unknown(why) => {
            Some(Drift { kind, reason: Reason::Unknown, remediation: Remediation::Nothing, detail: why.clone() })
        }
        Observed::Absent => {
            let remediation = if node.holds_data { Remediation::Restore } else { Remediation::Repair };
            Some(Drift { kind, reason: Reason::Absent, remediation, detail: "it is not there".to_owned() })
        }
        Observed::Present { owner: Owner::Ours(_), differs } => {
            // Of those with the same weight, the first says most.
            let most = differs.iter().rev().max_by_key(|differs| weight(differs.remedy))?;
            let remediation = match most.remedy {
                Remedy::InPlace | Remedy::Recreate => Remediation::Repair,
                Remedy::Upgrade => Remediation::Upgrade,
                Remedy::Operator => Remediation::Operator,
                Remedy::DataLoss => Remediation::Restore,
            };
            Some(Drift { kind, reason: most.reason, remediation, detail: in_words(differs) })
        }
        Observed::Present { owner, .. } => {
            let detail = format!("its name is taken by {owner}");
            Some(Drift { kind, reason: Reason::Foreign, remediation: Remediation::Operator, detail })
        }
    }
}

/// The rank of a remedy: of several differences, the one that weighs most decides the remediation.
fn weight(remedy: Remedy) -> u8 {
    match remedy {
        Remedy::Upgrade => 0,
        Remedy::Operator => 1,
        Remedy::InPlace => 2,
        Remedy::Recreate => 3,
        Remedy::DataLoss => 4,
    }
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
    fn only_an_observed_difference_is_a_drift() {
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
    fn an_unknown_state_gets_no_remediation() {
        let unknown = one(ResourceKind::Database, Observed::Unknown("no answer".into()));
        assert_eq!(unknown, [(ResourceKind::Database, Reason::Unknown, Remediation::Nothing)]);
    }

    #[test]
    fn only_resources_without_data_are_repaired() {
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
    fn the_weightiest_difference_decides() {
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
    fn a_drift_says_every_difference() {
        let two = differs(&[(Reason::Release, Remedy::Upgrade), (Reason::Stopped, Remedy::InPlace)]);
        let found = drifts(&[node(ResourceKind::PhpContainer, two)]);
        assert_eq!(found[0].detail, "x: b instead of a; x: b instead of a");
    }

    #[test]
    fn a_name_held_by_another_needs_the_operator() {
        let foreign = Observed::Present { owner: Owner::Foreign, differs: vec![] };
        assert_eq!(
            one(ResourceKind::Network, foreign),
            [(ResourceKind::Network, Reason::Foreign, Remediation::Operator)]
        );
    }

    #[test]
    fn the_data_within_a_place_is_lost_too() {
        let files = ResourceKind::WordpressFiles;
        let nodes = [node(ResourceKind::FilesVolume, differs(&[])), node(files, Observed::Absent)];
        assert_eq!(of(&nodes), [(files, Reason::Absent, Remediation::Restore)]);
        assert_eq!(
            one(files, differs(&[(Reason::Marker, Remedy::InPlace)])),
            [(files, Reason::Marker, Remediation::Repair)]
        );
    }

    #[test]
    fn a_lost_volume_s_content_is_no_drift() {
        let nodes =
            [node(ResourceKind::FilesVolume, Observed::Absent), node(ResourceKind::WordpressFiles, Observed::Absent)];
        assert_eq!(of(&nodes), [(ResourceKind::FilesVolume, Reason::Absent, Remediation::Restore)]);
    }
}
