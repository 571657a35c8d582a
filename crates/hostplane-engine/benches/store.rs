//! Times of the control database's most frequent calls with many sites and a long history.
//!
//! `cargo bench -p hostplane-engine --bench store` prints the median and the longest time of each call.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::{JobState, OperationName};
use hostplane_engine::app::App;
use hostplane_engine::pace::Pace;
use hostplane_engine::store::{JobFilter, SiteFilter, Store};
use hostplane_infra::clock::Timestamp;
use hostplane_testing::fake::ScriptedGate;
use hostplane_testing::harness::{name, secrets};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;
use uuid::Uuid;

const SITES: u32 = 10_000;
/// Ended jobs of each site.
const JOBS: u32 = 10;
/// Jobs that can be claimed while the bench runs.
const PENDING: u32 = 40;
/// Jobs that need an operator.
const STUCK: u32 = 20;
const ROUNDS: usize = 15;
const NOW: Timestamp = Timestamp(1_767_225_600_000_000);
/// Time between two jobs of one site, in microseconds: 17 days, so that about half of the history is old.
const BETWEEN: i64 = 17 * 24 * 3600 * 1_000_000;

const SPEC: &str = r#"{"site":{"id":"018f0000-0000-7000-8000-000000000001","name":"hello"},"subnet":"10.213.0.0/29","url":{"host":"hello.localhost","port":8080},"wordpress":{"title":"Hello","admin_user":"admin","admin_email":"admin@example.com"},"images":{"php":"php:1","nginx":"nginx:1"},"limits":{"php":{"memory_mib":512,"cpu_milli":1000,"pids":64,"log_mib":10},"nginx":{"memory_mib":192,"cpu_milli":500,"pids":16,"log_mib":10},"php_workers":5,"database_connections":20,"upload_mib":64},"shared_network":"hostplane","database_host":"host.docker.internal:3306","secret_version":1}"#;

fn id(nth: u32) -> Uuid {
    Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0000 | u128::from(nth))
}

/// Sites in service, each with its history; the newest job of a few is pending or needs an operator.
async fn fill(file: &Path) {
    let options = SqliteConnectOptions::new().filename(file).foreign_keys(false);
    let database = SqlitePool::connect_with(options).await.unwrap();
    let counted = "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < $1)";
    let id = "'018f0000-0000-7000-8000-' || printf('%012x', ";
    let sites = format!(
        "{counted} INSERT INTO sites (id, name, kind, status, previous_status, details, secret_version, spec, \
         created_at, updated_at)
         SELECT {id}n), 's' || n, 'wordpress', 'ACTIVE', 'PROVISIONING', $2, 1, $3, $4, $4 FROM n"
    );
    let details = r#"{"title":"Hello","admin_user":"admin","admin_email":"admin@example.com"}"#;
    let add = sqlx::query(sqlx::AssertSqlSafe(sites)).bind(SITES).bind(details).bind(SPEC).bind(0);
    add.execute(&database).await.unwrap();
    let jobs = format!(
        "{counted} INSERT INTO jobs (id, site_id, operation, state, direction, run_at, before_spec, after_spec, \
         created_at, started_at, finished_at)
         SELECT {id}n), {id}n % $2), CASE WHEN n < $2 THEN 'provision' WHEN n % 7 = 0 THEN 'update' ELSE 'repair' END,
                CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'completed' END, 'forward', at, $4, $4, at, at, at
         FROM (SELECT n, $3 - ($1 - n) / $2 * $5 + n AS at FROM n)"
    );
    let add =
        sqlx::query(sqlx::AssertSqlSafe(jobs)).bind(SITES * JOBS).bind(SITES).bind(NOW.0).bind(SPEC).bind(BETWEEN);
    add.execute(&database).await.unwrap();
    for (state, from, how_many) in
        [("pending", SITES * JOBS, PENDING), ("needs_operator", SITES * JOBS + PENDING, STUCK)]
    {
        let unended = format!(
            "{counted} INSERT INTO jobs (id, site_id, operation, state, direction, run_at, before_spec, created_at)
             SELECT {id}n + $2), {id}n + $2 - $3), 'repair', '{state}', 'forward', $4, $5, $4 FROM n"
        );
        let add = sqlx::query(sqlx::AssertSqlSafe(unended)).bind(how_many).bind(from).bind(SITES * JOBS);
        add.bind(NOW.0).bind(SPEC).execute(&database).await.unwrap();
    }
    sqlx::query(
        "INSERT INTO steps (job_id, seq, direction, resource, action, state, started_at, finished_at)
         SELECT id, seq, 'forward', resource, 'ensure', 'done', created_at, created_at
         FROM jobs, (SELECT 1 AS seq, 'network' AS resource UNION ALL SELECT 2, 'php_container'
                     UNION ALL SELECT 3, 'nginx_container' UNION ALL SELECT 4, 'route')",
    )
    .execute(&database)
    .await
    .unwrap();
    database.close().await;
}

