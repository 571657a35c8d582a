//! The contract of [`Databases`]: the fake always, the real server with the feature `stack`.

mod contended;
mod fake;
#[cfg(feature = "stack")]
mod real;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hostplane_domain::ids::{InstanceId, JobId, SiteId};
use hostplane_domain::mark::{Mark, SiteRef};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::secret::mariadb_hash;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::databases::{Databases, Grants, TenantFacts, TenantKey, TenantSpec, TenantUser, Tenants};
use hostplane_infra::error::{Dependency, Effect, EffectError, Rejection};
use hostplane_testing::cases;
use hostplane_testing::contract::Case;

/// A server, and hands that reach past the adapter.
#[async_trait]
trait Harness: Send + Sync {
    fn databases(&self) -> Arc<dyn Databases>;
    /// The same server, with other credentials that may do as much.
    async fn rival(&self) -> Arc<dyn Databases>;
    /// The same server, which refuses the credentials.
    fn denied(&self) -> Arc<dyn Databases>;
    /// Makes a database with something in it, as a stranger would.
    async fn plant_database(&self, name: &str);
    /// Makes a user, as a stranger would.
    async fn plant_user(&self, name: &str);
    /// Makes a table with something in it.
    async fn plant_table(&self, database: &str, table: &str);
    /// Makes a table 8 MiB larger, and empty again, row by row.
    async fn grow(&self, database: &str, table: &str);
    async fn shrink(&self, database: &str, table: &str);
    /// The tables of a database, and when each was made.
    async fn tables(&self, database: &str) -> Vec<String>;
    async fn drop_database(&self, name: &str);
    async fn drop_user(&self, name: &str);
    async fn delete_row(&self, name: &str);
    /// Makes the ledger's row unreadable.
    async fn spoil_row(&self, name: &str);
    /// Gives the user another password and another limit.
    async fn change_user(&self, name: &str);
    /// Gives the user more than it should have.
    async fn widen_grants(&self, name: &str);
    /// Takes some of what the user should have.
    async fn narrow_grants(&self, name: &str);
    /// WordPress in this database keeps this as its scheduled events.
    async fn schedule(&self, database: &str, option: &str);
    /// A user begins a statement that doesn't end by itself, in which there is a secret.
    async fn begin_statement(&self, user: &str);
    /// True while such a statement of the user runs.
    async fn runs_statement(&self, user: &str) -> bool;
    /// All there is under a name, so that two answers are equal only if nothing was changed.
    async fn everything(&self, name: &str) -> String;
}

cases!(CASES: dyn Harness = [
    nothing_is_there,
    a_tenant_is_made_and_made_again,
    a_foreign_database_is_not_touched,
    a_foreign_user_is_not_touched,
    a_predecessors_tenant_is_not_adopted,
    another_instances_tenant_is_not_touched,
    an_unreadable_row_is_foreign,
    half_done_states_are_completed,
    drift_is_repaired,
    a_later_job_is_written_down,
    a_confirmed_tenant_stays_so_until_it_is_removed,
    only_its_own_site_confirms_a_tenant,
    the_next_events_of_confirmed_tenants_are_listed,
    long_statements_of_an_instance_s_tenants_are_ended,
    a_tenant_is_restricted_and_freed,
    sizes_are_of_each_database,
    a_tenant_is_removed_and_removed_again,
    half_removed_states_are_removed,
    what_a_tenant_holds_is_kept_until_it_is_removed,
    a_hash_of_another_form_is_refused,
    no_limit_is_a_limit_of_its_own,
    refused_credentials_are_access_denied,
    all_are_listed,
]);

/// Every case.
fn all_cases() -> impl Iterator<Item = &'static Case<dyn Harness>> {
    CASES.iter().chain(contended::CASES)
}

fn instance(n: u32) -> InstanceId {
    format!("00000000-0000-7000-8000-{n:012}").parse().unwrap()
}

fn site(name: &str, n: u32) -> SiteRef {
    let id: SiteId = format!("00000000-0000-7000-9000-{n:012}").parse().unwrap();
    SiteRef { id, name: SiteName::parse(name).unwrap() }
}

