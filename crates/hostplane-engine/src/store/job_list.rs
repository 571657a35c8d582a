//! Lists of jobs, with their sites' names and their journals.

use std::collections::BTreeMap;

use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::name::SiteName;

use super::dialect::{Connection, Row};
use super::jobs::{COLUMNS, JobRecord, read};
use super::listed::Filling;
use super::row::parsed;
use super::sql::Conditions;
use super::{Listed, StepRecord, Store, StoreError, Stored, sql, steps};

/// A job with its site's name and its journal.
#[derive(Debug, Clone)]
pub struct JobWithSteps {
    /// The job.
    pub job: JobRecord,
    /// The name of its site.
    pub site: SiteName,
    /// Its journal, as far as it can be read.
    pub steps: Vec<StepRecord>,
}

/// Conditions on jobs to be listed.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those of this operation.
    pub operation: Option<OperationName>,
    /// Only those older than this one.
    pub before: Option<JobId>,
    /// At most this many.
    pub limit: u32,
}

/// The statement for a page, but for its `LIMIT`. Its `FROM` decides which index finds the jobs: of a site those of
/// the site alone, and of jobs that have not ended the few of them, whatever the other conditions are. `SQLite` keeps
/// the order of tables that `CROSS JOIN` joins.
fn page(site: Option<&SiteName>, filter: &JobFilter) -> (String, Conditions) {
    let is_unended = |state| matches!(state, JobState::Pending | JobState::Running | JobState::NeedsOperator);
    let mut conditions = Conditions::default();
    let from = if let Some(name) = site {
        conditions = conditions.and_value("named.name =", name.as_str());
        conditions = conditions.and("own.site_id = named.id").and("jobs.id = own.id");
        "sites AS named CROSS JOIN jobs AS own CROSS JOIN jobs"
    } else if let Some(state) = filter.state.filter(|state| is_unended(*state)) {
        conditions = conditions.and("own.finished_at IS NULL").and_value("own.state =", state.as_str());
        conditions = conditions.and("jobs.id = own.id");
        "jobs AS own CROSS JOIN jobs"
    } else {
        if filter.state.is_some() {
            conditions = conditions.and("jobs.finished_at IS NOT NULL");
        }
        "jobs"
    };
    if let Some(state) = filter.state {
        conditions = conditions.and_value("jobs.state =", state.as_str());
    }
    if let Some(operation) = filter.operation {
        conditions = conditions.and_value("jobs.operation =", operation.as_str());
    }
    if let Some(before) = filter.before {
        conditions = conditions.and_value("jobs.id <", before.to_string());
    }
    let statement = format!(
        "SELECT {COLUMNS}, sites.name AS site_name FROM {from} LEFT JOIN sites ON sites.id = jobs.site_id {} \
         ORDER BY jobs.id DESC LIMIT {}",
        conditions.text(),
        conditions.next_parameter()
    );
    (statement, conditions)
}

fn with_site(row: &Row) -> Stored<(JobRecord, SiteName)> {
    Ok((read(row)?, parsed(row, "jobs.site_name")?))
}

/// Adds the journals, all in one statement.
async fn with_steps(connection: &mut Connection, jobs: Listed<(JobRecord, SiteName)>) -> Stored<Listed<JobWithSteps>> {
    let ids: Vec<JobId> = jobs.rows.iter().map(|(job, _)| job.id).collect();
    let steps = if ids.is_empty() { Listed::default() } else { steps::of_jobs(connection, &ids).await? };
    let mut of: BTreeMap<JobId, Vec<StepRecord>> = BTreeMap::new();
    for (job, step) in steps.rows {
        of.entry(job).or_default().push(step);
    }
    let rows = jobs.rows.into_iter().map(|(job, site)| {
        let steps = of.remove(&job.id).unwrap_or_default();
        JobWithSteps { job, site, steps }
    });
    Ok(Listed { rows: rows.collect(), unreadable: jobs.unreadable.into_iter().chain(steps.unreadable).collect() })
}

impl Store {
    /// One job.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none; [`StoreError::Corrupt`].
    pub async fn job_with_steps(&self, id: JobId) -> Stored<Listed<JobWithSteps>> {
        let mut connection = self.reading().await?;
        let statement = format!(
            "SELECT {COLUMNS}, sites.name AS site_name FROM jobs LEFT JOIN sites ON sites.id = jobs.site_id
             WHERE jobs.id = $1"
        );
        let row = sql::query(statement)
            .bind(id.to_string())
            .fetch_optional(&mut *connection)
            .await?
            .ok_or(StoreError::Missing("job"))?;
        let job = Listed { rows: vec![with_site(&row)?], unreadable: Vec::new() };
        with_steps(&mut connection, job).await
    }

    /// Jobs, the newest first, of the sites that have or had a name, or of all.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there never was the job that the page is to follow.
    pub async fn jobs(&self, site: Option<&SiteName>, filter: &JobFilter) -> Stored<Listed<JobWithSteps>> {
        let mut connection = self.reading().await?;
        if let Some(before) = filter.before {
            let known: Option<i64> =
                sql::scalar("SELECT 1 FROM jobs WHERE id = $1 UNION ALL SELECT 1 FROM pruned_jobs WHERE job_id = $1")
                    .bind(before.to_string())
                    .fetch_optional(&mut *connection)
                    .await?;
            known.ok_or(StoreError::Missing("job"))?;
        }
        let (statement, conditions) = page(site, filter);
        let mut filling = Filling::new(filter.limit);
        let jobs = loop {
            let query = conditions.bind(sql::query(statement.clone())).bind(filling.limit());
            let jobs = Listed::read("jobs", &query.fetch_all(&mut *connection).await?, with_site)?;
            if let Some(jobs) = filling.done(jobs) {
                break jobs;
            }
        };
        with_steps(&mut connection, jobs).await
    }
}