async fn measure<T>(what: &str, call: impl AsyncFn() -> T) {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        drop(call().await);
        times.push(begun.elapsed());
    }
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("| {what} | {:.2} ms | {:.2} ms |", ms(times[times.len() / 2]), ms(times[times.len() - 1]));
}

#[tokio::main]
async fn main() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("hostplane.db");
    let settle = Duration::from_secs(30);
    Store::open(&file, settle, NOW).await.unwrap().close().await;
    fill(&file).await;
    let store = Store::open(&file, settle, NOW).await.unwrap();
    let world = hostplane_testing::harness::world().await;
    let settings = hostplane_testing::harness::settings(Pace::default());
    let (app, _background) =
        App::new(store.clone(), world.behind(ScriptedGate::new()), secrets([7; 32]), settings).await.unwrap();
    let size = std::fs::metadata(&file).unwrap().len() / (1 << 20);
    println!("{SITES} sites, {} jobs of 4 steps, {size} MiB\n", SITES * JOBS + PENDING + STUCK);
    println!("| call | median | longest |\n|---|---|---|");

    measure("busy sites", async || store.busy_sites().await.unwrap()).await;
    measure("count of jobs", async || store.count_jobs().await.unwrap()).await;
    measure("count of sites", async || store.count_sites().await.unwrap()).await;
    let jobs = JobFilter { limit: 50, ..JobFilter::default() };
    let stuck = JobFilter { state: Some(JobState::NeedsOperator), ..jobs.clone() };
    measure("stuck jobs", async || app.jobs(None, &stuck).await.unwrap().rows).await;
    measure("a page of jobs", async || app.jobs(None, &jobs).await.unwrap().rows).await;
    let deep = JobFilter { before: Some(JobId::new(id(SITES * JOBS / 2))), ..jobs.clone() };
    measure("a page of jobs in the middle", async || app.jobs(None, &deep).await.unwrap().rows).await;
    let rare = JobFilter { operation: Some(OperationName::Rotate), ..jobs.clone() };
    measure("jobs of an operation that never ran", async || app.jobs(None, &rare).await.unwrap().rows).await;
    let failed = JobFilter { state: Some(JobState::Failed), operation: Some(OperationName::Provision), ..jobs.clone() };
    measure("failed provisions", async || app.jobs(None, &failed).await.unwrap().rows).await;
    measure("jobs of a site", async || app.jobs(Some(&name("s4711")), &jobs).await.unwrap().rows).await;
    let sites = SiteFilter { limit: 50, ..SiteFilter::default() };
    measure("a page of sites", async || app.sites(&sites).await.unwrap().rows).await;
    let deep = SiteFilter { after: Some(SiteId::new(id(SITES / 2))), ..sites.clone() };
    measure("a page of sites in the middle", async || app.sites(&deep).await.unwrap().rows).await;
    let prefix = SiteFilter { prefix: Some("s99".parse().unwrap()), ..sites.clone() };
    measure("a page of sites with a prefix", async || app.sites(&prefix).await.unwrap().rows).await;
    let makers: BTreeSet<JobId> = (0..SITES).map(|nth| JobId::new(id(nth))).collect();
    measure("origins of all", async || store.origins(&makers).await.unwrap()).await;
    measure("reconcile targets", async || store.reconcile_targets().await.unwrap()).await;
    measure("sweep for lost jobs", async || store.requeue_lost(&[], NOW, settle).await.unwrap()).await;
    measure("claim", async || {
        let claim = store.claim(NOW, true).await.unwrap().expect("one is pending");
        drop(claim);
    })
    .await;
}