fn job(n: u32) -> JobId {
    format!("00000000-0000-7000-a000-{n:012}").parse().unwrap()
}

fn spec(name: &str) -> TenantSpec {
    let mark = Mark {
        instance: instance(1),
        site: site(name, 1),
        kind: ResourceKind::Database,
        job: job(1),
        spec: SpecHash::of(&name),
    };
    TenantSpec { mark, password_hash: mariadb_hash(&"secret".into()), max_connections: 3, restricted: false }
}

fn key(spec: &TenantSpec) -> TenantKey {
    TenantKey { instance: spec.mark.instance, site: spec.mark.site.clone() }
}

fn tenant(spec: &TenantSpec) -> String {
    naming::database(&spec.mark.site.name)
}

/// The facts of a tenant that is as it should be.
fn whole(spec: &TenantSpec) -> TenantFacts {
    TenantFacts {
        name: tenant(spec),
        ledger: Some(spec.mark.clone()),
        confirmed: false,
        database: true,
        user: Some(TenantUser {
            password_hash: spec.password_hash.clone(),
            max_connections: spec.max_connections,
            grants: if spec.restricted { Grants::Restricted } else { Grants::All },
        }),
    }
}

async fn facts(harness: &dyn Harness, spec: &TenantSpec) -> Option<TenantFacts> {
    let which = Tenants::Of(spec.mark.site.name.clone());
    let mut found = harness.databases().tenants(&which).await.unwrap();
    assert!(found.len() <= 1);
    found.pop()
}

fn owner_of(result: Effect<()>) -> String {
    match result {
        Err(EffectError::Rejected(Rejection::NameTaken { owner, .. })) => owner,
        other => panic!("expected NameTaken, got {other:?}"),
    }
}

async fn nothing_is_there(harness: &dyn Harness) {
    let spec = spec("nothing");
    harness.databases().ping().await.unwrap();
    assert_eq!(facts(harness, &spec).await, None);
    harness.databases().remove_tenant(&key(&spec)).await.unwrap();
    assert_eq!(facts(harness, &spec).await, None);
}

async fn a_tenant_is_made_and_made_again(harness: &dyn Harness) {
    let spec = spec("made-again");
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));
    let first = harness.everything(&tenant(&spec)).await;
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert_eq!(harness.everything(&tenant(&spec)).await, first, "the second call changes nothing");
}

async fn a_foreign_database_is_not_touched(harness: &dyn Harness) {
    let spec = spec("foreign-db");
    harness.plant_database("wp_foreign-db").await;
    let before = harness.everything("wp_foreign-db").await;
    assert_eq!(owner_of(harness.databases().ensure_tenant(&spec).await), "another owner");
    harness.databases().remove_tenant(&key(&spec)).await.unwrap();
    assert_eq!(harness.everything("wp_foreign-db").await, before);
    let expected = TenantFacts { name: tenant(&spec), ledger: None, confirmed: false, database: true, user: None };
    assert_eq!(facts(harness, &spec).await, Some(expected));
}

async fn a_foreign_user_is_not_touched(harness: &dyn Harness) {
    let spec = spec("foreign-user");
    harness.plant_user("wp_foreign-user").await;
    let before = harness.everything("wp_foreign-user").await;
    assert_eq!(owner_of(harness.databases().ensure_tenant(&spec).await), "another owner");
    harness.databases().remove_tenant(&key(&spec)).await.unwrap();
    assert_eq!(harness.everything("wp_foreign-user").await, before);
    let found = facts(harness, &spec).await.unwrap();
    assert!(found.ledger.is_none() && !found.database, "{found:?}");
    assert!(found.user.is_some_and(|user| user.max_connections == 1 && user.grants == Grants::Others));
}

