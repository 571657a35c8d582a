//! Backoff: ever longer pauses between tries. No other module doubles a pause.

use std::collections::BTreeMap;
use std::time::Duration;

use hostplane_domain::ids::SiteId;
use tokio::time::Instant;

/// A pause that doubles from try to try.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after a number of failures in a row, of which the first counts as 0.
    pub fn pause(&self, failures: u32) -> Duration {
        self.first.saturating_mul(1 << failures.min(16)).min(self.longest.max(self.first))
    }
}

/// Pauses of sites, each by its own failures in a row. Kept in memory: a restart tries every site at once.
#[derive(Debug, Default)]
pub(crate) struct SiteBackoff(BTreeMap<SiteId, Paused>);

#[derive(Debug)]
struct Paused {
    until: Instant,
    failures: u32,
}

impl SiteBackoff {
    /// True unless the site pauses.
    pub fn is_due(&self, site: SiteId, now: Instant) -> bool {
        self.0.get(&site).is_none_or(|paused| paused.until <= now)
    }

    /// The time since the site's pause ended; `None` for a site that never paused.
    pub fn waited(&self, site: SiteId, now: Instant) -> Option<Duration> {
        self.0.get(&site).map(|paused| now.saturating_duration_since(paused.until))
    }

    /// Failures of the site in a row.
    pub fn failures(&self, site: SiteId) -> u32 {
        self.0.get(&site).map_or(0, |paused| paused.failures)
    }

    /// Pauses a site until a moment, with this number of failures in a row.
    pub fn pause_until(&mut self, site: SiteId, until: Instant, failures: u32) {
        self.0.insert(site, Paused { until, failures });
    }

    /// Counts one more failure of a site, which pauses for the backoff's time.
    pub fn fail(&mut self, site: SiteId, now: Instant, backoff: &Backoff) {
        let failures = self.0.get(&site).map_or(0, |paused| paused.failures + 1);
        self.pause_until(site, now + backoff.pause(failures), failures);
    }

    /// Forgets all sites but those for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(SiteId) -> bool) {
        self.0.retain(|site, _| keep(*site));
    }

    /// Forgets all sites.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The sites whose pause has ended. They are forgotten.
    pub fn take_due(&mut self, now: Instant) -> Vec<SiteId> {
        self.0.extract_if(.., |_, paused| paused.until <= now).map(|(site, _)| site).collect()
    }

    /// The moment at which the first pause ends.
    pub fn next_due(&self) -> Option<Instant> {
        self.0.values().map(|paused| paused.until).min()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(5), longest: Duration::from_mins(1) };
    const SITE: SiteId = SiteId::new(Uuid::from_u128(1));

    #[test]
    fn the_pause_doubles_up_to_the_longest() {
        let pauses = [0, 1, 2, 3, 4, 100].map(|failures| BACKOFF.pause(failures).as_secs());
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        let longer = Backoff { first: Duration::from_secs(90), ..BACKOFF };
        assert_eq!(longer.pause(0), longer.first, "the first pause is never cut");
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_pauses_longer_with_each_failure() {
        let mut sites = SiteBackoff::default();
        let begun = Instant::now();
        assert!(sites.is_due(SITE, begun));
        sites.fail(SITE, begun, &BACKOFF);
        sites.fail(SITE, begun, &BACKOFF);
        assert_eq!(sites.next_due(), Some(begun + BACKOFF.pause(1)));
        assert!(!sites.is_due(SITE, begun));
        let later = begun + BACKOFF.pause(2);
        assert_eq!(sites.waited(SITE, later), Some(BACKOFF.pause(1)));
        assert_eq!(sites.take_due(later), [SITE]);
        assert_eq!((sites.failures(SITE), sites.next_due()), (0, None));
    }
}
