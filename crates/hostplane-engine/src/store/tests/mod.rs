//! The rules that the store itself keeps.

mod lists;
mod prune;
mod query_plan;
pub(super) mod recorder;
mod unreadable;

use hostplane_domain::details::{AdminEmail, AdminUser, SiteTitle};
use hostplane_domain::job::{Direction, JobState, OperationName};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::plan::Verb;
use hostplane_domain::site_kind::SiteDetails;
use hostplane_domain::status::{SiteEvent, SiteStatus};
use hostplane_domain::token::{TokenName, TokenScope};
use hostplane_domain::wordpress::WordpressDetails;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;

use super::dialect::BUSY_DEADLINE;
use super::*;
use crate::operations;

const NOW: Timestamp = Timestamp(1_000_000);
const SETTLE: Duration = Duration::from_secs(30);

async fn open(home: &TempDir) -> Store {
    Store::open(&home.path().join("test.db"), SETTLE, NOW).await.unwrap()
}

async fn new_store() -> (TempDir, Store) {
    let home = TempDir::new().unwrap();
    let store = open(&home).await;
    (home, store)
}

fn hello() -> NewSite {
    named("hello")
}

fn named(name: &str) -> NewSite {
    NewSite {
        name: SiteName::parse(name).unwrap(),
        details: SiteDetails::Wordpress(WordpressDetails {
            title: SiteTitle::parse("Hello").unwrap(),
            admin_user: AdminUser::parse("admin").unwrap(),
            admin_email: AdminEmail::parse("admin@example.com").unwrap(),
        }),
    }
}

/// Writes a pair of statuses past all code. True when the database took it.
async fn takes(store: &Store, from: SiteStatus, to: SiteStatus) -> bool {
    // ACTIVE needs a spec and most others need none; DESTROYING may have either.
    let spec = (to == SiteStatus::Active).then_some("{}");
    let written = sqlx::query("UPDATE sites SET previous_status = $1, status = $2, spec = $3")
        .bind(from.as_str())
        .bind(to.as_str())
        .bind(spec)
        .execute(&store.write)
        .await;
    written.is_ok()
}

#[tokio::test]
async fn the_schema_takes_exactly_the_code_s_transitions() {
    let (_home, store) = new_store().await;
    store.add_site(&hello(), NOW).await.unwrap();
    for &from in SiteStatus::ALL {
        for &to in SiteStatus::ALL {
            // An unchanged status isn't written.
            let allowed = from != to && SiteEvent::ALL.iter().any(|event| from.on(*event) == Ok(to));
            assert_eq!(takes(&store, from, to).await, allowed, "{from} > {to}");
        }
    }
}

#[tokio::test]
async fn its_files_are_their_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (home, store) = new_store().await;
    store.add_site(&hello(), NOW).await.unwrap();
    for file in std::fs::read_dir(home.path()).unwrap().map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn names_are_unique_and_a_site_has_one_job() {
    let (_home, store) = new_store().await;
    let (site, _) = store.add_site(&hello(), NOW).await.unwrap();
    assert!(matches!(store.add_site(&hello(), NOW).await, Err(StoreError::NameExists)));
    let second = store.enqueue(site.site.id, operations::of(OperationName::Provision), NOW).await;
    assert!(matches!(second, Err(StoreError::JobActive)), "{second:?}");
}

#[tokio::test]
async fn a_due_job_is_claimed_once() {
    let (_home, store) = new_store().await;
    store.add_site(&hello(), NOW.plus(Duration::from_secs(1))).await.unwrap();
    assert!(store.claim(NOW, true).await.unwrap().is_none());
    let due = store.next_due(true).await.unwrap().unwrap();
    assert!(store.claim(due, true).await.unwrap().is_some());
    assert!(store.claim(due, true).await.unwrap().is_none());
}

/// A site in service, and the repair that the control plane has ordered of it.
async fn repair_of(store: &Store, name: &str) -> hostplane_domain::ids::JobId {
    let site = store.add_site(&named(name), NOW).await.unwrap().0.site.id;
    let serves = "UPDATE sites SET status = 'ACTIVE', previous_status = 'PROVISIONING', spec = $2 WHERE id = $1";
    sqlx::query(serves).bind(site.to_string()).bind(SPEC).execute(&store.write).await.unwrap();
    let provisioned = "UPDATE jobs SET state = 'completed', finished_at = 5 WHERE site_id = $1";
    sqlx::query(provisioned).bind(site.to_string()).execute(&store.write).await.unwrap();
    let repair = operations::of(OperationName::Repair);
    store.enqueue_for_findings(&[], OrderedBy::ControlPlane, site, repair, NOW).await.unwrap()
}

