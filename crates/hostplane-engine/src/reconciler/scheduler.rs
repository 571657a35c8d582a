//! What is looked at next. One loop decides; looks go on beside each other, and one at lists never waits for a front page.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hostplane_domain::ids::SiteId;
use hostplane_infra::containers::{EngineEvent, EngineEvents};
use hostplane_infra::error::{Effect, chain};
use metrics::gauge;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, Instant, sleep_until};
use tracing::{debug, error, info};

use super::check::Checked;
use super::engine_events::RecheckQueue;
use super::full_scan::ScanResult;
use super::{Reconciler, ScanRequest};
use crate::background::backoff::SiteBackoff;
use crate::inventory::ScanError;
use crate::inventory::snapshot::Depth;

/// Sites that are looked into at once, and sites whose lists are looked at at once. Each has places of its own: a front
/// page may take its time.
const DEEP_AT_ONCE: usize = 8;
const SHALLOW_AT_ONCE: usize = 24;
/// Jobs make many changes in a row: so long after one it is seen whether a site has come free.
const REST: Duration = Duration::from_millis(100);

/// So long after an event, and after the look before, its site is looked at. The Engine tells of a container's end
/// before its own lists show it, and a network or volume often goes a moment after its container.
const AFTER_EVENT: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1)];

/// So long after a look that did not see everything the next one comes: it may be there again.
const UNSEEN: Duration = Duration::from_secs(5);

/// Whether events are heard.
const CONNECTED: &str = "hostplane_engine_events_connected";

/// Something that is under way has ended.
enum Done {
    Connected(Effect<EngineEvents>),
    Scanned(Result<ScanResult, ScanError>),
    Checked(SiteId, Depth, Checked),
    EventResolved(EngineEvent, Result<Option<(SiteId, Depth)>, crate::store::StoreError>),
    Free(Result<BTreeSet<SiteId>, crate::store::StoreError>),
}

/// What an event said of a site: when it is looked at next, how far, and which of the looks that is.
struct Hint {
    at: Instant,
    depth: Depth,
    nth: usize,
}

/// Somebody who waits for a look at everything.
struct Waiting {
    deep: bool,
    /// The sites that are still to be looked at; `None` before the look at everything.
    left: Option<BTreeSet<SiteId>>,
    done: oneshot::Sender<()>,
}

