//! Pages of sites and jobs.

use hostplane_domain::name::SiteNamePrefix;

use super::*;

/// Ends a job past all code.
async fn end(store: &Store, state: &str) {
    let end = "UPDATE jobs SET state = $1, epoch = NULL, finished_at = 1 WHERE finished_at IS NULL";
    sqlx::query(end).bind(state).execute(&store.write).await.unwrap();
}

async fn names(store: &Store, filter: SiteFilter) -> Vec<String> {
    let sites = store.sites(&SiteFilter { limit: 10, ..filter }).await.unwrap().rows;
    sites.iter().map(|entry| entry.site.site.name.to_string()).collect()
}

#[tokio::test]
async fn a_page_of_sites_has_names_of_the_prefix_alone() {
    let (_home, store) = new_store().await;
    for name in ["a", "ab", "ab-c", "ab9", "abz", "ac", "b"] {
        store.add_site(&named(name), NOW).await.unwrap();
    }
    let of = async |prefix: &str| {
        let prefix: SiteNamePrefix = prefix.parse().unwrap();
        names(&store, SiteFilter { prefix: Some(prefix), ..SiteFilter::default() }).await
    };
    assert_eq!(of("ab").await, ["ab", "ab-c", "ab9", "abz"]);
    assert_eq!(of("abz").await, ["abz"]);
    assert_eq!(of("ab-").await, ["ab-c"]);
    assert_eq!(of("ab9").await, ["ab9"]);
    assert!(of("abc").await.is_empty());
    let (after, _) = store.add_site(&named("abb"), NOW).await.unwrap();
    let filter =
        SiteFilter { prefix: Some("ab".parse().unwrap()), after: Some(after.site.id), ..SiteFilter::default() };
    assert_eq!(names(&store, filter).await, ["abz"]);
}

#[tokio::test]
async fn a_site_is_listed_with_the_job_that_holds_it() {
    let (_home, store) = new_store().await;
    store.add_site(&named("free"), NOW).await.unwrap();
    end(&store, "completed").await;
    let (_, job) = store.add_site(&named("held"), NOW).await.unwrap();
    let sites = store.sites(&SiteFilter { limit: 10, ..SiteFilter::default() }).await.unwrap().rows;
    assert_eq!(sites.iter().map(|entry| entry.active_job).collect::<Vec<_>>(), [None, Some(job)]);
}

