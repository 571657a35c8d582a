//! Policy of automatic repairs: ever longer pauses between repairs of one drift, up to hours. Derived from the journal,
//! so a restart forgets nothing.

use std::fmt::Write;
use std::time::Duration;

use hostplane_domain::drift::{Drift, Remediation};
use hostplane_infra::clock::Timestamp;

use crate::background::backoff::Backoff;
use crate::store::Repaired;

/// Period in which repairs count.
pub(super) const WINDOW: Duration = Duration::from_hours(24);
/// The longest pause between repairs of one drift.
const LONGEST: Duration = Duration::from_hours(6);
/// Repairs of one drift after which the log warns: what comes back so often has a cause.
const MANY: usize = 6;

/// Decision on the repair of a site.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RepairDecision {
    /// Repair now.
    Now,
    /// Repair at this time; with the history of its repairs, when there were many.
    At(Timestamp, Option<String>),
}

/// The drifts that a repair can do something about.
pub(super) fn repairable(drifts: &[Drift]) -> Vec<Drift> {
    drifts
        .iter()
        .filter(|drift| matches!(drift.remediation, Remediation::Repair | Remediation::Restore))
        .cloned()
        .collect()
}

/// Decides on the repair of these drifts after those repairs, whatever came of them. The first pause is `first`, and it
/// doubles.
pub(super) fn decide(drifts: &[Drift], repaired: &[Repaired], now: Timestamp, first: Duration) -> RepairDecision {
    let mut latest: Option<(Timestamp, Option<String>)> = None;
    for drift in drifts {
        let same = |known: &Drift| (known.kind, known.reason) == (drift.kind, drift.reason);
        let times: Vec<Timestamp> =
            repaired.iter().filter(|repaired| repaired.why.iter().any(same)).map(|repaired| repaired.at).collect();
        let Some(last) = times.last() else { continue };
        let failures = u32::try_from(times.len() - 1).unwrap_or(u32::MAX);
        let at = last.plus(Backoff { first, longest: LONGEST }.pause(failures));
        if latest.as_ref().is_none_or(|(known, _)| *known < at) {
            latest = Some((at, (times.len() >= MANY).then(|| history(drift, &times))));
        }
    }
    match latest {
        Some((at, history)) if at > now => RepairDecision::At(at, history),
        _ => RepairDecision::Now,
    }
}

fn history(drift: &Drift, times: &[Timestamp]) -> String {
    let (kind, reason, detail) = (drift.kind, drift.reason, &drift.detail);
    let mut text = format!("{kind} ({reason}: {detail}) was repaired {} times within a day, at", times.len());
    for (nth, at) in times.iter().enumerate() {
        // A string takes all that is written to it.
        let _ = write!(text, "{} {at}", if nth == 0 { "" } else { "," });
    }
    text
}

#[cfg(test)]
mod tests {
    use hostplane_domain::naming::ResourceKind;
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
        (0..times).map(|nth| Repaired { at: at(nth), why: vec![stopped()] }).collect()
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
        let later = |at| RepairDecision::At(seconds(at), None);
        assert_eq!(at(1, 4), later(5));
        assert_eq!(at(1, 5), RepairDecision::Now);
        assert_eq!(at(2, 100), later(110));
        assert_eq!(at(5, 400), later(480));
        let both = [drift(ResourceKind::PhpContainer, Reason::Absent), stopped()];
        assert_eq!(decide(&both, &repaired(1), seconds(0), BACKOFF), later(5), "the longest backoff counts");
    }

    #[test]
    fn repairs_never_end_and_many_have_a_history() {
        let RepairDecision::At(at, Some(history)) = decide(&[stopped()], &repaired(6), seconds(500), BACKOFF) else {
            panic!("no history");
        };
        assert_eq!(at, seconds(500 + 5 * 32));
        for part in ["nginx_container", "stopped", "exited", "6 times", "1970-01-01T00:00:00", "1970-01-01T00:08:20"] {
            assert!(history.contains(part), "{part}: {history}");
        }
        let hours = i64::try_from(LONGEST.as_secs()).unwrap();
        let RepairDecision::At(at, _) = decide(&[stopped()], &repaired(40), seconds(3900), BACKOFF) else {
            panic!("it is repaired at once");
        };
        assert_eq!(at, seconds(3900 + hours));
    }

    #[test]
    fn only_drifts_that_a_job_can_repair_are_repairable() {
        let of = |remediation| repairable(&[Drift { remediation, ..stopped() }]).len();
        assert_eq!([Remediation::Repair, Remediation::Restore].map(of), [1, 1]);
        assert_eq!([Remediation::Upgrade, Remediation::Operator, Remediation::Nothing].map(of), [0, 0, 0]);
    }
}
