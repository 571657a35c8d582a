//! Schedule of scans and checks. One loop decides; checks run concurrently, and a shallow one never waits for a front
//! page.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hostplane_domain::ids::SiteId;
use hostplane_infra::containers::{EngineEvent, EngineEvents};
use hostplane_infra::error::{Effect, chain};
use metrics::gauge;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep_until};
use tracing::{debug, error, info};

use super::Reconciler;
use super::check::CheckOutcome;
use super::engine_events::RecheckQueue;
use super::full_scan::ScanResult;
use super::requests::{PendingRequests, ScanRequest};
use crate::background::backoff::SiteBackoff;
use crate::inventory::ScanError;
use crate::inventory::snapshot::Depth;

/// Concurrent checks. Deep ones have slots of their own, as a front page may be slow.
const DEEP_AT_ONCE: usize = 8;
const SHALLOW_AT_ONCE: usize = 24;
/// Delay from a change by a job until busy sites are listed again, as jobs make many changes in a row.
const BUSY_DELAY: Duration = Duration::from_millis(100);

/// Delays of the checks after an event, the first since the event, the others since the check before. The Engine sends
/// a container's end before its own lists show it, and a network or volume often goes a moment after its container.
const EVENT_DELAYS: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];

/// Delay from an incomplete scan or check to the next one.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Gauge: 1 while the Engine's events are received.
const CONNECTED: &str = "hostplane_engine_events_connected";

/// Result of a task.
enum Done {
    Connected(Effect<EngineEvents>),
    Scanned(Result<ScanResult, ScanError>),
    Checked(SiteId, Depth, CheckOutcome),
    EventResolved(EngineEvent, Result<Option<(SiteId, Depth)>, crate::store::StoreError>),
    BusySites(Result<BTreeSet<SiteId>, crate::store::StoreError>),
}

/// Checks that an event of the Engine causes.
struct Hint {
    /// Time of the next check.
    at: Instant,
    depth: Depth,
    /// Index of its delay.
    nth: usize,
}