/// What is under way, and what comes next.
pub(super) struct Scheduler<'a> {
    me: &'a Reconciler,
    work: FuturesUnordered<BoxFuture<'a, Done>>,
    events: Option<EngineEvents>,
    /// The Engine's events can't be heard, and that was told.
    disconnected: bool,
    /// When it is tried to hear them again.
    reconnect: Option<Instant>,
    next_scan: Instant,
    /// A look at everything is under way, and whether one more is wanted.
    scanning: bool,
    scan_again: bool,
    failed_scans: u32,
    /// Sites that are looked at now, and how far: a front page that doesn't answer keeps nobody from the lists.
    under_way: BTreeSet<(SiteId, Depth)>,
    /// Sites that are to be looked at once more.
    again: RecheckQueue,
    /// Sites that wait for a place, by how far they are to be looked at.
    queues: BTreeMap<Depth, VecDeque<SiteId>>,
    /// Sites that a job holds: they are looked at when it has ended.
    busy: BTreeSet<SiteId>,
    /// When it is seen whether they have come free.
    free_at: Option<Instant>,
    /// Sites whose repair has to wait.
    later: SiteBackoff,
    /// Sites that something happened to.
    hinted: BTreeMap<SiteId, Hint>,
    waiting: Vec<Waiting>,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(me: &'a Reconciler) -> Self {
        Self {
            me,
            work: FuturesUnordered::new(),
            events: None,
            disconnected: false,
            reconnect: Some(Instant::now()),
            next_scan: Instant::now() + me.settings.pace.scan_interval,
            scanning: false,
            scan_again: false,
            failed_scans: 0,
            under_way: BTreeSet::new(),
            again: RecheckQueue::default(),
            queues: BTreeMap::new(),
            busy: BTreeSet::new(),
            free_at: None,
            later: SiteBackoff::default(),
            hinted: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<ScanRequest>) {
        let mut changes = self.me.store.changes();
        loop {
            let timer = self.next_timer();
            // In this order, so that a run in virtual time is the same each time.
            tokio::select! {
                biased;
                Some(done) = self.work.next(), if !self.work.is_empty() => self.done(done),
                heard = next_event(&mut self.events) => self.on_event(heard),
                Some(request) = requests.recv() => {
                    self.waiting.push(Waiting { deep: request.deep, left: None, done: request.done });
                    self.scan();
                }
                Ok(()) = changes.changed(), if !self.busy.is_empty() && self.free_at.is_none() => {
                    self.free_at = Some(Instant::now() + REST);
                }
                () = sleep_until(timer) => self.on_time(),
            }
        }
    }

    fn next_timer(&self) -> Instant {
        let later = self.later.next_due();
        let hinted = self.hinted.values().map(|hint| hint.at).min();
        let others = [self.reconnect, self.free_at, later, hinted].into_iter().flatten();
        others.fold(self.next_scan, Instant::min)
    }

    fn on_time(&mut self) {
        let (now, me) = (Instant::now(), self.me);
        if self.reconnect.is_some_and(|at| at <= now) {
            self.reconnect = None;
            self.work.push(Box::pin(async { Done::Connected(me.world.containers.events().await) }));
        }
        if self.free_at.is_some_and(|at| at <= now) {
            self.free_at = None;
            self.work.push(Box::pin(async { Done::Free(me.store.busy_sites().await) }));
        }
        self.follow_hints(now);
        for site in self.later.take_due(now) {
            self.check(site, Depth::Deep);
        }
        if self.next_scan <= now {
            // One that takes longer than the pause is waited for.
            self.next_scan = now + me.settings.pace.scan_interval;
            if !self.scanning {
                self.scan();
            }
        }
    }

    fn hint(&mut self, site: SiteId, depth: Depth) {
        let depth = self.hinted.get(&site).map_or(depth, |known| known.depth.max(depth));
        self.hinted.insert(site, Hint { at: Instant::now() + AFTER_EVENT[0], depth, nth: 0 });
    }

    fn follow_hints(&mut self, now: Instant) {
        let mut due = Vec::new();
        self.hinted.retain(|site, hint| {
            if hint.at > now {
                return true;
            }
            due.push((*site, hint.depth));
            hint.nth += 1;
            let next = AFTER_EVENT.get(hint.nth);
            hint.at = now + next.copied().unwrap_or_default();
            next.is_some()
        });
        for (site, depth) in due {
            self.check(site, depth);
        }
    }

    /// Begins a look at everything, or has one begun when that under way has ended: what it sees may be older than
    /// what it is wanted for.
    fn scan(&mut self) {
        if self.scanning {
            self.scan_again = true;
            return;
        }
        self.scanning = true;
        self.next_scan = Instant::now() + self.me.settings.pace.scan_interval;
        let all = self.waiting.iter().any(|waiting| waiting.deep && waiting.left.is_none());
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.left.is_none()) {
            waiting.left = Some(BTreeSet::new());
        }
        let me = self.me;
        self.work.push(Box::pin(async move { Done::Scanned(me.scan(all).await) }));
    }

    fn check(&mut self, site: SiteId, depth: Depth) {
        if self.under_way.contains(&(site, depth)) {
            self.again.add(site, depth);
            return;
        }
        if !self.has_place(depth) {
            // What something has happened to comes before what only has its turn.
            self.queues.entry(depth).or_default().push_front(site);
            return;
        }
        self.under_way.insert((site, depth));
        let me = self.me;
        self.work.push(Box::pin(async move { Done::Checked(site, depth, me.check(site, depth).await) }));
    }

    fn has_place(&self, depth: Depth) -> bool {
        let places = match depth {
            Depth::Shallow => SHALLOW_AT_ONCE,
            Depth::Deep => DEEP_AT_ONCE,
        };
        self.under_way.iter().filter(|(_, other)| *other == depth).count() < places
    }

    /// Gives free places to those who wait.
    fn fill(&mut self) {
        for depth in [Depth::Shallow, Depth::Deep] {
            while self.has_place(depth)
                && let Some(site) = self.queues.entry(depth).or_default().pop_front()
            {
                self.check(site, depth);
            }
        }
    }

    fn on_event(&mut self, heard: Option<Effect<EngineEvent>>) {
        let me = self.me;
        match heard {
            Some(Ok(event)) => self.work.push(Box::pin(async move {
                let site = me.concerned(&event).await;
                Done::EventResolved(event, site)
            })),
            Some(Err(error)) => self.disconnect(&error.chain()),
            None => self.disconnect("the stream has ended"),
        }
    }

    fn disconnect(&mut self, why: &str) {
        if !self.disconnected {
            info!(error = why, "the Engine's events can't be heard; going on trying");
        }
        self.disconnected = true;
        gauge!(CONNECTED).set(0);
        self.events = None;
        self.reconnect = Some(Instant::now() + self.me.settings.pace.dependency_pause);
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Connected(Ok(events)) => {
                if self.disconnected {
                    info!("the Engine's events are heard again");
                }
                self.disconnected = false;
                gauge!(CONNECTED).set(1);
                self.events = Some(events);
                // What happened before is in none of them.
                self.scan();
            }
            Done::Connected(Err(error)) => self.disconnect(&error.chain()),
            Done::Scanned(result) => self.scanned(result),
            Done::Checked(site, depth, checked) => self.checked(site, depth, checked),
            Done::EventResolved(event, Ok(Some((site, depth)))) => {
                debug!(name = event.name, action = event.action, "the Engine tells of");
                self.hint(site, depth);
            }
            Done::EventResolved(_, Ok(None)) => {}
            Done::EventResolved(_, Err(error)) | Done::Free(Err(error)) => {
                error!(error = chain(&error), "the control database doesn't answer");
            }
            Done::Free(Ok(still)) => {
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
                for waiting in self.waiting.iter_mut().filter(|waiting| waiting.left.is_some()) {
                    let all = result.suspects.iter().chain(result.deep.iter().filter(|_| waiting.deep));
                    waiting.left.get_or_insert_default().extend(all);
                }
                self.busy.extend(result.busy);
                for site in result.suspects {
                    self.check(site, Depth::Shallow);
                }
                let queue = self.queues.entry(Depth::Deep).or_default();
                let queued: BTreeSet<SiteId> = queue.iter().copied().collect();
                queue.extend(result.deep.into_iter().filter(|site| !queued.contains(site)));
                self.fill();
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
        self.next_scan = self.next_scan.min(Instant::now() + UNSEEN);
    }

    fn checked(&mut self, site: SiteId, depth: Depth, checked: Checked) {
        self.under_way.remove(&(site, depth));
        match checked {
            Checked::Settled => {}
            Checked::Busy => {
                // What came of it is seen when the job has ended.
                self.hinted.remove(&site);
                self.busy.insert(site);
                // It may have come free already.
                self.free_at.get_or_insert(Instant::now() + REST);
            }
            Checked::Later(at) => {
                let wait = at.since(self.me.world.clock.now());
                self.later.pause_until(site, Instant::now() + wait, 0);
            }
            Checked::Unseen => {
                self.later.pause_until(site, Instant::now() + UNSEEN, 0);
            }
        }
        for waiting in &mut self.waiting {
            if let Some(left) = &mut waiting.left {
                left.remove(&site);
            }
        }
        if let Some(depth) = self.again.remove(site) {
            self.check(site, depth);
        }
        self.fill();
        self.answer_requests();
    }

    fn answer_requests(&mut self) {
        // Whoever has waited too long has gone.
        self.waiting.retain(|waiting| !waiting.done.is_closed());
        let is_done = |waiting: &mut Waiting| waiting.left.as_ref().is_some_and(BTreeSet::is_empty);
        if self.scanning {
            return;
        }
        for done in self.waiting.extract_if(.., is_done) {
            // Whoever requests may have gone.
            let _ = done.done.send(());
        }
    }
}

/// The next event; without a stream there is none.
async fn next_event(events: &mut Option<EngineEvents>) -> Option<Effect<EngineEvent>> {
    match events {
        Some(events) => events.next().await,
        None => pending().await,
    }
}
