//! Pruning of old jobs.
//!
//! A job goes when it ended before a moment and its site has enough newer ones. So an unended job never goes: it is the
//! newest of its site. The provision of a FAILED site stays for `job retry`. A pruned job's id stays with its site, as
//! objects in the world may still name it: without it, a database would seem stale.

use std::num::NonZeroU32;

use hostplane_infra::clock::Timestamp;

use super::dialect::{id_rows, ids};
use super::{Store, Stored, sql};

/// Jobs of one transaction: no other writer waits long for it.
const BATCH: u32 = 100;

impl Store {
    /// Removes old jobs with their steps, in batches between which others may write; the newest `kept` of each site
    /// stay. Answers the number of jobs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_jobs(&self, ended_before: Timestamp, kept: NonZeroU32) -> Stored<u64> {
        let (mut site, mut pruned) = (String::new(), 0);
        loop {
            let old = self.old_jobs(&site, ended_before, kept).await?;
            let Some((_, last)) = old.last() else { return Ok(pruned) };
            site.clone_from(last);
            pruned += self.remove_jobs(&old, ended_before).await?;
            if old.len() < BATCH as usize {
                return Ok(pruned);
            }
        }
    }

    /// A batch of jobs that may go, each with its site, from a site on.
    async fn old_jobs(&self, site: &str, ended_before: Timestamp, kept: NonZeroU32) -> Stored<Vec<(String, String)>> {
        // Site by site, so that a site without old jobs costs one question to an index; the COALESCE keeps the index
        // on (site_id, finished_at) out, which would find the kept jobs each time.
        let old = sql::tuple(
            "SELECT jobs.id, jobs.site_id FROM sites CROSS JOIN jobs
             WHERE sites.id >= $1 AND jobs.site_id = sites.id
                 AND jobs.id < (SELECT id FROM jobs AS newer WHERE newer.site_id = sites.id
                                ORDER BY id DESC LIMIT 1 OFFSET $3)
                 AND COALESCE(jobs.finished_at, $2) < $2
                 AND NOT (sites.status = 'FAILED' AND jobs.operation = 'provision')
             ORDER BY sites.id, jobs.id LIMIT $4",
        );
        let old = old.bind(site).bind(ended_before.0).bind(i64::from(kept.get()) - 1).bind(i64::from(BATCH));
        Ok(old.fetch_all(&mut *self.reading().await?).await?)
    }

    async fn remove_jobs(&self, old: &[(String, String)], ended_before: Timestamp) -> Stored<u64> {
        let (jobs, batch) = (ids(old.iter().map(|(job, _)| job))?, id_rows("$1"));
        let mut tx = self.writing("prune_jobs").await?;
        let keep = format!(
            "INSERT INTO pruned_jobs (job_id, site_id, finished_at)
             SELECT id, site_id, finished_at FROM jobs
             WHERE id IN (SELECT id FROM {batch} AS batch) AND finished_at < $2"
        );
        sql::query(keep).bind(jobs.as_str()).bind(ended_before.0).execute(&mut *tx).await?;
        let steps = format!("DELETE FROM steps WHERE job_id IN (SELECT id FROM {batch} AS batch)");
        sql::query(steps).bind(jobs.as_str()).execute(&mut *tx).await?;
        let gone = format!("DELETE FROM jobs WHERE id IN (SELECT id FROM {batch} AS batch)");
        let gone = sql::query(gone).bind(jobs.as_str()).execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(gone)
    }
}