async fn a_predecessors_tenant_is_not_adopted(harness: &dyn Harness) {
    let old = spec("inherited");
    harness.databases().ensure_tenant(&old).await.unwrap();
    let before = harness.everything(&tenant(&old)).await;
    let mut new = old.clone();
    new.mark.site = site("inherited", 2);
    let owner = owner_of(harness.databases().ensure_tenant(&new).await);
    assert!(owner.starts_with("an earlier site of this name"), "{owner}");
    harness.databases().remove_tenant(&key(&new)).await.unwrap();
    assert_eq!(harness.everything(&tenant(&old)).await, before);
    harness.databases().remove_tenant(&key(&old)).await.unwrap();
    harness.databases().ensure_tenant(&new).await.unwrap();
    assert_eq!(facts(harness, &new).await, Some(whole(&new)), "the name has come free");
}

async fn another_instances_tenant_is_not_touched(harness: &dyn Harness) {
    let theirs = spec("shared");
    harness.databases().ensure_tenant(&theirs).await.unwrap();
    let before = harness.everything(&tenant(&theirs)).await;
    let mut ours = theirs.clone();
    ours.mark.instance = instance(2);
    assert_eq!(owner_of(harness.databases().ensure_tenant(&ours).await), "another Hostplane instance");
    harness.databases().remove_tenant(&key(&ours)).await.unwrap();
    assert_eq!(harness.everything(&tenant(&theirs)).await, before);
}

async fn an_unreadable_row_is_foreign(harness: &dyn Harness) {
    let spec = spec("spoilt");
    harness.databases().ensure_tenant(&spec).await.unwrap();
    harness.spoil_row(&tenant(&spec)).await;
    let before = harness.everything(&tenant(&spec)).await;
    assert_eq!(facts(harness, &spec).await.unwrap().ledger, None);
    assert_eq!(owner_of(harness.databases().ensure_tenant(&spec).await), "another owner");
    harness.databases().remove_tenant(&key(&spec)).await.unwrap();
    assert_eq!(harness.everything(&tenant(&spec)).await, before);
}

async fn half_done_states_are_completed(harness: &dyn Harness) {
    let spec = spec("half-done");
    let name = tenant(&spec);
    for (user, database) in [(false, false), (true, false), (false, true)] {
        harness.databases().ensure_tenant(&spec).await.unwrap();
        if !user {
            harness.drop_user(&name).await;
        }
        if !database {
            harness.drop_database(&name).await;
        }
        let half = facts(harness, &spec).await.unwrap();
        assert_eq!((half.user.is_some(), half.database), (user, database));
        harness.databases().ensure_tenant(&spec).await.unwrap();
        assert_eq!(facts(harness, &spec).await, Some(whole(&spec)), "user {user}, database {database}");
    }
}

async fn drift_is_repaired(harness: &dyn Harness) {
    let spec = spec("drifted");
    let name = tenant(&spec);
    harness.databases().ensure_tenant(&spec).await.unwrap();

    harness.change_user(&name).await;
    let user = facts(harness, &spec).await.unwrap().user.unwrap();
    assert_ne!(user.password_hash, spec.password_hash);
    assert_ne!(user.max_connections, spec.max_connections);
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));

    harness.widen_grants(&name).await;
    assert_eq!(facts(harness, &spec).await.unwrap().user.unwrap().grants, Grants::Others);
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));

    harness.narrow_grants(&name).await;
    assert_eq!(facts(harness, &spec).await.unwrap().user.unwrap().grants, Grants::Others);
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));
}

async fn a_tenant_is_restricted_and_freed(harness: &dyn Harness) {
    let free = spec("restricted");
    let restricted = TenantSpec { restricted: true, ..free.clone() };
    let name = tenant(&free);
    // A new one may be restricted, and one with tables to log in with.
    harness.databases().ensure_tenant(&restricted).await.unwrap();
    assert_eq!(facts(harness, &free).await, Some(whole(&restricted)));
    harness.plant_table(&name, "wp_usermeta").await;
    for _ in 0..2 {
        for spec in [&restricted, &free] {
            harness.databases().ensure_tenant(spec).await.unwrap();
            assert_eq!(facts(harness, spec).await, Some(whole(spec)), "restricted: {}", spec.restricted);
            let first = harness.everything(&name).await;
            harness.databases().ensure_tenant(spec).await.unwrap();
            assert_eq!(harness.everything(&name).await, first, "the second call changes nothing");
        }
    }
    harness.databases().ensure_tenant(&restricted).await.unwrap();
    harness.widen_grants(&name).await;
    assert_eq!(facts(harness, &free).await.unwrap().user.unwrap().grants, Grants::Others);
    harness.databases().ensure_tenant(&restricted).await.unwrap();
    assert_eq!(facts(harness, &free).await, Some(whole(&restricted)));
}

