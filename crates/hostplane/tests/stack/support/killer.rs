//! Kills the control plane at every write that it hasn't been killed at yet.
//!
//! There are two kinds of moment. After a write: the row is in the journal, and its consequences have hardly
//! begun. And with an effect done whose outcome is not in the journal: the control plane has logged that the
//! step ended and stands at the write, which never comes. Each has a name without the site,
//! so that it counts once, however many sites go through it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::instance::Instance;
use crate::journal::Journal;
use crate::ledger::Ledger;

/// Longest time without a write: more than a removal waits for lost calls.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Killer {
    pub journal: Journal,
    seen: Ledger,
    /// Only moments whose names hold one of these.
    wanted: &'static [&'static str],
    life: Life,
    pub kills: u32,
    pub boundaries: BTreeSet<String>,
    /// Times when the control plane wrote twice before it was held: those moments have no name.
    pub missed: u32,
}

/// Beginning of the running process.
#[derive(Default)]
struct Life {
    log_begins: usize,
    /// The last step of each job's journal at that time.
    last_steps: BTreeMap<String, i64>,
}

impl Killer {
    /// Nothing may be under way.
    pub async fn of(instance: &Instance, wanted: &'static [&'static str]) -> Self {
        let mut journal = Journal::open(&instance.database()).await;
        let seen = journal.read().await;
        assert!(seen.is_quiet());
        let mut killer =
            Self { journal, seen, wanted, life: Life::default(), kills: 0, boundaries: BTreeSet::new(), missed: 0 };
        killer.begin_life(instance);
        killer
    }

    fn begin_life(&mut self, instance: &Instance) {
        let mut last_steps = BTreeMap::new();
        for (job, seq) in self.seen.steps.keys() {
            last_steps.insert(job.clone(), *seq);
        }
        self.life = Life { log_begins: instance.log_text().len(), last_steps };
    }

    /// Gives orders, one write each, and leaves the journal held.
    pub async fn order(&mut self, instance: &Instance, orders: &[Vec<&str>]) {
        self.journal.hold().await;
        for order in orders {
            let jobs = self.journal.read().await.jobs.len();
            let mut child = instance.order(order);
            while self.journal.read().await.jobs.len() == jobs {
                assert!(self.journal.let_write(PATIENCE).await, "{order:?} isn't taken: {}", instance.log_text());
            }
            assert!(child.wait().expect("it ends").success(), "{order:?}: {}", instance.log_text());
        }
    }

    /// Lets the control plane work, and kills it at each new moment, until every job has ended. Whatever was
    /// killed is started again, and nothing else is done.
    pub async fn see_through(&mut self, instance: &mut Instance) {
        loop {
            let ledger = self.journal.read().await;
            ledger.assert_follows(&self.seen);
            let written = ledger.written_since(&self.seen);
            self.missed += u32::from(written.len() > 1);
            self.seen = ledger;
            let at = match written.as_slice() {
                [only] if self.is_new(only) => Some(only.clone()),
                _ => self.effect_without_outcome(instance),
            };
            if let Some(at) = at {
                // The journal is held: nothing can be written between the read and the kill.
                instance.kill();
                self.kills += 1;
                self.boundaries.insert(at);
                self.begin_life(instance);
                instance.spawn();
            } else if self.seen.is_quiet() {
                break;
            }
            assert!(self.journal.let_write(PATIENCE).await, "nothing moves: {}", instance.log_text());
        }
        self.journal.release().await;
        instance.wait_until_ready();
    }

    /// Number of moments with names that begin like this.
    pub fn reached(&self, beginning: &str) -> usize {
        self.boundaries.iter().filter(|boundary| boundary.starts_with(beginning)).count()
    }

    fn is_new(&self, boundary: &str) -> bool {
        !self.boundaries.contains(boundary) && self.wanted.iter().any(|wanted| boundary.contains(wanted))
    }

    /// The name of the moment at which an effect is done, or the last check of an absence has begun to wait,
    /// if the control plane gets there while the journal is held.
    fn effect_without_outcome(&self, instance: &Instance) -> Option<String> {
        let deadline = Instant::now() + self.journal.time_left();
        loop {
            // Asked before the log is read: all that it has logged by then is there.
            let stands = stands_at_the_journal(instance.process());
            let log = instance.log_text();
            let mut hope = false;
            let logged = Logged::of(log.get(self.life.log_begins..).unwrap_or_default());
            for (job, _, step) in self.seen.open_steps() {
                let boundary = self.seen.at_step(job, step, "ended, not written");
                if !self.is_new(&boundary) {
                    continue;
                }
                if logged.ended(job, &step.resource, &step.action) > self.written(job, &step.resource, &step.action) {
                    return Some(boundary);
                }
                hope = true;
            }
            for (id, job) in self.seen.jobs.iter().filter(|(_, job)| job.state == "running") {
                let boundary = Ledger::boundary(job, "waiting for lost calls");
                if logged.settling(id) && self.is_new(&boundary) {
                    return Some(boundary);
                }
                let removes = job.operation == "destroy" || job.direction == "back";
                hope |= removes && self.is_new(&boundary) && self.seen.open_steps().all(|(open, ..)| open != id);
            }
            if stands || !hope || Instant::now() > deadline {
                return None;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Outcomes of this process that are in the journal.
    fn written(&self, job: &str, resource: &str, action: &str) -> usize {
        let last = self.life.last_steps.get(job).copied().unwrap_or_default();
        let of_this_life = self.seen.steps.iter().filter(|((id, seq), _)| id == job && *seq > last);
        let same = of_this_life.filter(|(_, step)| step.resource == resource && step.action == action);
        same.filter(|(_, step)| step.state != "intended").count()
    }
}

/// Log lines of the running process.
struct Logged(Vec<Value>);

impl Logged {
    fn of(log: &str) -> Self {
        Self(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    fn ended(&self, job: &str, resource: &str, action: &str) -> usize {
        let is_end = |line: &&Value| {
            (line["message"] == "step done" || line["message"] == "step failed")
                && line["job"] == job
                && line["step"] == resource
                && line["action"] == action
        };
        self.0.iter().filter(is_end).count()
    }

    fn settling(&self, job: &str) -> bool {
        self.0.iter().any(|line| line["message"] == "waiting for lost calls to settle" && line["job"] == job)
    }
}

/// Detects a process that waits for a lock of its database: then one of the database's threads sleeps, which it
/// does at no other time.
fn stands_at_the_journal(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return false };
    threads.flatten().any(|thread| {
        let read = |file: &str| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        read("comm").starts_with("sqlx-sqlite") && read("wchan").contains("nanosleep")
    })
}
