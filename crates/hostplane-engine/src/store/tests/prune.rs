//! Old jobs go, and nothing that is still needed.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use hostplane_domain::ids::{JobId, SiteId};
use uuid::Uuid;

use super::*;

const OLD: i64 = 1_000;
const RECENT: i64 = 2_000;
const CUTOFF: Timestamp = Timestamp(1_500);
const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();

fn job(nth: u128) -> JobId {
    JobId::new(Uuid::from_u128(nth))
}

/// A site without jobs.
async fn site(store: &Store, name: &str) -> SiteId {
    let (site, _) = store.add_site(&named(name), NOW).await.unwrap();
    sqlx::query("DELETE FROM jobs WHERE site_id = $1")
        .bind(site.site.id.to_string())
        .execute(&store.write)
        .await
        .unwrap();
    site.site.id
}

/// Adds jobs with one step each.
async fn add(store: &Store, site: SiteId, jobs: std::ops::Range<u128>, state: &str, ended: Option<i64>) {
    for nth in jobs {
        let id = job(nth).to_string();
        sqlx::query(
            "INSERT INTO jobs (id, site_id, operation, state, direction, run_at, created_at, finished_at)
             VALUES ($1, $2, 'collect', $3, 'forward', 1, 1, $4)",
        )
        .bind(&id)
        .bind(site.to_string())
        .bind(state)
        .bind(ended)
        .execute(&store.write)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO steps (job_id, seq, direction, resource, action, state, started_at)
             VALUES ($1, 1, 'forward', 'network', 'ensure', 'done', 1)",
        )
        .bind(&id)
        .execute(&store.write)
        .await
        .unwrap();
    }
}

/// A site of which the oldest jobs can be pruned.
pub(super) async fn site_with_old_jobs(store: &Store) {
    let site = site(store, "old").await;
    add(store, site, 0..12, "completed", Some(OLD)).await;
}

/// Takes all sites to where a provision that failed leaves them.
async fn fail_sites(store: &Store) {
    for status in ["PROVISIONING", "FAILED"] {
        let change = "UPDATE sites SET previous_status = status, status = $1";
        sqlx::query(change).bind(status).execute(&store.write).await.unwrap();
    }
}

async fn left(store: &Store) -> Vec<JobId> {
    let filter = JobFilter { limit: 10_000, ..JobFilter::default() };
    let mut jobs: Vec<JobId> = store.jobs(None, &filter).await.unwrap().rows.iter().map(|entry| entry.job.id).collect();
    jobs.reverse();
    jobs
}

#[tokio::test]
async fn old_jobs_go_except_the_last_ten_of_each_site() {
    let (_home, store) = new_store().await;
    let (many, few) = (site(&store, "many").await, site(&store, "few").await);
    add(&store, many, 0..250, "completed", Some(OLD)).await;
    add(&store, few, 1_000..1_010, "failed", Some(OLD)).await;
    assert_eq!(store.prune_jobs(CUTOFF, TEN).await.unwrap(), 240);
    assert_eq!(left(&store).await, (240..250).chain(1_000..1_010).map(job).collect::<Vec<_>>());
    let steps: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM steps").fetch_one(&store.write).await.unwrap();
    assert_eq!(steps, 20, "steps go with their job");
    assert!(matches!(store.job_with_steps(job(0)).await, Err(StoreError::Missing("job"))));
    assert_eq!(store.prune_jobs(CUTOFF, TEN).await.unwrap(), 0);
}

#[tokio::test]
async fn recent_and_unended_jobs_stay() {
    let (_home, store) = new_store().await;
    let (recent, stuck, pending) = (site(&store, "a").await, site(&store, "b").await, site(&store, "c").await);
    add(&store, recent, 0..30, "completed", Some(RECENT)).await;
    add(&store, stuck, 100..120, "completed", Some(OLD)).await;
    // Made before the clock was set back: by its id it is the oldest.
    add(&store, stuck, 99..100, "needs_operator", None).await;
    add(&store, pending, 200..220, "cancelled", Some(OLD)).await;
    add(&store, pending, 199..200, "pending", None).await;
    assert_eq!(store.prune_jobs(CUTOFF, TEN).await.unwrap(), 20);
    let kept = (0..30).chain([99]).chain(110..120).chain([199]).chain(210..220);
    assert_eq!(left(&store).await, kept.map(job).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failed_site_keeps_its_provision() {
    let (_home, store) = new_store().await;
    let failed = site(&store, "failed").await;
    add(&store, failed, 0..20, "completed", Some(OLD)).await;
    sqlx::query("UPDATE jobs SET operation = 'provision', state = 'failed' WHERE id = $1")
        .bind(job(0).to_string())
        .execute(&store.write)
        .await
        .unwrap();
    fail_sites(&store).await;
    assert_eq!(store.prune_jobs(CUTOFF, TEN).await.unwrap(), 9);
    assert_eq!(left(&store).await, [0].into_iter().chain(10..20).map(job).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_object_of_a_pruned_job_keeps_its_origin() {
    let (_home, store) = new_store().await;
    let site = site(&store, "gone").await;
    add(&store, site, 0..20, "completed", Some(OLD)).await;
    fail_sites(&store).await;
    let asked = BTreeSet::from([job(0), job(15), job(99)]);
    let before = store.origins(&asked).await.unwrap();
    assert_eq!(store.prune_jobs(CUTOFF, TEN).await.unwrap(), 10);
    let after = store.origins(&asked).await.unwrap();
    assert_eq!(after.of, before.of);
    assert!(after.know(job(0)) && after.know(job(15)) && !after.know(job(99)));
    assert_eq!(after.of[&job(0)].at_rest_since, Some(Timestamp(OLD)));
}

#[tokio::test]
async fn a_page_may_follow_a_pruned_job() {
    let (_home, store) = new_store().await;
    let site = site(&store, "many").await;
    add(&store, site, 0..20, "completed", Some(OLD)).await;
    store.prune_jobs(CUTOFF, TEN).await.unwrap();
    let filter = JobFilter { before: Some(job(5)), limit: 10, ..JobFilter::default() };
    assert!(store.jobs(None, &filter).await.unwrap().rows.is_empty());
}
