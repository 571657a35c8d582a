//! Retention of ended jobs: the old ones are pruned, an hour apart.

use std::num::NonZeroU32;
use std::time::Duration;

use hostplane_infra::clock::Timestamp;
use hostplane_infra::error::chain;
use hostplane_infra::world::World;
use tokio::time::sleep;
use tracing::{error, info};

use crate::store::Store;

/// Time that a job is kept after its end.
const KEEP: Duration = Duration::from_hours(90 * 24);
/// Newest jobs of each site that are kept, however old they are.
const KEPT: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Time until the first pass: a start has better things to do.
const FIRST_PAUSE: Duration = Duration::from_mins(10);
/// Time between two passes.
const PAUSE: Duration = Duration::from_hours(1);

/// The loop that prunes.
pub(crate) struct Retention {
    pub store: Store,
    pub world: World,
}

impl Retention {
    /// Prunes again and again.
    pub async fn run(&self) {
        sleep(FIRST_PAUSE).await;
        loop {
            let now = self.world.clock.now();
            let keep = i64::try_from(KEEP.as_micros()).unwrap_or(i64::MAX);
            match self.store.prune_jobs(Timestamp(now.0.saturating_sub(keep)), KEPT).await {
                Ok(0) => {}
                Ok(jobs) => info!(jobs, "pruned old jobs"),
                Err(error) => error!(error = chain(&error), "old jobs were not all pruned; trying again in an hour"),
            }
            sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;

    use hostplane_infra::clock::Clock;
    use hostplane_testing::fake::{FakeWorld, ScriptedGate};
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
    use tempfile::TempDir;
    use tokio::time::Instant;

    use super::*;
    use crate::store::{Commit, Permit, StoreGate};

    /// Holds the paused clock still while `SQLite` works on its own thread.
    struct Still;

    impl StoreGate for Still {
        fn enter(&self) -> Pin<Box<dyn Future<Output = Permit> + Send>> {
            let (ended, wait) = std::sync::mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || wait.recv());
            Box::pin(std::future::ready(Box::new(ended) as Permit))
        }

        fn commit(&self, _: &'static str) -> Commit {
            Commit::Run
        }
    }

    async fn add_jobs(database: &SqlitePool, jobs: std::ops::Range<u32>, ended: Timestamp) {
        for nth in jobs {
            let id = uuid::Uuid::from_u128(nth.into()).to_string();
            sqlx::query(
                "INSERT INTO jobs (id, site_id, operation, state, direction, run_at, created_at, finished_at)
                 SELECT $1, id, 'repair', 'completed', 'forward', 1, 1, $2 FROM sites",
            )
            .bind(id)
            .bind(ended.0)
            .execute(database)
            .await
            .unwrap();
        }
    }

    #[tokio::test]
    async fn old_jobs_are_pruned_once_an_hour() {
        let home = TempDir::new().unwrap();
        let file = home.path().join("test.db");
        let world = FakeWorld::default();
        let now = world.clock().now();
        let store = Store::open_behind(Arc::new(Still), &file, Duration::ZERO, now).await.unwrap();
        let database = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&file)).await.unwrap();
        sqlx::query(
            "INSERT INTO sites (id, name, kind, status, details, secret_version, created_at, updated_at)
             VALUES ('018f0000-0000-7000-8000-000000000000', 'hello', 'wordpress', 'CREATED', '{}', 1, 1, 1)",
        )
        .execute(&database)
        .await
        .unwrap();
        let old = Timestamp(now.0 - i64::try_from(KEEP.as_micros()).unwrap() - 1);
        add_jobs(&database, 0..15, old).await;
        let left =
            async || sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM jobs").fetch_one(&database).await.unwrap();

        tokio::time::pause();
        let begun = Instant::now();
        let mut changes = store.changes();
        let retention = Retention { store: store.clone(), world: world.behind(ScriptedGate::new()) };
        let task = tokio::spawn(async move { retention.run().await });
        for (jobs, minutes) in [(15..18, 10), (18..20, 70)] {
            changes.changed().await.unwrap();
            let elapsed = begun.elapsed().as_secs() / 60;
            // The test's own connections have no gate.
            tokio::time::resume();
            assert_eq!((elapsed, left().await), (minutes, 10));
            add_jobs(&database, jobs, old).await;
            tokio::time::pause();
        }
        task.abort();
    }
}
