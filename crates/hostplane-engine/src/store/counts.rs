//! How many there are.

use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::status::SiteStatus;

use super::{Store, Stored, parse};

impl Store {
    /// Sites by status, without those that are DESTROYED.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_sites(&self) -> Stored<Vec<(SiteStatus, u64)>> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT status, COUNT(*) FROM sites WHERE status <> 'DESTROYED' GROUP BY status")
                .fetch_all(&mut *self.reading().await?)
                .await?;
        rows.iter().map(|(status, count)| Ok((parse(status, "sites.status")?, count.unsigned_abs()))).collect()
    }

    /// Jobs that have not ended, by operation and state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_jobs(&self) -> Stored<Vec<(OperationName, JobState, u64)>> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT operation, state, COUNT(*) FROM jobs WHERE state IN ('pending', 'running', 'needs_operator')
             GROUP BY operation, state",
        )
        .fetch_all(&mut *self.reading().await?)
        .await?;
        let count = |(operation, state, count): &(String, String, i64)| {
            Ok((parse(operation, "jobs.operation")?, parse(state, "jobs.state")?, count.unsigned_abs()))
        };
        rows.iter().map(count).collect()
    }
}