/// Scans and checks under way, and those to come.
pub(super) struct Scheduler<'a> {
    reconciler: &'a Reconciler,
    tasks: FuturesUnordered<BoxFuture<'a, Done>>,
    events: Option<EngineEvents>,
    /// The Engine's events are not received, and that was logged.
    disconnected: bool,
    /// Time of the next attempt to connect.
    reconnect: Option<Instant>,
    next_scan: Instant,
    /// A full scan is under way.
    scanning: bool,
    /// One more full scan is to follow it.
    scan_again: bool,
    failed_scans: u32,
    /// Checks under way, by site and depth: a front page that doesn't answer delays no shallow check of its site.
    under_way: BTreeSet<(SiteId, Depth)>,
    /// Sites to check once more after the check under way.
    again: RecheckQueue,
    /// Sites that wait for a slot, by depth.
    queues: BTreeMap<Depth, VecDeque<SiteId>>,
    /// Sites that a job holds; checked after its end.
    busy: BTreeSet<SiteId>,
    /// Time of the next list of busy sites.
    list_busy_at: Option<Instant>,
    /// Sites whose next check or repair waits.
    backoff: SiteBackoff,
    /// Sites with an event.
    hints: BTreeMap<SiteId, Hint>,
    requests: PendingRequests,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(reconciler: &'a Reconciler) -> Self {
        Self {
            reconciler,
            tasks: FuturesUnordered::new(),
            events: None,
            disconnected: false,
            reconnect: Some(Instant::now()),
            next_scan: Instant::now() + reconciler.settings.pace.scan_interval,
            scanning: false,
            scan_again: false,
            failed_scans: 0,
            under_way: BTreeSet::new(),
            again: RecheckQueue::default(),
            queues: BTreeMap::new(),
            busy: BTreeSet::new(),
            list_busy_at: None,
            backoff: SiteBackoff::default(),
            hints: BTreeMap::new(),
            requests: PendingRequests::default(),
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<ScanRequest>) {
        let mut changes = self.reconciler.store.changes();
        loop {
            let timer = self.next_timer();
            // In a fixed order, so that runs in virtual time are reproducible.
            tokio::select! {
                biased;
                Some(done) = self.tasks.next(), if !self.tasks.is_empty() => self.done(done),
                event = next_event(&mut self.events) => self.on_event(event),
                Some(request) = requests.recv() => {
                    self.requests.add(request);
                    self.scan();
                }
                Ok(()) = changes.changed(), if !self.busy.is_empty() && self.list_busy_at.is_none() => {
                    self.list_busy_at = Some(Instant::now() + BUSY_DELAY);
                }
                () = sleep_until(timer) => self.on_time(),
            }
        }
    }

    fn next_timer(&self) -> Instant {
        let backoff = self.backoff.next_due();
        let hint = self.hints.values().map(|hint| hint.at).min();
        let others = [self.reconnect, self.list_busy_at, backoff, hint].into_iter().flatten();
        others.fold(self.next_scan, Instant::min)
    }

    fn on_time(&mut self) {
        let (now, reconciler) = (Instant::now(), self.reconciler);
        if self.reconnect.is_some_and(|at| at <= now) {
            self.reconnect = None;
            self.tasks.push(Box::pin(async { Done::Connected(reconciler.world.local().containers.events().await) }));
        }
        if self.list_busy_at.is_some_and(|at| at <= now) {
            self.list_busy_at = None;
            self.tasks.push(Box::pin(async { Done::BusySites(reconciler.store.busy_sites().await) }));
        }
        self.follow_hints(now);
        for site in self.backoff.take_due(now) {
            self.check(site, Depth::Deep);
        }
        if self.next_scan <= now {
            // No second scan begins while one takes longer than the interval.
            self.next_scan = now + reconciler.settings.pace.scan_interval;
            if !self.scanning {
                self.scan();
            }
        }
    }

    fn hint(&mut self, site: SiteId, depth: Depth) {
        let depth = self.hints.get(&site).map_or(depth, |known| known.depth.max(depth));
        self.hints.insert(site, Hint { at: Instant::now() + EVENT_DELAYS[0], depth, nth: 0 });
    }

    fn follow_hints(&mut self, now: Instant) {
        let mut due = Vec::new();
        self.hints.retain(|site, hint| {
            if hint.at > now {
                return true;
            }
            due.push((*site, hint.depth));
            hint.nth += 1;
            let next = EVENT_DELAYS.get(hint.nth);
            hint.at = now + next.copied().unwrap_or_default();
            next.is_some()
        });
        for (site, depth) in due {
            self.check(site, depth);
        }
    }

    /// Begins a full scan, or has one follow that under way, which may have read an older state than the caller needs.
    fn scan(&mut self) {
        if self.scanning {
            self.scan_again = true;
            return;
        }
        self.scanning = true;
        self.next_scan = Instant::now() + self.reconciler.settings.pace.scan_interval;
        let all = self.requests.begin_scan();
        let reconciler = self.reconciler;
        self.tasks.push(Box::pin(async move { Done::Scanned(reconciler.scan(all).await) }));
    }

    fn check(&mut self, site: SiteId, depth: Depth) {
        if self.under_way.contains(&(site, depth)) {
            self.again.add(site, depth);
            return;
        }
        if !self.has_slot(depth) {
            // Sites with a reason come before those whose periodic check is due.
            self.queues.entry(depth).or_default().push_front(site);
            return;
        }
        self.under_way.insert((site, depth));
        let reconciler = self.reconciler;
        self.tasks.push(Box::pin(async move { Done::Checked(site, depth, reconciler.check(site, depth).await) }));
    }

    fn has_slot(&self, depth: Depth) -> bool {
        let slots = match depth {
            Depth::Shallow => SHALLOW_AT_ONCE,
            Depth::Deep => DEEP_AT_ONCE,
        };
        self.under_way.iter().filter(|(_, other)| *other == depth).count() < slots
    }

    /// Begins checks in free slots.
    fn fill_slots(&mut self) {
        for depth in [Depth::Shallow, Depth::Deep] {
            while self.has_slot(depth)
                && let Some(site) = self.queues.entry(depth).or_default().pop_front()
            {
                self.check(site, depth);
            }
        }
    }

    fn on_event(&mut self, event: Option<Effect<EngineEvent>>) {
        let reconciler = self.reconciler;
        match event {
            Some(Ok(event)) => self.tasks.push(Box::pin(async move {
                let site = reconciler.concerned(&event).await;
                Done::EventResolved(event, site)
            })),
            Some(Err(error)) => self.disconnect(&error.chain()),
            None => self.disconnect("the stream has ended"),
        }
    }

    fn disconnect(&mut self, why: &str) {
        if !self.disconnected {
            info!(error = why, "no events from the Engine; reconnecting");
        }
        self.disconnected = true;
        gauge!(CONNECTED).set(0);
        self.events = None;
        self.reconnect = Some(Instant::now() + self.reconciler.settings.pace.dependency_pause);
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Connected(Ok(events)) => {
                if self.disconnected {
                    info!("connected to the Engine's events again");
                }
                self.disconnected = false;
                gauge!(CONNECTED).set(1);
                self.events = Some(events);
                // The stream lacks all earlier events.
                self.scan();
            }
            Done::Connected(Err(error)) => self.disconnect(&error.chain()),
            Done::Scanned(result) => self.scanned(result),
            Done::Checked(site, depth, outcome) => self.checked(site, depth, outcome),
            Done::EventResolved(event, Ok(Some((site, depth)))) => {
                debug!(name = event.name, action = event.action, "event of the Engine");
                self.hint(site, depth);
            }
            Done::EventResolved(_, Ok(None)) => {}
            Done::EventResolved(_, Err(error)) | Done::BusySites(Err(error)) => {
                error!(error = chain(&error), "the control database doesn't answer");
            }
            Done::BusySites(Ok(still)) => {
                let free: Vec<SiteId> = self.busy.difference(&still).copied().collect();
                for site in free {
                    self.busy.remove(&site);
                    self.check(site, Depth::Deep);
                }
            }
        }
    }

    fn scanned(&mut self, result: Result<ScanResult, ScanError>) {
        self.scanning = false;
        match result {
            Ok(result) => {
                self.failed_scans = 0;
                if result.is_incomplete {
                    self.scan_soon();
                }
                self.requests.end_scan(&result);
                self.busy.extend(result.busy);
                for site in result.suspects {
                    self.check(site, Depth::Shallow);
                }
                let queue = self.queues.entry(Depth::Deep).or_default();
                let queued: BTreeSet<SiteId> = queue.iter().copied().collect();
                queue.extend(result.deep.into_iter().filter(|site| !queued.contains(site)));
                self.fill_slots();
            }
            Err(error) => {
                self.failed_scans += 1;
                Reconciler::report(&error, self.failed_scans);
                self.scan_soon();
            }
        }
        self.answer_requests();
        if std::mem::take(&mut self.scan_again) {
            self.scan();
        }
    }

    fn scan_soon(&mut self) {
        self.next_scan = self.next_scan.min(Instant::now() + RETRY_DELAY);
    }

    fn checked(&mut self, site: SiteId, depth: Depth, outcome: CheckOutcome) {
        self.under_way.remove(&(site, depth));
        match outcome {
            CheckOutcome::Settled => {}
            CheckOutcome::Busy => {
                // The check after the job's end covers the event.
                self.hints.remove(&site);
                self.busy.insert(site);
                // The job may have ended already.
                self.list_busy_at.get_or_insert(Instant::now() + BUSY_DELAY);
            }
            CheckOutcome::Later(at) => {
                let wait = at.since(self.reconciler.world.clock.now());
                self.backoff.pause_until(site, Instant::now() + wait, 0);
            }
            CheckOutcome::Unobserved => {
                self.backoff.pause_until(site, Instant::now() + RETRY_DELAY, 0);
            }
        }
        self.requests.site_checked(site);
        if let Some(depth) = self.again.remove(site) {
            self.check(site, depth);
        }
        self.fill_slots();
        self.answer_requests();
    }

    fn answer_requests(&mut self) {
        self.requests.drop_abandoned();
        if !self.scanning {
            self.requests.answer();
        }
    }
}

/// The next event; pending for ever without a stream.
async fn next_event(events: &mut Option<EngineEvents>) -> Option<Effect<EngineEvent>> {
    match events {
        Some(events) => events.next().await,
        None => pending().await,
    }
}
