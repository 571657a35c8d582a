//! The plan of every statement: none but the named few reads a whole table.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::job::StepState;
use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_domain::site_change::SiteChange;
use hostplane_infra::error::Dependency;
use sqlx::Row as _;

use super::recorder::{self, Made};
use super::*;

/// Statements that may read a whole table, by file, a part of their text, and the reason.
const SCANS: &[(&str, &str, &str)] = &[
    ("unreadable.rs", "", "doctor reads every row, on request of an operator"),
    ("generations.rs", "SELECT spec FROM sites", "once at each start"),
    ("subnets.rs", "SELECT subnet FROM subnets", "once per provision: the first free subnet is next to all others"),
    ("job_list.rs", "jobs.site_id  ORDER BY jobs.id DESC LIMIT $1", "in the index's order, and ends with the page"),
    ("site_list.rs", "WHERE sites.status <> 'DESTROYED'\n", "in the index's order, and ends with the page"),
];

/// Partial indexes on jobs that have not ended: as large as what is under way.
const SMALL: &[&str] = &["jobs_unended", "jobs_due", "jobs_one_active_per_site"];

fn spec() -> DesiredSite {
    serde_json::from_str(SPEC).unwrap()
}

/// Provisions the site of a new job, through every outcome that a run can have.
async fn provision(store: &Store, name: &str) -> SiteRecord {
    let (site, job) = store.add_site(&named(name), NOW).await.unwrap();
    let error = JobError { step: None, message: "passing".to_owned() };
    for why in [PutBack::Waits(Dependency::DOCKER), PutBack::Failed(&error)] {
        let claim = store.claim(NOW, true).await.unwrap().unwrap();
        store.put_back(&claim, &why, NOW).await.unwrap();
    }
    let claim = store.claim(NOW, true).await.unwrap().unwrap();
    store.needs_operator(&claim, &error).await.unwrap();
    store.resume(job, NOW).await.unwrap();
    let claim = store.claim(NOW, true).await.unwrap().unwrap();
    store.begin_run(&claim, Some(SiteEvent::ProvisionStarted), NOW).await.unwrap();
    let pool = "10.213.0.0/16".parse().unwrap();
    for _ in 0..2 {
        store.allocate_subnet(&claim, pool, &[], NOW).await.unwrap();
    }
    store.block_subnet(&claim, NOW.plus(SETTLE)).await.unwrap();
    store.allocate_subnet(&claim, pool, &[], NOW).await.unwrap();
    store.set_after(&claim, &spec()).await.unwrap();
    let seq = store.intend(&claim, Direction::Forward, ResourceKind::Network, Verb::Ensure, NOW).await.unwrap();
    let outcome = Outcome { seq, state: StepState::Done, error: None, pivot: true, settles_at: Some(NOW) };
    store.outcome(&claim, &outcome, NOW).await.unwrap();
    let after = Some(spec());
    store.finish(&claim, JobState::Completed, SiteEvent::ProvisionConfirmed, &after, NOW).await.unwrap();
    site
}

/// Calls everything that the store can do.
async fn exercise(home: &TempDir) {
    let store = open(home).await;
    store.ping().await.unwrap();
    store.instance().await.unwrap();
    let id = provision(&store, "hello").await.site.id;
    let repair = operations::of(OperationName::Repair);
    let error = JobError { step: None, message: "stuck".to_owned() };
    let stuck = store.enqueue_for_findings(&[], OrderedBy::ControlPlane, id, repair, NOW).await.unwrap();
    let claim = store.claim(NOW, true).await.unwrap().unwrap();
    store.needs_operator(&claim, &error).await.unwrap();
    let record = store.job(stuck).await.unwrap();
    let other = store.enqueue_instead(&record, None, repair, NOW).await.unwrap();
    store.request_cancel(other, NOW).await.unwrap();
    let claim = store.claim(NOW, true).await.unwrap().unwrap();
    store.roll_back(&claim, &error).await.unwrap();
    store.intend(&claim, Direction::Back, ResourceKind::Network, Verb::Ensure, NOW).await.unwrap();
    store.requeue_lost(&[], NOW, SETTLE).await.unwrap();
    store.next_due(true).await.unwrap();
    let given_up = store.job(other).await.unwrap();
    sqlx::query("UPDATE jobs SET run_at = 0, operation = 'nonsense' WHERE finished_at IS NULL")
        .execute(&store.write)
        .await
        .unwrap();
    assert!(store.claim(NOW, true).await.unwrap().is_none(), "it is set aside");
    store.give_up(&given_up, None, NOW).await.unwrap();
    let found = store.enqueue_for_findings(&[], OrderedBy::ControlPlane, id, repair, NOW).await.unwrap();
    end(&store, found).await;
    let asked = store.enqueue(id, repair, NOW).await.unwrap();
    end(&store, asked).await;
    store.idle_site(id).await.unwrap();
    store.enqueue_change(id, &SiteChange::Secrets { generation: 1 }, OrderedBy::Person, NOW).await.unwrap();
    read(&store, id).await;
    write_tokens(&store).await;

    prune::site_with_old_jobs(&store).await;
    assert!(store.prune_jobs(NOW, NonZeroU32::new(10).unwrap()).await.unwrap() > 0);
    store.unreadable_rows().await.unwrap();
    // One runs when the next process starts.
    assert!(store.claim(NOW, true).await.unwrap().is_some());
    open(home).await;
}

