//! Who has run when, and rests until when.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use hostplane_domain::ids::SiteId;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::databases::NextEvent;
use tokio::time::Instant;

/// The longest rest of a site whose runs achieve nothing.
const LONGEST: Duration = Duration::from_hours(1);
/// A site rests so many times as long as it ran: it never takes more than a fifth of one place.
const SHARE: u32 = 4;

/// The sites that have run.
#[derive(Debug, Default)]
pub(super) struct WpCronBackoff(BTreeMap<SiteId, SiteRun>);

#[derive(Debug)]
struct SiteRun {
    until: Instant,
    /// What was due when it ran.
    due: Timestamp,
    /// Runs in a row after which the same was due.
    removal_failed: u32,
}

impl WpCronBackoff {
    /// Forgets sites that have nothing scheduled any more.
    pub fn keep(&mut self, events: &[NextEvent]) {
        self.0.retain(|site, _| events.iter().any(|event| event.site.id == *site));
    }

    /// Those that don't rest: first those that have not run, then those that have rested longest.
    pub fn in_turn(&self, mut due: Vec<NextEvent>) -> Vec<NextEvent> {
        let now = Instant::now();
        due.retain(|event| self.0.get(&event.site.id).is_none_or(|rest| rest.until <= now));
        due.sort_by_key(|event| Reverse(self.0.get(&event.site.id).map_or(Duration::MAX, |rest| now - rest.until)));
        due
    }

    /// A run begins. Answers whether one for the same event has been in vain.
    pub fn begin(&mut self, event: &NextEvent) -> bool {
        let before = self.0.get(&event.site.id).filter(|rest| rest.due == event.due);
        let removal_failed = before.map_or(0, |rest| rest.removal_failed + 1);
        self.0.insert(event.site.id, SiteRun { until: Instant::now(), due: event.due, removal_failed });
        removal_failed > 0
    }

    /// A run has ended: the site rests at least for `shortest`.
    pub fn end(&mut self, site: SiteId, ran: Duration, shortest: Duration) {
        if let Some(rest) = self.0.get_mut(&site) {
            let doubled = shortest.saturating_mul(1 << rest.removal_failed.min(10)).min(LONGEST.max(shortest));
            rest.until = Instant::now() + doubled.max(ran.saturating_mul(SHARE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostplane_domain::mark::SiteRef;
    use hostplane_domain::name::SiteName;
    use uuid::Uuid;

    const MINUTE: Duration = Duration::from_mins(1);

    fn event(site: u128, due: i64) -> NextEvent {
        let name = SiteName::parse("some").unwrap();
        NextEvent { site: SiteRef { id: SiteId::new(Uuid::from_u128(site)), name }, due: Timestamp(due) }
    }

    fn run(backoff: &mut WpCronBackoff, event: &NextEvent, ran: Duration) {
        backoff.begin(event);
        backoff.end(event.site.id, ran, MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_rests_after_a_run_and_those_that_waited_longest_come_first() {
        let mut backoff = WpCronBackoff::default();
        let (one, two, three) = (event(1, 10), event(2, 10), event(3, 10));
        let all = || vec![one.clone(), two.clone(), three.clone()];
        assert_eq!(backoff.in_turn(all()), all());
        run(&mut backoff, &two, Duration::ZERO);
        tokio::time::advance(MINUTE / 2).await;
        run(&mut backoff, &one, Duration::ZERO);
        assert_eq!(backoff.in_turn(all()), std::slice::from_ref(&three), "the others rest");
        tokio::time::advance(MINUTE).await;
        assert_eq!(backoff.in_turn(all()), [three.clone(), two.clone(), one.clone()]);
    }

    #[tokio::test(start_paused = true)]
    async fn runs_in_vain_come_ever_later_and_success_ends_that() {
        let mut backoff = WpCronBackoff::default();
        let mut waited = |due: i64, ran| {
            let event = event(1, due);
            run(&mut backoff, &event, ran);
            let until = backoff.0[&event.site.id].until;
            until - Instant::now()
        };
        assert_eq!(waited(10, Duration::ZERO), MINUTE);
        assert_eq!(waited(10, Duration::ZERO), 2 * MINUTE);
        assert_eq!(waited(10, Duration::ZERO), 4 * MINUTE);
        assert_eq!((3..20).map(|_| waited(10, Duration::ZERO)).last(), Some(LONGEST));
        assert_eq!(waited(11, Duration::ZERO), MINUTE);
        assert_eq!(waited(12, 2 * MINUTE), 8 * MINUTE, "what ran long rests long");
    }

    #[test]
    fn what_has_nothing_scheduled_is_forgotten() {
        let mut backoff = WpCronBackoff::default();
        backoff.0.insert(event(1, 1).site.id, SiteRun { until: Instant::now(), due: Timestamp(1), removal_failed: 3 });
        backoff.keep(&[event(2, 1)]);
        assert!(backoff.0.is_empty());
    }
}