#[tokio::test]
async fn a_persons_order_comes_before_older_repairs() {
    let (_home, store) = new_store().await;
    let repairs = [repair_of(&store, "first").await, repair_of(&store, "second").await];
    let later = NOW.plus(Duration::from_secs(1));
    let (_, order) = store.add_site(&hello(), later).await.unwrap();
    let claimed = store.claim(later, true).await.unwrap().unwrap();
    assert_eq!((claimed.job.id, claimed.job.ordered_by), (order, OrderedBy::Person));
    let claimed = store.claim(later, true).await.unwrap().unwrap();
    assert_eq!((claimed.job.id, claimed.job.ordered_by), (repairs[0], OrderedBy::ControlPlane));
}

#[tokio::test]
async fn without_room_for_repairs_only_a_person_has_jobs_due() {
    let (_home, store) = new_store().await;
    repair_of(&store, "first").await;
    assert!(store.claim(NOW, false).await.unwrap().is_none());
    assert_eq!((store.next_due(false).await.unwrap(), store.next_due(true).await.unwrap()), (None, Some(NOW)));
    let later = NOW.plus(Duration::from_secs(1));
    store.add_site(&hello(), later).await.unwrap();
    assert_eq!((store.next_due(false).await.unwrap(), store.next_due(true).await.unwrap()), (Some(later), Some(NOW)));
}

#[tokio::test]
async fn a_repair_that_a_person_retries_is_a_persons() {
    let (_home, store) = new_store().await;
    let job = repair_of(&store, "first").await;
    let claim = store.claim(NOW, true).await.unwrap().unwrap();
    store.needs_operator(&claim, &JobError { step: None, message: "stuck".to_owned() }).await.unwrap();
    store.resume(job, NOW).await.unwrap();
    assert_eq!(store.claim(NOW, false).await.unwrap().unwrap().job.id, job);
}

#[tokio::test]
async fn a_later_start_fences_earlier_claims() {
    let (home, store) = new_store().await;
    let (_, job) = store.add_site(&hello(), NOW).await.unwrap();
    let claim = store.claim(NOW, true).await.unwrap().unwrap();
    store.begin_run(&claim, Some(SiteEvent::ProvisionStarted), NOW).await.unwrap();
    let kind = ResourceKind::Network;
    let direction = Direction::Forward;
    let verb = Verb::Ensure;
    store.intend(&claim, direction, kind, verb, NOW).await.unwrap();

    let later = open(&home).await;
    let record = later.job(job).await.unwrap();
    assert_eq!(record.state, JobState::Pending);
    assert_eq!(record.settles_at, Some(NOW.plus(SETTLE)), "the step may still have its effect");
    assert_eq!(later.steps(job).await.unwrap().rows[0].state.as_str(), "unknown");
    let again = later.claim(NOW, true).await.unwrap().unwrap();
    assert!(matches!(store.intend(&claim, direction, kind, verb, NOW).await, Err(StoreError::Superseded)));
    assert!(matches!(store.claim(NOW, true).await, Err(StoreError::Superseded)));
    assert!(matches!(store.add_site(&named("other"), NOW).await, Err(StoreError::Superseded)));
    later.intend(&again, direction, kind, verb, NOW).await.unwrap();
}

