//! Numbers of sites and jobs. A job whose operation can't be read counts too: it holds its site.

use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::status::SiteStatus;

use super::{Store, Stored, sql};

impl Store {
    /// Sites by status, without those that are DESTROYED.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_sites(&self) -> Stored<Vec<(SiteStatus, u64)>> {
        let there = SiteStatus::ALL.iter().filter(|status| **status != SiteStatus::Destroyed);
        let there: Vec<String> = there.map(|status| format!("'{status}'")).collect();
        let statement =
            format!("SELECT status, COUNT(*) FROM sites WHERE status IN ({}) GROUP BY status", there.join(", "));
        let rows: Vec<(String, i64)> = sql::tuple(statement).fetch_all(&mut *self.reading().await?).await?;
        let count = |(status, count): &(String, i64)| Some((status.parse().ok()?, count.unsigned_abs()));
        Ok(rows.iter().filter_map(count).collect())
    }

    /// Jobs that have not ended, by operation and state. Without an operation: those whose operation can't be read;
    /// `doctor` names their rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_jobs(&self) -> Stored<Vec<(Option<OperationName>, JobState, u64)>> {
        let rows: Vec<(String, String, i64)> = sql::tuple(
            "SELECT operation, state, COUNT(*) FROM jobs WHERE finished_at IS NULL GROUP BY operation, state",
        )
        .fetch_all(&mut *self.reading().await?)
        .await?;
        let count = |(operation, state, count): &(String, String, i64)| {
            Some((operation.parse().ok(), state.parse().ok()?, count.unsigned_abs()))
        };
        Ok(rows.iter().filter_map(count).collect())
    }
}