async fn end(store: &Store, job: hostplane_domain::ids::JobId) {
    let end = "UPDATE jobs SET state = 'completed', finished_at = 5 WHERE id = $1";
    sqlx::query(end).bind(job.to_string()).execute(&store.write).await.unwrap();
}

async fn read(store: &Store, id: hostplane_domain::ids::SiteId) {
    let name = named("hello").name;
    store.site(&name).await.unwrap();
    store.knew_site(&name).await.unwrap();
    store.site_by_id(id).await.unwrap();
    store.check_generations(&Keyring::new(MasterSecret::new([1; 32]))).await.unwrap();
    store.reconcile_targets().await.unwrap();
    store.reconcile_target(id).await.unwrap();
    store.busy_sites().await.unwrap();
    store.repairs(id, NOW).await.unwrap();
    store.count_sites().await.unwrap();
    store.count_jobs().await.unwrap();
    store.settles_at(id).await.unwrap();
    let job = store.active_job(id).await.unwrap().unwrap();
    store.job_with_steps(job).await.unwrap();
    store.steps(job).await.unwrap();
    store.origins(&BTreeSet::from([job])).await.unwrap();
    for status in [None, Some(SiteStatus::Active)] {
        for prefix in [None, Some("he".parse().unwrap())] {
            for after in [None, Some(id)] {
                let filter = SiteFilter { status, prefix: prefix.clone(), after, limit: 10 };
                store.sites(&filter).await.unwrap();
            }
        }
    }
    for state in JobState::ALL.iter().copied().map(Some).chain([None]) {
        for operation in [None, Some(OperationName::Repair)] {
            for before in [None, Some(job)] {
                for site in [None, Some(&name)] {
                    store.jobs(site, &JobFilter { state, operation, before, limit: 10 }).await.unwrap();
                }
            }
        }
    }
}

async fn write_tokens(store: &Store) {
    store.set_token("hp_home", NOW).await.unwrap();
    let token = store.add_token("hp_1", &asked_token(None), NOW).await.unwrap();
    store.shown_token("hp_1").await.unwrap();
    store.token(token).await.unwrap();
    store.tokens(&TokenFilter { after: Some(token), limit: 1 }).await.unwrap();
    store.revoke_token(token).await.unwrap();
}

/// A file and a line of it.
type Place = (String, u32);

/// The store's source, by file.
fn source() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

/// Each place in the store's source that makes a statement.
fn places() -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    for (file, text) in &source() {
        for (line, text) in (1..).zip(text.lines()) {
            if ["sql::query", "sql::scalar", "sql::tuple"].iter().any(|call| text.contains(call)) {
                places.insert((file.clone(), line));
            }
        }
    }
    places
}

/// Lines of the statement's plan that read a table from end to end.
async fn scans(store: &Store, made: &Made) -> Vec<String> {
    let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", made.text)));
    let plan = plan.fetch_all(&store.write).await.unwrap();
    let is_small = |line: &str| SMALL.iter().any(|index| line.contains(&format!("INDEX {index}")));
    let is_table = |line: &str| !line.contains("VIRTUAL TABLE") && !line.contains("CONSTANT ROW");
    let is_scan = |line: &String| line.starts_with("SCAN ") && is_table(line) && !is_small(line);
    plan.iter().map(|row| row.get::<String, _>("detail")).filter(is_scan).collect()
}

#[tokio::test]
async fn no_statement_scans_a_table_but_the_named() {
    let home = TempDir::new().unwrap();
    exercise(&home).await;
    let all = recorder::all();
    let run: BTreeSet<Place> = all.iter().map(|made| (made.file.clone(), made.line)).collect();
    assert_eq!(places().difference(&run).collect::<Vec<_>>(), Vec::<&Place>::new(), "statements that never ran");
    let store = open(&home).await;
    let (mut used, mut others) = (BTreeSet::new(), Vec::new());
    for made in &all {
        let scans = scans(&store, made).await;
        let named = SCANS.iter().position(|(file, part, _)| made.file == *file && made.text.contains(part));
        match named {
            Some(named) if !scans.is_empty() => drop(used.insert(named)),
            _ if scans.is_empty() => {}
            _ => others.push((made, scans)),
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(used.len(), SCANS.len(), "each named one scans: {used:?}");
}

#[tokio::test]
async fn only_one_file_names_the_dialect() {
    let files = source();
    let foreign = ["Sqlite", "sqlite::", "json_each", "PRAGMA", "BEGIN IMMEDIATE", "substr(", "INSERT OR", "= '' OR"];
    for (file, text) in files.iter().filter(|(file, _)| file != "dialect.rs") {
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for word in foreign {
            assert!(!code.iter().any(|line| line.contains(word)), "{file} has {word}");
        }
        let makes = code.iter().any(|line| line.contains("sqlx::query"));
        assert!(!makes || file == "sql.rs", "{file} makes statements beside sql.rs");
    }
}
