//! A row that can't be read hides no other.

use std::collections::BTreeSet;

use hostplane_domain::ids::JobId;

use super::*;

async fn spoil(store: &Store, statement: &'static str) {
    sqlx::query(statement).execute(&store.write).await.unwrap();
}

/// Three sites, of which the second is spoilt.
async fn three() -> (TempDir, Store, Vec<JobId>) {
    let (home, store) = new_store().await;
    let mut jobs = Vec::new();
    for name in ["first", "second", "third"] {
        jobs.push(store.add_site(&named(name), NOW).await.unwrap().1);
    }
    (home, store, jobs)
}

#[tokio::test]
async fn a_page_of_sites_is_filled_past_it() {
    for spoilt in [
        "UPDATE sites SET details = '{' WHERE name = 'second'",
        "UPDATE sites SET name = '../etc' WHERE name = 'first'",
        "UPDATE sites SET details = X'00' WHERE name = 'second'",
    ] {
        let (_home, store, _) = three().await;
        spoil(&store, spoilt).await;
        let sites = store.sites(&SiteFilter { limit: 2, ..SiteFilter::default() }).await.unwrap();
        assert_eq!((sites.rows.len(), sites.unreadable.len()), (2, 1), "{spoilt}");
        let row = &sites.unreadable[0];
        assert_eq!((row.table, row.id.len()), ("sites", 36));
        assert!(row.hint().contains(&row.id));
    }
}

#[tokio::test]
async fn a_page_of_jobs_is_filled_past_it() {
    for (spoilt, field) in [
        ("UPDATE jobs SET operation = 'nonsense' WHERE id = $1", "jobs.operation"),
        ("UPDATE jobs SET before_spec = '{' WHERE id = $1", "jobs.before_spec"),
        ("UPDATE jobs SET params = '{\"operation\":\"later\"}' WHERE id = $1", "jobs.params"),
    ] {
        let (_home, store, jobs) = three().await;
        sqlx::query(spoilt).bind(jobs[1].to_string()).execute(&store.write).await.unwrap();
        let found = store.jobs(None, &JobFilter { limit: 2, ..JobFilter::default() }).await.unwrap();
        assert_eq!(found.rows.iter().map(|entry| entry.job.id).collect::<Vec<_>>(), [jobs[2], jobs[0]]);
        let expected =
            UnreadableRow { table: "jobs", id: jobs[1].to_string(), site: Some(named("second").name), field };
        let expected = [expected];
        assert_eq!(found.unreadable, expected);
        assert_eq!(store.unreadable_rows().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_job_is_shown_without_it() {
    let (_home, store, _) = three().await;
    let claim = store.claim(NOW, true).await.unwrap().unwrap();
    for kind in [ResourceKind::Network, ResourceKind::Database] {
        store.intend(&claim, Direction::Forward, kind, Verb::Ensure, NOW).await.unwrap();
    }
    spoil(&store, "UPDATE steps SET resource = 'nonsense' WHERE seq = 1").await;
    let shown = store.job_with_steps(claim.job.id).await.unwrap();
    assert_eq!(shown.rows[0].steps.iter().map(|step| step.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(shown.unreadable[0].field, "steps.resource");
}

#[tokio::test]
async fn its_objects_are_known_and_left_alone() {
    let (_home, store, jobs) = three().await;
    spoil(&store, "UPDATE sites SET name = '../etc' WHERE name = 'second'").await;
    let origins = store.origins(&jobs.iter().copied().collect::<BTreeSet<_>>()).await.unwrap();
    assert_eq!(origins.of.keys().copied().collect::<Vec<_>>(), [jobs[0], jobs[2]]);
    assert!(origins.know(jobs[1]));
}

#[tokio::test]
async fn counts_and_subnets_go_on() {
    let (_home, store, jobs) = three().await;
    spoil(&store, "INSERT INTO subnets (subnet, site_id) SELECT 'nonsense', id FROM sites WHERE name = 'third'").await;
    sqlx::query("UPDATE jobs SET operation = 'nonsense' WHERE id = $1")
        .bind(jobs[1].to_string())
        .execute(&store.write)
        .await
        .unwrap();
    let counted = [(None, JobState::Pending, 1), (Some(OperationName::Provision), JobState::Pending, 2)];
    assert_eq!(store.count_jobs().await.unwrap(), counted);
    assert_eq!(store.busy_sites().await.unwrap().len(), 3);
    let claim = store.claim(NOW, true).await.unwrap().unwrap();
    let pool = "10.213.0.0/16".parse().unwrap();
    assert!(store.allocate_subnet(&claim, pool, &[], NOW).await.unwrap().is_some());
    let rows = store.unreadable_rows().await.unwrap();
    assert_eq!(rows.iter().map(|row| row.field).collect::<Vec<_>>(), ["jobs.operation", "subnets.subnet"]);
}

#[tokio::test]
async fn an_old_repair_hides_no_other() {
    let (_home, store, _) = three().await;
    spoil(&store, "UPDATE jobs SET operation = 'repair', state = 'completed', finished_at = 5, why = '{'").await;
    let site =
        store.sites(&SiteFilter { limit: 1, ..SiteFilter::default() }).await.unwrap().rows.remove(0).site.site.id;
    let repairs = store.repairs(site, Timestamp(0)).await.unwrap();
    assert_eq!((repairs.rows.len(), repairs.unreadable.len()), (0, 1));
}