#[tokio::test]
async fn a_second_claim_fences_the_first() {
    let (_home, store) = new_store().await;
    store.add_site(&hello(), NOW).await.unwrap();
    let first = store.claim(NOW, true).await.unwrap().unwrap();
    let (kind, verb) = (ResourceKind::Network, Verb::Ensure);
    store.intend(&first, Direction::Forward, kind, verb, NOW).await.unwrap();
    let again = "UPDATE jobs SET state = 'pending', epoch = NULL";
    sqlx::query(again).execute(&store.write).await.unwrap();
    let second = store.claim(NOW, true).await.unwrap().unwrap();
    assert_eq!(store.steps(second.job.id).await.unwrap().rows[0].state.as_str(), "unknown");
    assert_eq!(second.job.settles_at, Some(NOW.plus(SETTLE)), "the step may still have its effect");
    let error = JobError { step: None, message: "late".to_owned() };
    assert!(matches!(store.roll_back(&first, &error).await, Err(StoreError::Fenced)));
    store.roll_back(&second, &error).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_job_only_rolls_back() {
    let (_home, store) = new_store().await;
    let (_, job) = store.add_site(&hello(), NOW).await.unwrap();
    let claim = store.claim(NOW, true).await.unwrap().unwrap();
    store.begin_run(&claim, Some(SiteEvent::ProvisionStarted), NOW).await.unwrap();
    assert!(store.request_cancel(job, NOW).await.unwrap());
    let (kind, verb) = (ResourceKind::Network, Verb::Ensure);
    let forward = store.intend(&claim, Direction::Forward, kind, verb, NOW).await;
    assert!(matches!(forward, Err(StoreError::Cancelled)), "{forward:?}");
    let finished = store.finish(&claim, JobState::Completed, SiteEvent::ProvisionConfirmed, &None, NOW).await;
    assert!(matches!(finished, Err(StoreError::Cancelled)), "{finished:?}");
    store.roll_back(&claim, &JobError { step: None, message: "cancelled".to_owned() }).await.unwrap();
    store.intend(&claim, Direction::Back, kind, Verb::Remove, NOW).await.unwrap();
    store.finish(&claim, JobState::Cancelled, SiteEvent::ProvisionRolledBack, &None, NOW).await.unwrap();
    assert!(!store.request_cancel(job, NOW).await.unwrap(), "it has ended");
}

#[tokio::test]
async fn a_full_disk_refuses_a_whole_change() {
    let (_home, store) = new_store().await;
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&store.write).await.unwrap();
    let full = format!("PRAGMA max_page_count = {pages}");
    sqlx::query(sqlx::AssertSqlSafe(full)).execute(&store.write).await.unwrap();
    let mut refused = None;
    for number in 0..200 {
        if let Err(error) = store.add_site(&named(&format!("site-{number}")), NOW).await {
            refused = Some((number, hostplane_infra::error::chain(&error)));
            break;
        }
    }
    let (number, error) = refused.expect("it gets full");
    assert!(error.contains("full"), "{error}");
    let all = store.sites(&SiteFilter { limit: 500, ..SiteFilter::default() }).await.unwrap();
    assert_eq!(all.rows.len(), number, "what was taken before is there, and no half of the other");
    sqlx::query("PRAGMA max_page_count = 1000000").execute(&store.write).await.unwrap();
    store.add_site(&named("after-all"), NOW).await.unwrap();
}