async fn sizes_are_of_each_database(harness: &dyn Harness) {
    let (small, large) = (spec("size-small"), spec("size-large-one"));
    for spec in [&small, &large] {
        harness.databases().ensure_tenant(spec).await.unwrap();
        harness.plant_table(&tenant(spec), "some").await;
    }
    harness.grow(&tenant(&large), "some").await;
    let sizes = harness.databases().sizes(&[]).await.unwrap();
    let size = |spec: &TenantSpec| sizes.get(&tenant(spec)).copied().unwrap_or_default();
    assert!(size(&small) < 1 << 20 && size(&large) > 8 << 20, "{sizes:?}");
    let exactly = harness.databases().sizes(&[tenant(&large), "wp_no-such".to_owned()]).await.unwrap();
    assert!(exactly[&tenant(&large)] > 8 << 20, "{exactly:?}");
    harness.shrink(&tenant(&large), "some").await;
    let sizes = harness.databases().sizes(&[]).await.unwrap();
    assert!(sizes[&tenant(&large)] > 8 << 20, "its files are as large as before");
    let mut exact = u64::MAX;
    // The server frees what was deleted a little later.
    for _ in 0..600 {
        exact = harness.databases().sizes(&[tenant(&large)]).await.unwrap()[&tenant(&large)];
        if exact < 6 << 20 {
            return;
        }
    }
    panic!("{exact} bytes are used");
}

async fn a_later_job_is_written_down(harness: &dyn Harness) {
    let mut spec = spec("later");
    harness.databases().ensure_tenant(&spec).await.unwrap();
    spec.mark.job = job(2);
    spec.mark.spec = SpecHash::of(&"other");
    spec.max_connections = 7;
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));
}

async fn a_confirmed_tenant_stays_so_until_it_is_removed(harness: &dyn Harness) {
    let mut spec = spec("confirmed");
    harness.databases().ensure_tenant(&spec).await.unwrap();
    let confirmed = |spec: &TenantSpec| Some(TenantFacts { confirmed: true, ..whole(spec) });
    for _ in 0..2 {
        harness.databases().confirm_tenant(&key(&spec)).await.unwrap();
        assert_eq!(facts(harness, &spec).await, confirmed(&spec));
    }
    spec.mark.job = job(2);
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, confirmed(&spec), "a later job changes nothing about it");
    harness.databases().remove_tenant(&key(&spec)).await.unwrap();
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)), "a new one begins anew");
}

async fn the_next_events_of_confirmed_tenants_are_listed(harness: &dyn Harness) {
    let (one, another) = (spec("events"), spec("events-more"));
    let mut theirs = spec("events-theirs");
    theirs.mark.instance = instance(7);
    let due = |at: i64| format!("a:2:{{i:{at};a:1:{{s:3:\"job\";a:0:{{}}}}s:7:\"version\";i:2;}}");
    for (spec, at) in [(&one, 1_700_000_000), (&another, 1_800_000_000), (&theirs, 1_700_000_000)] {
        harness.databases().ensure_tenant(spec).await.unwrap();
        harness.schedule(&tenant(spec), &due(at)).await;
    }
    let listed = async || {
        let mut events = harness.databases().next_events(instance(1)).await.unwrap();
        events.retain(|event| event.site.name.as_str().starts_with("events"));
        events.sort_by_key(|event| event.due);
        events.into_iter().map(|event| (event.site, event.due.0)).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [], "a site that was not confirmed is not finished");
    for spec in [&one, &another, &theirs] {
        harness.databases().confirm_tenant(&key(spec)).await.unwrap();
    }
    let of = |spec: &TenantSpec, at: i64| (spec.mark.site.clone(), at * 1_000_000);
    assert_eq!(listed().await, [of(&one, 1_700_000_000), of(&another, 1_800_000_000)]);
    for nothing in ["a:1:{s:7:\"version\";i:2;}", "", "O:8:\"Surprise\":0:{}", "a:1:{i:99999999999999999999;"] {
        harness.schedule(&tenant(&one), nothing).await;
        assert_eq!(listed().await, [of(&another, 1_800_000_000)], "{nothing}");
    }
    let theirs = harness.databases().next_events(instance(7)).await.unwrap();
    assert_eq!(theirs.len(), 1, "{theirs:?}");
}

