//! Policy of automatic repairs: backoff between repairs of one drift, then an operator. Derived from the journal, so a
//! restart forgets nothing.

use std::fmt::Write;
use std::time::Duration;

use hostplane_domain::drift::{Drift, Remediation};
use hostplane_domain::naming::ResourceKind;
use hostplane_infra::clock::Timestamp;

use crate::background::backoff::Backoff;
use crate::store::Repaired;

/// Period in which repairs count.
pub(super) const WINDOW: Duration = Duration::from_hours(1);
/// Most automatic repairs of one drift per window.
const REPAIRS: usize = 6;

/// Decision on the repair of a site.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RepairDecision {
    /// Repair now.
    Now,
    /// Repair at this time.
    At(Timestamp),
    /// The repair limit of this resource is reached; with the history of its repairs.
    Never(ResourceKind, String),
}

/// The drifts that a repair can do something about.
pub(super) fn repairable(drifts: &[Drift]) -> Vec<Drift> {
    drifts
        .iter()
        .filter(|drift| matches!(drift.remediation, Remediation::Repair | Remediation::Restore))
        .cloned()
        .collect()
}

/// Decides on the repair of these drifts after those repairs. The first pause is `first`, and it doubles.
pub(super) fn decide(drifts: &[Drift], repaired: &[Repaired], now: Timestamp, first: Duration) -> RepairDecision {
    let mut latest = None;
    for drift in drifts {
        let same = |known: &Drift| (known.kind, known.reason) == (drift.kind, drift.reason);
        let alike: Vec<&Repaired> = repaired.iter().filter(|repaired| repaired.why.iter().any(same)).collect();
        let Some(last) = alike.last() else { continue };
        // A repair that found nothing to do was ordered for a drift that had passed already: it is no failure.
        let times: Vec<Timestamp> =
            alike.iter().filter(|repaired| repaired.has_worked).map(|repaired| repaired.at).collect();
        if times.len() >= REPAIRS {
            return RepairDecision::Never(drift.kind, history(drift, &times));
        }
        let failures = u32::try_from(alike.len() - 1).unwrap_or(u32::MAX);
        latest = latest.max(Some(last.at.plus(Backoff { first, longest: Duration::MAX }.pause(failures))));
    }
    match latest {
        Some(at) if at > now => RepairDecision::At(at),
        _ => RepairDecision::Now,
    }
}

fn history(drift: &Drift, times: &[Timestamp]) -> String {
    let mut text = format!(
        "{} ({}: {}) was repaired {} times within an hour, at",
        drift.kind,
        drift.reason,
        drift.detail,
        times.len()
    );
    for (nth, at) in times.iter().enumerate() {
        // A string takes all that is written to it.
        let _ = write!(text, "{} {at}", if nth == 0 { "" } else { "," });
    }
    text.push_str(", and drifted again each time; find the cause, then retry this job");
    text
}

#[cfg(test)]
mod tests {
    use hostplane_domain::observed::Reason;

    use super::*;

    const BACKOFF: Duration = Duration::from_secs(5);

    fn drift(kind: ResourceKind, reason: Reason) -> Drift {
        Drift { kind, reason, remediation: Remediation::Repair, detail: "state: exited instead of running".to_owned() }
    }

    fn stopped() -> Drift {
        drift(ResourceKind::NginxContainer, Reason::Stopped)
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    fn repaired(times: usize) -> Vec<Repaired> {
        let at = |nth: usize| seconds(i64::try_from(nth).unwrap() * 100);
        (0..times).map(|nth| Repaired { at: at(nth), why: vec![stopped()], has_worked: true }).collect()
    }

    #[test]
    fn a_new_drift_is_repaired_at_once() {
        assert_eq!(decide(&[stopped()], &[], seconds(0), BACKOFF), RepairDecision::Now);
        let others =
            [drift(ResourceKind::NginxContainer, Reason::Absent), drift(ResourceKind::PhpContainer, Reason::Stopped)];
        assert_eq!(decide(&others, &repaired(9), seconds(900), BACKOFF), RepairDecision::Now, "another drift");
    }

    #[test]
    fn the_backoff_doubles_with_each_repair() {
        let at = |times, now| decide(&[stopped()], &repaired(times), seconds(now), BACKOFF);
        assert_eq!(at(1, 4), RepairDecision::At(seconds(5)));
        assert_eq!(at(1, 5), RepairDecision::Now);
        assert_eq!(at(2, 100), RepairDecision::At(seconds(110)));
        assert_eq!(at(5, 400), RepairDecision::At(seconds(480)));
        let both = [drift(ResourceKind::PhpContainer, Reason::Absent), stopped()];
        assert_eq!(
            decide(&both, &repaired(1), seconds(0), BACKOFF),
            RepairDecision::At(seconds(5)),
            "the longest backoff counts"
        );
    }

    #[test]
    fn repairs_without_effect_only_back_off() {
        let idle: Vec<Repaired> = repaired(9).into_iter().map(|it| Repaired { has_worked: false, ..it }).collect();
        assert_eq!(decide(&[stopped()], &idle, seconds(801), BACKOFF), RepairDecision::At(seconds(800 + 5 * 256)));
    }

    #[test]
    fn the_repair_limit_hands_the_history_to_an_operator() {
        let RepairDecision::Never(kind, history) = decide(&[stopped()], &repaired(6), seconds(100_000), BACKOFF) else {
            panic!("repairs go on");
        };
        assert_eq!(kind, ResourceKind::NginxContainer);
        for part in ["stopped", "exited", "6 times", "1970-01-01T00:00:00", "1970-01-01T00:08:20"] {
            assert!(history.contains(part), "{part}: {history}");
        }
    }

    #[test]
    fn only_drifts_that_a_job_can_repair_are_repairable() {
        let of = |remediation| repairable(&[Drift { remediation, ..stopped() }]).len();
        assert_eq!([Remediation::Repair, Remediation::Restore].map(of), [1, 1]);
        assert_eq!([Remediation::Upgrade, Remediation::Operator, Remediation::Nothing].map(of), [0, 0, 0]);
    }
}