#[tokio::test]
async fn a_locked_database_fails_within_the_deadline() {
    use sqlx::Connection;
    let (home, store) = new_store().await;
    let url = format!("sqlite://{}", home.path().join("test.db").display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let begun = std::time::Instant::now();
    let refused = store.add_site(&hello(), NOW).await.unwrap_err();
    assert!(hostplane_infra::error::chain(&refused).contains("locked"), "{refused:?}");
    assert!(begun.elapsed() < BUSY_DEADLINE * 2, "{:?}", begun.elapsed());
    store.sites(&SiteFilter { limit: 1, ..SiteFilter::default() }).await.expect("readers don't wait");
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    store.add_site(&hello(), NOW).await.unwrap();
}

#[tokio::test]
async fn an_unreadable_job_holds_up_no_other() {
    for spoil in ["UPDATE jobs SET operation = 'nonsense'", "UPDATE sites SET details = '{'"] {
        let (_home, store) = new_store().await;
        let (_, spoilt) = store.add_site(&hello(), NOW).await.unwrap();
        let before: String = sqlx::query_scalar("SELECT operation FROM jobs").fetch_one(&store.write).await.unwrap();
        sqlx::query(spoil).execute(&store.write).await.unwrap();
        let (_, other) = store.add_site(&named("other"), NOW).await.unwrap();
        let claim = store.claim(NOW, true).await.unwrap().expect("the other one");
        assert_eq!(claim.job.id, other);
        assert!(store.claim(NOW, true).await.unwrap().is_none());
        sqlx::query("UPDATE jobs SET operation = $1").bind(before).execute(&store.write).await.unwrap();
        let job = store.job(spoilt).await.unwrap();
        assert_eq!(job.state, JobState::NeedsOperator);
        assert!(job.error.unwrap().message.contains("unreadable"));
    }
}

#[tokio::test]
async fn broken_off_runs_back_off_until_operator_required() {
    let (_home, store) = new_store().await;
    let (_, job) = store.add_site(&hello(), NOW).await.unwrap();
    let pause = Duration::from_secs(5);
    let mut now = NOW;
    for pause in [5, 10, 20, 40, 80, 160, 300, 300, 300].map(Duration::from_secs) {
        store.claim(now, true).await.unwrap().expect("it is due");
        assert_eq!(store.requeue_lost(&[job], now, pause).await.unwrap(), 0, "it runs");
        assert_eq!(store.requeue_lost(&[], now, Duration::from_secs(5)).await.unwrap(), 1);
        let due = store.next_due(true).await.unwrap().unwrap();
        assert_eq!(due.since(now), pause);
        now = due;
    }
    store.claim(now, true).await.unwrap().expect("it is due");
    store.requeue_lost(&[], now, pause).await.unwrap();
    let stuck = store.job(job).await.unwrap();
    assert_eq!((stuck.state, stuck.attempt), (JobState::NeedsOperator, 1));
    assert!(stuck.error.unwrap().message.contains("10 times"));

    store.resume(job, now).await.unwrap();
    let claim = store.claim(now, true).await.unwrap().unwrap();
    store.requeue_lost(&[], now, pause).await.unwrap();
    assert_eq!(store.next_due(true).await.unwrap(), Some(now.plus(pause)), "it begins to count anew");
    assert!(matches!(store.begin_run(&claim, None, now).await, Err(StoreError::Fenced)));
}

#[tokio::test]
async fn an_orderly_end_resets_the_broken_off_count() {
    let (_home, store) = new_store().await;
    store.add_site(&hello(), NOW).await.unwrap();
    let pause = Duration::from_secs(5);
    let error = JobError { step: None, message: "passing".to_owned() };
    for why in [PutBack::Waits(hostplane_infra::error::Dependency::DOCKER), PutBack::Failed(&error)] {
        let now = store.next_due(true).await.unwrap().unwrap();
        store.claim(now, true).await.unwrap().unwrap();
        store.requeue_lost(&[], now, pause).await.unwrap();
        let claim = store.claim(now.plus(pause), true).await.unwrap().unwrap();
        store.put_back(&claim, &why, now).await.unwrap();
        store.claim(now, true).await.unwrap().unwrap();
        store.requeue_lost(&[], now, pause).await.unwrap();
        assert_eq!(store.next_due(true).await.unwrap(), Some(now.plus(pause)));
        let claim = store.claim(now.plus(pause), true).await.unwrap().unwrap();
        store.put_back(&claim, &why, now).await.unwrap();
    }
}

#[tokio::test]
async fn pages_follow_each_other_among_equal_names() {
    let (_home, store) = new_store().await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let (site, _) = store.add_site(&hello(), NOW).await.unwrap();
        all.push(site.site.id);
        for status in ["PROVISIONING", "FAILED", "DESTROYING", "DESTROYED"] {
            let step = "UPDATE sites SET previous_status = status, status = $1 WHERE id = $2";
            let id = site.site.id.to_string();
            sqlx::query(step).bind(status).bind(id).execute(&store.write).await.unwrap();
        }
    }
    let mut filter = SiteFilter { status: Some(SiteStatus::Destroyed), limit: 1, ..SiteFilter::default() };
    let mut seen = Vec::new();
    while let Some(entry) = store.sites(&filter).await.unwrap().rows.pop() {
        filter.after = Some(entry.site.site.id);
        seen.push(entry.site.site.id);
    }
    assert_eq!(seen, all);
}

fn asked_token(expires_at: Option<Timestamp>) -> NewToken {
    NewToken { name: TokenName::parse("ci").unwrap(), scope: TokenScope::Read, expires_at }
}

#[tokio::test]
async fn a_token_is_valid_until_the_moment_it_expires() {
    let (_home, store) = new_store().await;
    let end = NOW.plus(Duration::from_mins(1));
    store.add_token("hp_1", &asked_token(Some(end)), NOW).await.unwrap();
    store.add_token("hp_2", &asked_token(None), NOW).await.unwrap();
    let expiring = store.shown_token("hp_1").await.unwrap().unwrap();
    assert!(expiring.is_valid(Timestamp(end.0 - 1)) && !expiring.is_valid(end));
    let lasting = store.shown_token("hp_2").await.unwrap().unwrap();
    assert!(lasting.is_valid(Timestamp(i64::MAX)));
    assert!(store.shown_token("hp_3").await.unwrap().is_none());
}

