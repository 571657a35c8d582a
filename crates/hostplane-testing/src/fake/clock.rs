//! Fake of the machine's clock and randomness.

use std::time::Duration;

use tokio::time::Instant;

use hostplane_infra::clock::{Clock, Timestamp};

/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_767_225_600_000_000);

/// A clock that goes by tokio's, so that a paused one steers it too, from the same moment in each test.
/// Chance is half of what it could be, always.
#[derive(Debug, Clone, Copy)]
pub struct FakeClock {
    start: Timestamp,
    started: Instant,
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::starting(START)
    }
}

impl FakeClock {
    /// A clock that shows this time now.
    #[must_use]
    pub fn starting(now: Timestamp) -> Self {
        Self { start: now, started: Instant::now() }
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.start.plus(self.started.elapsed())
    }

    fn jitter(&self, ceiling: Duration) -> Duration {
        ceiling / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_goes_only_as_far_as_it_is_moved() {
        let clock = FakeClock::default();
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:00.000Z");
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:01.500Z");
        assert_eq!(clock.jitter(Duration::from_secs(4)), Duration::from_secs(2));
    }
}
