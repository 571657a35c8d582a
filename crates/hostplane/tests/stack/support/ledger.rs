//! Contents of the control database at one moment, and the changes of one write.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Row, SqliteConnection};

/// A job's row, as far as a crash could harm it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub site: String,
    pub operation: String,
    pub direction: String,
    pub state: String,
    pub attempt: i64,
    pub waiting_for: Option<String>,
    decided: bool,
}

impl Job {
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "completed" | "failed" | "cancelled")
    }
}

/// A line of a job's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub direction: String,
    pub resource: String,
    pub action: String,
    pub state: String,
}

#[derive(Debug, Clone, Default)]
pub struct Ledger {
    epoch: i64,
    /// Name and status by id.
    sites: BTreeMap<String, (String, String)>,
    /// The sites that have a subnet.
    subnets: BTreeSet<String>,
    /// By id, which is in the order of their making.
    pub jobs: BTreeMap<String, Job>,
    /// By job and place in its journal.
    pub steps: BTreeMap<(String, i64), Step>,
}

impl Ledger {
    pub async fn read(connection: &mut SqliteConnection) -> Self {
        let mut ledger = Self::default();
        let epoch = "SELECT CAST(value AS BIGINT) FROM meta WHERE key = 'epoch'";
        ledger.epoch = sqlx::query_scalar(epoch).fetch_one(&mut *connection).await.expect("an epoch");
        for row in rows(connection, "SELECT id, name, status FROM sites").await {
            ledger.sites.insert(row.get(0), (row.get(1), row.get(2)));
        }
        for row in rows(connection, "SELECT site_id FROM subnets WHERE site_id IS NOT NULL").await {
            ledger.subnets.insert(row.get(0));
        }
        let jobs = "SELECT id, site_id, operation, direction, state, attempt, waiting_for, after_spec IS NOT NULL \
                    FROM jobs";
        for row in rows(connection, jobs).await {
            let job = Job {
                site: row.get(1),
                operation: row.get(2),
                direction: row.get(3),
                state: row.get(4),
                attempt: row.get(5),
                waiting_for: row.get(6),
                decided: row.get(7),
            };
            ledger.jobs.insert(row.get(0), job);
        }
        for row in rows(connection, "SELECT job_id, seq, direction, resource, action, state FROM steps").await {
            let step = Step { direction: row.get(2), resource: row.get(3), action: row.get(4), state: row.get(5) };
            ledger.steps.insert((row.get(0), row.get(1)), step);
        }
        ledger
    }

    /// The steps that were begun and have no outcome.
    pub fn open_steps(&self) -> impl Iterator<Item = (&str, i64, &Step)> {
        let open = self.steps.iter().filter(|(_, step)| step.state == "intended");
        open.map(|((job, seq), step)| (job.as_str(), *seq, step))
    }

    /// The status of the newest site of a name.
    pub fn status_of(&self, name: &str) -> Option<&str> {
        self.sites.values().rfind(|(site, _)| site == name).map(|(_, status)| status.as_str())
    }

    /// Every job has ended.
    pub fn is_quiet(&self) -> bool {
        self.jobs.values().all(Job::has_ended)
    }

    /// Writes since then: one text for each row that is a step forward in a job's life.
    pub fn written_since(&self, earlier: &Self) -> Vec<String> {
        if self.epoch != earlier.epoch {
            // The epoch's write changes every job that ran: they are one.
            let active = self.jobs.values().find(|job| !job.has_ended());
            return active.map(|job| Self::boundary(job, "epoch begun")).into_iter().collect();
        }
        let jobs = self.jobs.iter().filter_map(|(id, job)| {
            let at = match earlier.jobs.get(id) {
                None => "ordered".to_owned(),
                // What its site goes through now is a later job's.
                Some(before) if before.has_ended() => return None,
                Some(before) if before.direction != job.direction => "turned back".to_owned(),
                Some(before) if before.state != job.state => job.state.clone(),
                Some(before) if before.decided != job.decided => "decided".to_owned(),
                Some(_) if self.subnets.contains(&job.site) != earlier.subnets.contains(&job.site) => {
                    "subnet taken".to_owned()
                }
                Some(_) if self.sites.get(&job.site) != earlier.sites.get(&job.site) && !job.has_ended() => {
                    "begun".to_owned()
                }
                Some(_) => return None,
            };
            Some(Self::boundary(job, &at))
        });
        let steps = self.steps.iter().filter(|(key, step)| earlier.steps.get(*key) != Some(step));
        let steps = steps.map(|((job, _), step)| self.at_step(job, step, &step.state));
        jobs.chain(steps).collect()
    }

    /// The name of a moment in a job's life.
    pub fn boundary(job: &Job, at: &str) -> String {
        format!("{} {}: {at}", job.operation, job.direction)
    }

    /// The name of a moment in a step's life.
    pub fn at_step(&self, job: &str, step: &Step, at: &str) -> String {
        format!("{} {}: {} {} {at}", self.jobs[job].operation, step.direction, step.action, step.resource)
    }

    /// Nothing was lost since, and every state is one that can follow.
    pub fn assert_follows(&self, earlier: &Self) {
        for (id, before) in &earlier.jobs {
            let now = self.jobs.get(id).unwrap_or_else(|| panic!("job {id} is lost: {before:?}"));
            assert_eq!((&before.site, &before.operation), (&now.site, &now.operation), "job {id}");
            assert!(!before.has_ended() || before.state == now.state, "an ended job came back: {before:?} {now:?}");
            assert!(before.direction == "forward" || now.direction == "back", "{before:?} {now:?}");
        }
        for (key, before) in &earlier.steps {
            let now = self.steps.get(key).unwrap_or_else(|| panic!("step {key:?} is lost: {before:?}"));
            assert!(before.state == "intended" || before.state == now.state, "{before:?} {now:?}");
        }
        for (job, _, step) in self.open_steps() {
            assert_eq!(self.jobs[job].state, "running", "a step is under way in a job that isn't: {step:?}");
        }
        for (id, (name, status)) in &self.sites {
            let mut jobs = self.jobs.values().filter(|job| &job.site == id);
            let active = jobs.clone().filter(|job| !job.has_ended()).count();
            assert!(active <= 1, "{name} has {active} active jobs");
            let newest = jobs.next_back().unwrap_or_else(|| panic!("{name} has no job"));
            let legal: &[&str] = match (newest.operation.as_str(), newest.state.as_str()) {
                ("provision", "pending" | "running") => &["CREATED", "PROVISIONING"],
                ("provision", "completed") => &["ACTIVE"],
                ("provision", "failed" | "cancelled") => &["FAILED"],
                ("destroy", "pending" | "running") => &["DESTROYING"],
                ("destroy", "completed") => &["DESTROYED"],
                ("collect", "pending" | "running" | "completed") => &["ACTIVE", "FAILED", "DESTROYED"],
                _ => &[],
            };
            assert!(legal.contains(&status.as_str()), "{name} is {status} with {newest:?}");
        }
    }
}

async fn rows(connection: &mut SqliteConnection, query: &'static str) -> Vec<sqlx::sqlite::SqliteRow> {
    sqlx::query(query).fetch_all(connection).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}