#[tokio::test]
async fn a_new_home_token_revokes_only_its_predecessor() {
    let (_home, store) = new_store().await;
    store.set_token("hp_first", NOW).await.unwrap();
    store.add_token("hp_other", &asked_token(Some(NOW)), NOW).await.unwrap();
    store.set_token("hp_first", NOW).await.unwrap();
    let first = store.shown_token("hp_first").await.unwrap().unwrap();
    assert!(first.of_home && first.scope == TokenScope::Admin);
    assert!(!store.revoke_token(first.id).await.unwrap(), "it is never revoked");
    store.set_token("hp_second", NOW).await.unwrap();
    assert!(store.shown_token("hp_first").await.unwrap().is_none());
    assert_eq!(store.shown_token("hp_other").await.unwrap().unwrap().scope, TokenScope::Read);
    // Another token of ours in the home becomes the home's.
    store.set_token("hp_other", NOW).await.unwrap();
    let other = store.shown_token("hp_other").await.unwrap().unwrap();
    assert!(other.of_home && other.scope == TokenScope::Admin && other.expires_at.is_none());
    assert_eq!(store.tokens(&TokenFilter { after: None, limit: 10 }).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn an_older_database_s_token_is_the_home_s() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("test.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let older = SqlitePool::connect_with(options).await.unwrap();
    let mut migrations = migrations::migrator();
    migrations.migrations = migrations.migrations.iter().filter(|one| one.version < 4).cloned().collect();
    migrations.run(&older).await.unwrap();
    let add = "INSERT INTO tokens (id, hash, created_at) VALUES ('018f0000-0000-7000-8000-000000000000', $1, 1)";
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    sqlx::query(add).bind(hash).execute(&older).await.unwrap();
    older.close().await;
    let store = open(&home).await;
    let token = store.shown_token("test").await.unwrap().unwrap();
    assert!(token.of_home && token.scope == TokenScope::Admin && token.expires_at.is_none());
}

/// As the first version stored it.
const SPEC: &str = r#"{"site":{"id":"00000000-0000-0000-0000-000000000001","name":"hello"},"subnet":"10.213.0.0/29",
    "url":{"host":"hello.localhost","port":8080},
    "wordpress":{"title":"Hello","admin_user":"admin","admin_email":"admin@example.com"},
    "images":{"php":"php:1","nginx":"nginx:1"},
    "limits":{"php":{"memory_mib":512,"cpu_milli":1000,"pids":64,"log_mib":10},
        "nginx":{"memory_mib":192,"cpu_milli":500,"pids":16,"log_mib":10},
        "php_workers":5,"database_connections":20,"upload_mib":64},
    "shared_network":"hostplane","database_host":"host.docker.internal:3306","secret_version":1}"#;

#[tokio::test]
async fn only_an_active_site_without_job_is_idle() {
    let (_home, store) = new_store().await;
    let (site, provision) = store.add_site(&hello(), NOW).await.unwrap();
    let id = site.site.id;
    assert_eq!(store.idle_site(id).await.unwrap(), None, "it isn't there yet");
    for status in ["'PROVISIONING', spec = NULL", "'ACTIVE', spec = $1"] {
        let statement = format!("UPDATE sites SET previous_status = status, status = {status}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).bind(SPEC).execute(&store.write).await.unwrap();
    }
    assert_eq!(store.idle_site(id).await.unwrap(), None, "its first job has not ended");
    let end = "UPDATE jobs SET state = 'completed', epoch = NULL, finished_at = 1 WHERE id = $1";
    sqlx::query(end).bind(provision.to_string()).execute(&store.write).await.unwrap();
    let idle = store.idle_site(id).await.unwrap().expect("it is idle");
    assert_eq!(
        (idle.site.name.as_str(), idle.wordpress().php),
        ("hello", hostplane_domain::wordpress::PhpSettings::default())
    );
    for state in ["pending", "running", "needs_operator"] {
        let repair = operations::of(OperationName::Repair);
        let job = store.enqueue(id, repair, NOW).await.unwrap();
        let statement = "UPDATE jobs SET state = $2, epoch = CASE WHEN $2 = 'running' THEN 1 END WHERE id = $1";
        sqlx::query(statement).bind(job.to_string()).bind(state).execute(&store.write).await.unwrap();
        assert_eq!(store.idle_site(id).await.unwrap(), None, "{state}");
        sqlx::query(end).bind(job.to_string()).execute(&store.write).await.unwrap();
    }
}