async fn long_statements_of_an_instance_s_tenants_are_ended(harness: &dyn Harness) {
    let (ours, mut theirs) = (spec("slow"), spec("slow-theirs"));
    theirs.mark.instance = instance(2);
    let stranger = "wp_slow-by-hand";
    for spec in [&ours, &theirs] {
        harness.databases().ensure_tenant(spec).await.unwrap();
    }
    harness.plant_user(stranger).await;
    let others = [tenant(&theirs), stranger.to_owned()];
    for user in others.iter().chain([&tenant(&ours)]) {
        harness.begin_statement(user).await;
    }
    let end = async |limit_s| harness.databases().end_long_statements(instance(1), limit_s).await.unwrap();
    assert_eq!(end(60).await, []);
    let begun = Instant::now();
    let ended = loop {
        let ended = end(1).await;
        if !ended.is_empty() || begun.elapsed() > Duration::from_mins(1) {
            break ended;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!((&ended[0].site, ended[0].kind), (&ours.mark.site, "SELECT"));
    assert!((1..60).contains(&ended[0].ran_s), "{ended:?}");
    while harness.runs_statement(&tenant(&ours)).await {
        assert!(begun.elapsed() < Duration::from_mins(1), "it goes on");
    }
    assert_eq!(end(1).await, []);
    for user in others {
        assert!(harness.runs_statement(&user).await, "{user}");
    }
}

async fn only_its_own_site_confirms_a_tenant(harness: &dyn Harness) {
    let spec = spec("unconfirmed");
    assert_eq!(owner_of(harness.databases().confirm_tenant(&key(&spec)).await), "another owner", "there is none");
    harness.databases().ensure_tenant(&spec).await.unwrap();
    let mut successor = key(&spec);
    successor.site = site("unconfirmed", 2);
    let owner = owner_of(harness.databases().confirm_tenant(&successor).await);
    assert!(owner.starts_with("an earlier site of this name"), "{owner}");
    let theirs = TenantKey { instance: instance(2), ..key(&spec) };
    assert_eq!(owner_of(harness.databases().confirm_tenant(&theirs).await), "another Hostplane instance");
    assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));
    harness.spoil_row(&tenant(&spec)).await;
    assert_eq!(owner_of(harness.databases().confirm_tenant(&key(&spec)).await), "another owner");
}

async fn a_tenant_is_removed_and_removed_again(harness: &dyn Harness) {
    let spec = spec("removed");
    harness.databases().ensure_tenant(&spec).await.unwrap();
    for _ in 0..2 {
        harness.databases().remove_tenant(&key(&spec)).await.unwrap();
        assert_eq!(facts(harness, &spec).await, None);
    }
}

async fn half_removed_states_are_removed(harness: &dyn Harness) {
    let spec = spec("half-removed");
    let name = tenant(&spec);
    for (user, database) in [(false, false), (true, false), (false, true)] {
        harness.databases().ensure_tenant(&spec).await.unwrap();
        if !user {
            harness.drop_user(&name).await;
        }
        if !database {
            harness.drop_database(&name).await;
        }
        harness.databases().remove_tenant(&key(&spec)).await.unwrap();
        assert_eq!(facts(harness, &spec).await, None, "user {user}, database {database}");
    }
    harness.databases().ensure_tenant(&spec).await.unwrap();
    harness.delete_row(&name).await;
    harness.databases().remove_tenant(&key(&spec)).await.unwrap();
    let found = facts(harness, &spec).await.unwrap();
    assert!(found.database && found.user.is_some(), "without its row a tenant has no owner");
}

