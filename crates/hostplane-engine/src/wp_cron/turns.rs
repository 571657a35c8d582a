//! The order in which sites get their turn to run due events, and the pause of each after a run.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use hostplane_domain::ids::SiteId;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::databases::NextEvent;
use tokio::time::Instant;

use crate::background::backoff::{Backoff, SiteBackoff};

/// The longest pause of a site whose runs leave the same event due.
const LONGEST: Duration = Duration::from_hours(1);
/// A site pauses this many times as long as its run took: it never takes more than a fifth of one place.
const SHARE: u32 = 4;

/// The turns of the sites that have run.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Failures are runs in a row after which the same event was still due.
    pauses: SiteBackoff,
    /// The event that was due at a site's last run.
    due: BTreeMap<SiteId, Timestamp>,
}

impl Turns {
    /// Forgets sites that have no event scheduled any more.
    pub fn keep(&mut self, events: &[NextEvent]) {
        let is_scheduled = |site: SiteId| events.iter().any(|event| event.site.id == site);
        self.pauses.retain(is_scheduled);
        self.due.retain(|site, _| is_scheduled(*site));
    }

    /// Sorts the events of sites that don't pause: first those of sites that never ran, then by the time waited.
    pub fn in_turn(&self, mut due: Vec<NextEvent>) -> Vec<NextEvent> {
        let now = Instant::now();
        due.retain(|event| self.pauses.is_due(event.site.id, now));
        due.sort_by_key(|event| Reverse(self.pauses.waited(event.site.id, now).unwrap_or(Duration::MAX)));
        due
    }

    /// Notes that a run begins. True when an earlier run left the same event due.
    pub fn begin(&mut self, event: &NextEvent) -> bool {
        let site = event.site.id;
        let is_same = self.due.insert(site, event.due) == Some(event.due);
        let failures = if is_same { self.pauses.failures(site) + 1 } else { 0 };
        self.pauses.pause_until(site, Instant::now(), failures);
        failures > 0
    }

    /// Notes that a run has ended: the site pauses, at least for `shortest`.
    pub fn end(&mut self, site: SiteId, ran: Duration, shortest: Duration) {
        if self.due.contains_key(&site) {
            let failures = self.pauses.failures(site);
            let pause = Backoff { first: shortest, longest: LONGEST }.pause(failures);
            self.pauses.pause_until(site, Instant::now() + pause.max(ran.saturating_mul(SHARE)), failures);
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

    fn run(turns: &mut Turns, event: &NextEvent, ran: Duration) {
        turns.begin(event);
        turns.end(event.site.id, ran, MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_site_that_waited_longest_comes_first() {
        let mut turns = Turns::default();
        let (one, two, three) = (event(1, 10), event(2, 10), event(3, 10));
        let all = || vec![one.clone(), two.clone(), three.clone()];
        assert_eq!(turns.in_turn(all()), all());
        run(&mut turns, &two, Duration::ZERO);
        tokio::time::advance(MINUTE / 2).await;
        run(&mut turns, &one, Duration::ZERO);
        assert_eq!(turns.in_turn(all()), std::slice::from_ref(&three), "the others pause");
        tokio::time::advance(MINUTE).await;
        assert_eq!(turns.in_turn(all()), [three.clone(), two.clone(), one.clone()]);
    }

    #[tokio::test(start_paused = true)]
    async fn runs_in_vain_come_ever_later() {
        let mut turns = Turns::default();
        let mut waited = |due: i64, ran| {
            let event = event(1, due);
            run(&mut turns, &event, ran);
            turns.pauses.next_due().unwrap() - Instant::now()
        };
        assert_eq!(waited(10, Duration::ZERO), MINUTE);
        assert_eq!(waited(10, Duration::ZERO), 2 * MINUTE);
        assert_eq!(waited(10, Duration::ZERO), 4 * MINUTE);
        assert_eq!((3..20).map(|_| waited(10, Duration::ZERO)).last(), Some(LONGEST));
        assert_eq!(waited(11, Duration::ZERO), MINUTE);
        assert_eq!(waited(12, 2 * MINUTE), 8 * MINUTE, "a long run is followed by a long pause");
    }

    #[test]
    fn sites_without_scheduled_events_are_forgotten() {
        let mut turns = Turns::default();
        turns.begin(&event(1, 1));
        turns.keep(&[event(2, 1)]);
        assert!(turns.due.is_empty() && turns.pauses.next_due().is_none());
    }
}
