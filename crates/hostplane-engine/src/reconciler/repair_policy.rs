//! Whether a repair is ordered, and when. What breaks again and again is repaired more and more seldom, and then left to
//! somebody who can find out why. The journal knows how often it was: nothing of this is remembered.

use std::fmt::Write;
use std::time::Duration;

use hostplane_domain::drift::{Drift, Remediation};
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_infra::clock::Timestamp;

use crate::background::backoff::Backoff;
use crate::store::Repaired;

/// How far the journal is looked through.
pub(super) const WINDOW: Duration = Duration::from_hours(1);
/// So often within that time the same is repaired by itself.
const REPAIRS: usize = 6;

/// When a site's turn comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RepairDecision {
    /// Now.
    Now,
    /// Not before.
    At(Timestamp),
    /// When somebody says so: what breaks again and again, and its history.
    Never(ResourceKind, String),
}

/// What a repair is ordered for.
pub(super) fn repairable(drifts: &[Drift]) -> Vec<Drift> {
    drifts
        .iter()
        .filter(|drift| matches!(drift.remediation, Remediation::Repair | Remediation::Restore))
        .cloned()
        .collect()
}

/// When these drifts are to be repaired, after those repairs. The first pause is `rest`, and it doubles.
pub(super) fn decide(drifts: &[Drift], repaired: &[Repaired], now: Timestamp, first: Duration) -> RepairDecision {
    let mut latest = None;
    for drift in drifts {
        let same = |known: &Drift| (known.kind, known.reason) == (drift.kind, drift.reason);
        let alike: Vec<&Repaired> = repaired.iter().filter(|repaired| repaired.why.iter().any(same)).collect();
        let Some(last) = alike.last() else { continue };
        // One that found nothing to mend was ordered for something that passed by itself.
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
    text.push_str(", and broke again each time, so it is left as it is; find out what breaks it, then retry this job");
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
    fn the_first_time_it_is_repaired_at_once() {
        assert_eq!(decide(&[stopped()], &[], seconds(0), BACKOFF), RepairDecision::Now);
        let others =
            [drift(ResourceKind::NginxContainer, Reason::Absent), drift(ResourceKind::PhpContainer, Reason::Stopped)];
        assert_eq!(decide(&others, &repaired(9), seconds(900), BACKOFF), RepairDecision::Now, "another drift");
    }

    #[test]
    fn then_it_rests_longer_each_time() {
        let at = |times, now| decide(&[stopped()], &repaired(times), seconds(now), BACKOFF);
        assert_eq!(at(1, 4), RepairDecision::At(seconds(5)));
        assert_eq!(at(1, 5), RepairDecision::Now);
        assert_eq!(at(2, 100), RepairDecision::At(seconds(110)));
        assert_eq!(at(5, 400), RepairDecision::At(seconds(480)));
        let both = [drift(ResourceKind::PhpContainer, Reason::Absent), stopped()];
        assert_eq!(
            decide(&both, &repaired(1), seconds(0), BACKOFF),
            RepairDecision::At(seconds(5)),
            "the longest rest counts"
        );
    }

    #[test]
    fn what_passes_by_itself_makes_it_rest_and_is_nobody_s_trouble() {
        let idle: Vec<Repaired> = repaired(9).into_iter().map(|it| Repaired { has_worked: false, ..it }).collect();
        assert_eq!(decide(&[stopped()], &idle, seconds(801), BACKOFF), RepairDecision::At(seconds(800 + 5 * 256)));
    }

    #[test]
    fn at_last_somebody_is_told_the_history() {
        let RepairDecision::Never(kind, history) = decide(&[stopped()], &repaired(6), seconds(100_000), BACKOFF) else {
            panic!("it goes on");
        };
        assert_eq!(kind, ResourceKind::NginxContainer);
        for part in ["stopped", "exited", "6 times", "1970-01-01T00:00:00", "1970-01-01T00:08:20"] {
            assert!(history.contains(part), "{part}: {history}");
        }
    }

    #[test]
    fn only_what_a_job_can_do_something_about_is_ordered() {
        let of = |way| repairable(&[Drift { remediation: way, ..stopped() }]).len();
        assert_eq!([Remediation::Repair, Remediation::Restore].map(of), [1, 1]);
        assert_eq!([Remediation::Upgrade, Remediation::Operator, Remediation::Nothing].map(of), [0, 0, 0]);
    }
}