async fn what_a_tenant_holds_is_kept_until_it_is_removed(harness: &dyn Harness) {
    let spec = spec("holding");
    let name = tenant(&spec);
    harness.databases().ensure_tenant(&spec).await.unwrap();
    harness.plant_table(&name, "posts").await;
    let before = harness.tables(&name).await;
    assert_eq!(before.len(), 1);
    harness.change_user(&name).await;
    harness.narrow_grants(&name).await;
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert_eq!(harness.tables(&name).await, before);
    harness.databases().remove_tenant(&key(&spec)).await.unwrap();
    harness.databases().ensure_tenant(&spec).await.unwrap();
    assert!(harness.tables(&name).await.is_empty(), "a new one is empty");
}

async fn no_limit_is_a_limit_of_its_own(harness: &dyn Harness) {
    let mut spec = spec("unlimited");
    for limit in [0, 5, 0, u16::MAX] {
        spec.max_connections = limit;
        harness.databases().ensure_tenant(&spec).await.unwrap();
        assert_eq!(facts(harness, &spec).await, Some(whole(&spec)));
    }
}

async fn refused_credentials_are_access_denied(harness: &dyn Harness) {
    let spec = spec("denied");
    harness.databases().ensure_tenant(&spec).await.unwrap();
    let before = harness.everything(&tenant(&spec)).await;
    let denied = harness.denied();
    let other = TenantSpec { max_connections: 9, ..spec.clone() };
    for answer in [
        denied.ping().await,
        denied.tenants(&Tenants::All).await.map(drop),
        denied.tenants(&Tenants::Of(spec.mark.site.name.clone())).await.map(drop),
        denied.ensure_tenant(&other).await,
        denied.confirm_tenant(&key(&spec)).await,
        denied.end_long_statements(instance(1), 1).await.map(drop),
        denied.remove_tenant(&key(&spec)).await,
    ] {
        match answer {
            Err(EffectError::Rejected(Rejection::AccessDenied { by: Dependency::Mariadb, message })) => {
                assert!(!message.contains("wr0ng-password"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(harness.everything(&tenant(&spec)).await, before);
}

async fn a_hash_of_another_form_is_refused(harness: &dyn Harness) {
    let good = spec("odd-hash");
    let in_small_letters = good.password_hash.to_lowercase();
    for hash in ["", "secret", "*2470", "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E1'", &in_small_letters] {
        let odd = TenantSpec { password_hash: hash.to_owned(), ..good.clone() };
        let error = harness.databases().ensure_tenant(&odd).await.unwrap_err();
        assert!(matches!(error, EffectError::Rejected(Rejection::Invalid { .. })), "{error:?}");
        assert!(hash.is_empty() || !format!("{error:?} {}", error.chain()).contains(hash));
    }
    assert_eq!(facts(harness, &good).await, None);
}

async fn all_are_listed(harness: &dyn Harness) {
    let ours = spec("listed");
    harness.databases().ensure_tenant(&ours).await.unwrap();
    harness.plant_database("wp_listed_by_hand").await;
    harness.plant_user("wp_listed_user").await;
    let claimed = spec("listed-claim");
    harness.databases().ensure_tenant(&claimed).await.unwrap();
    harness.drop_database("wp_listed-claim").await;
    harness.drop_user("wp_listed-claim").await;
    harness.plant_database("listed_elsewhere").await;
    let found = harness.databases().tenants(&Tenants::All).await.unwrap();
    let of = |name: &str| found.iter().find(|facts| facts.name == name);
    assert_eq!(of("wp_listed"), Some(&whole(&ours)));
    assert!(of("wp_listed_by_hand").is_some_and(|facts| facts.database && facts.user.is_none()));
    assert!(of("wp_listed_user").is_some_and(|facts| !facts.database && facts.user.is_some()));
    let only_claimed = TenantFacts { database: false, user: None, ..whole(&claimed) };
    assert_eq!(of("wp_listed-claim"), Some(&only_claimed));
    assert!(of("listed_elsewhere").is_none(), "no site's name");
    assert!(of(naming::LEDGER_DATABASE).is_none(), "the ledger is no tenant");
    assert!(found.is_sorted_by(|one, next| one.name < next.name), "each name once, in order");
}