#[tokio::test]
async fn jobs_are_listed_by_every_combination_of_conditions() {
    let (_home, store) = new_store().await;
    let mut expected = Vec::new();
    for name in ["one", "two"] {
        let (site, job) = store.add_site(&named(name), NOW).await.unwrap();
        expected.push((name, OperationName::Provision, "failed", job));
        for state in ["completed", "failed", "cancelled", "needs_operator"] {
            end(&store, if state == "completed" { "failed" } else { "completed" }).await;
            let mut tx = store.writing("test").await.unwrap();
            let input = enqueue::JobInput::default();
            let repair = enqueue::add(&mut tx, site.site.id, OperationName::Repair, input, NOW).await.unwrap();
            tx.commit().await.unwrap();
            expected.push((name, OperationName::Repair, state, repair));
        }
    }
    for (_, operation, state, job) in &expected {
        let ended = (*state != "needs_operator").then_some(1);
        let set = "UPDATE jobs SET operation = $2, state = $3, finished_at = $4 WHERE id = $1";
        let set = sqlx::query(set).bind(job.to_string()).bind(operation.as_str()).bind(*state).bind(ended);
        set.execute(&store.write).await.unwrap();
    }
    expected.reverse();
    let states = JobState::ALL.iter().copied().map(Some).chain([None]);
    for state in states {
        for operation in [None, Some(OperationName::Provision), Some(OperationName::Repair)] {
            for site in [None, Some("one"), Some("two")] {
                for before in [None, Some(expected[3].3)] {
                    let filter = JobFilter { state, operation, before, limit: 100 };
                    let name = site.map(|site| SiteName::parse(site).unwrap());
                    let found = store.jobs(name.as_ref(), &filter).await.unwrap().rows;
                    let matches = |(of, is, at, id): &&(&str, OperationName, &str, _)| {
                        site.is_none_or(|site| site == *of)
                            && operation.is_none_or(|operation| operation == *is)
                            && state.is_none_or(|state| state.as_str() == *at)
                            && before.is_none_or(|before| *id < before)
                    };
                    let expected: Vec<_> = expected.iter().filter(matches).map(|(of, .., id)| (*of, *id)).collect();
                    let found: Vec<_> = found.iter().map(|entry| (entry.site.as_str(), entry.job.id)).collect();
                    assert_eq!(found, expected, "{filter:?} of {site:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_page_costs_the_same_number_of_statements() {
    let (_home, store) = new_store().await;
    let mut costs = Vec::new();
    for sites in [1, 30] {
        for nth in 0..sites {
            store.add_site(&named(&format!("s{sites}-{nth}")), NOW).await.unwrap();
            let claim = store.claim(NOW, true).await.unwrap().unwrap();
            let kind = ResourceKind::Network;
            store.intend(&claim, Direction::Forward, kind, Verb::Ensure, NOW).await.unwrap();
        }
        let before = recorder::count();
        let found = store.sites(&SiteFilter { limit: 100, ..SiteFilter::default() }).await.unwrap();
        let between = recorder::count();
        let jobs = store.jobs(None, &JobFilter { limit: 100, ..JobFilter::default() }).await.unwrap();
        assert_eq!(found.rows.len(), jobs.rows.len());
        assert!(jobs.rows.iter().all(|entry| entry.steps.len() == 1));
        costs.push((between - before, recorder::count() - between));
    }
    assert_eq!(costs, [(1, 2), (1, 2)]);
}

#[tokio::test]
async fn a_page_follows_only_what_there_is() {
    let (_home, store) = new_store().await;
    let (site, job) = store.add_site(&hello(), NOW).await.unwrap();
    let sites = SiteFilter { after: Some(site.site.id), limit: 1, ..SiteFilter::default() };
    assert!(store.sites(&sites).await.unwrap().rows.is_empty());
    let other = hostplane_domain::ids::SiteId::new(job.uuid());
    let unknown = store.sites(&SiteFilter { after: Some(other), ..sites }).await;
    assert!(matches!(unknown, Err(StoreError::Missing("site"))), "{unknown:?}");
    let other = hostplane_domain::ids::JobId::new(site.site.id.uuid());
    let unknown = store.jobs(None, &JobFilter { before: Some(other), limit: 1, ..JobFilter::default() }).await;
    assert!(matches!(unknown, Err(StoreError::Missing("job"))), "{unknown:?}");
}

#[tokio::test]
async fn a_job_keeps_its_parameters() {
    let (_home, store) = new_store().await;
    let (site, provision) = store.add_site(&hello(), NOW).await.unwrap();
    assert_eq!(store.job(provision).await.unwrap().params, None);
    end(&store, "completed").await;
    let params = JobParams::Probe { target: "elsewhere".to_owned() };
    let mut tx = store.writing("test").await.unwrap();
    let input = enqueue::JobInput { params: Some(&params), ..enqueue::JobInput::default() };
    let job = enqueue::add(&mut tx, site.site.id, OperationName::Repair, input, NOW).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.job(job).await.unwrap().params, Some(params));
    let stored: String =
        sqlx::query_scalar("SELECT params FROM jobs WHERE params IS NOT NULL").fetch_one(&store.write).await.unwrap();
    assert_eq!(stored, r#"{"operation":"probe","target":"elsewhere"}"#);
}

#[tokio::test]
async fn the_code_decides_which_kinds_there_are() {
    let (_home, store) = new_store().await;
    store.add_site(&hello(), NOW).await.unwrap();
    sqlx::query("UPDATE sites SET kind = 'later'").execute(&store.write).await.unwrap();
    sqlx::query("UPDATE sites SET kind = ''").execute(&store.write).await.unwrap_err();
}
