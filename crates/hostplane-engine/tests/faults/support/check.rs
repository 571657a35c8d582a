//! Conditions that hold after every run, whatever struck it.

use std::collections::{BTreeMap, BTreeSet};

use hostplane_domain::ids::SiteId;
use hostplane_domain::job::JobState;
use hostplane_domain::mark::Labels;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::site_kind::SiteKind;
use hostplane_domain::status::SiteStatus;
use hostplane_engine::app::{JobView, ObjectKind, ResourceState, ResourceView};
use hostplane_engine::sites::objects;
use hostplane_testing::fake::{DatabaseState, FakeNetwork, FakeVolume, State, UserState};
use hostplane_testing::harness::{ControlPlane, name};
use tokio::time::sleep;

use crate::harness::Harness;
use crate::secrets;

/// `Err` says what is wrong.
pub type Verdict = Result<(), String>;

/// Things of every kind that carry no mark, beside those of the sites.
pub fn plant_foreign(state: &mut State) {
    state.containers.volumes.insert("foreign".into(), FakeVolume::new(Labels::new()));
    state.containers.write_file("foreign", "precious", "data");
    let subnet = "10.213.0.8/29".parse().unwrap();
    let network = FakeNetwork { name: "foreign".into(), labels: Labels::new(), subnet };
    state.containers.networks.insert("f".repeat(64), network);
    let tables = BTreeMap::from([("orders".to_owned(), "precious".to_owned())]);
    state.databases.databases.insert("wp_foreign".into(), DatabaseState { tables, ..DatabaseState::default() });
    state.databases.users.insert("wp_foreign".into(), UserState::default());
    let snippet = "http://foreign.localhost {\n\trespond \"foreign\"\n}\n".to_owned();
    state.proxy.snippets.insert("foreign.caddy".into(), snippet.clone());
    state.proxy.loaded.insert("foreign.caddy".into(), snippet);
}

/// Recognises the names of a site.
pub fn is_of(site: &str, found: &str) -> bool {
    let site = name(site);
    let names = ResourceKind::ALL.iter().map(|kind| naming::of(*kind, &site));
    let more = [naming::writer_container(&site), naming::snippet_file(&site), naming::database(&site)];
    names.chain(more).any(|name| name == found)
}

/// The state without anything under a site's names, and without what only counts.
pub fn without(state: &State, site: &str) -> State {
    let mut rest = state.clone();
    rest.containers.ids = 0;
    rest.containers.containers.retain(|_, container| !is_of(site, &container.spec.name));
    rest.containers.volumes.retain(|volume, _| !is_of(site, volume));
    rest.containers.networks.retain(|_, network| !is_of(site, &network.name));
    rest.databases.databases.retain(|database, _| !is_of(site, database));
    rest.databases.users.retain(|user, _| !is_of(site, user));
    rest.databases.ledger.retain(|tenant, _| !is_of(site, tenant));
    rest.proxy.snippets.retain(|file, _| !is_of(site, file));
    rest.proxy.loaded.retain(|file, _| !is_of(site, file));
    rest
}

/// The names of everything that there is under a site's names.
pub fn names_of(state: &State, site: &str) -> Vec<String> {
    let containers = state.containers.containers.values().map(|container| format!("container {}", container.spec.name));
    let volumes = state.containers.volumes.keys().map(|volume| format!("volume {volume}"));
    let networks = state.containers.networks.values().map(|network| format!("network {}", network.name));
    let databases = state.databases.databases.keys().map(|database| format!("database {database}"));
    let users = state.databases.users.keys().map(|user| format!("user {user}"));
    let ledger = state.databases.ledger.keys().map(|tenant| format!("tenant {tenant}"));
    let snippets = state.proxy.snippets.keys().map(|file| format!("snippet {file}"));
    let loaded = state.proxy.loaded.keys().map(|file| format!("route {file}"));
    let all = containers.chain(volumes).chain(networks).chain(databases).chain(users).chain(ledger);
    let of_site = |found: &String| found.split_once(' ').is_some_and(|(_, found)| is_of(site, found));
    let mut names: Vec<String> = all.chain(snippets).chain(loaded).filter(of_site).collect();
    names.sort();
    names
}

/// The parts of a whole site of a kind.
fn whole(kind: SiteKind, site: &str) -> Vec<String> {
    let parts = |(object, found): (ObjectKind, String)| match object {
        ObjectKind::Database => ["database", "user", "tenant"].map(|what| format!("{what} {found}")).to_vec(),
        ObjectKind::Route => ["snippet", "route"].map(|what| format!("{what} {found}")).to_vec(),
        object => vec![format!("{object} {found}")],
    };
    let mut names: Vec<String> = objects(kind, &name(site)).into_iter().flat_map(parts).collect();
    names.sort();
    names
}

/// The site is all there and as wanted, and there is nothing more of it.
pub async fn is_whole(harness: &Harness, running: &ControlPlane, kind: SiteKind, site: &str) -> Verdict {
    is_whole_but(harness, running, kind, site, None).await
}

/// The same, but for a resource that its owner has made differ.
pub async fn is_whole_but(
    harness: &Harness,
    running: &ControlPlane,
    kind: SiteKind,
    site: &str,
    theirs: Option<ResourceKind>,
) -> Verdict {
    let found = names_of(&harness.world.state(), site);
    if found != whole(kind, site) {
        return Err(format!("{site} consists of {found:?}"));
    }
    let shown = running.app.site(&name(site)).await.map_err(|error| format!("{site} can't be shown: {error}"))?;
    if shown.view.record.status != SiteStatus::Active {
        return Err(format!("{site} is {}", shown.view.record.status));
    }
    let is_theirs = |resource: &ResourceView| Some(resource.kind) == theirs && resource.state == ResourceState::Differs;
    if theirs.is_some() && !shown.resources.iter().any(is_theirs) {
        return Err(format!("{site} doesn't show what its owner has made of it"));
    }
    let differs = shown.resources.iter().filter(|found| found.state != ResourceState::Present && !is_theirs(found));
    let differs: Vec<String> = differs.map(|resource| format!("{} {:?}", resource.kind, resource.detail)).collect();
    if differs.is_empty() { Ok(()) } else { Err(format!("of {site} differ {differs:?}")) }
}

/// Nothing of the site is there.
pub fn is_gone(harness: &Harness, site: &str) -> Verdict {
    let found = names_of(&harness.world.state(), site);
    if found.is_empty() { Ok(()) } else { Err(format!("of {site} there is {found:?}")) }
}

/// A job that has ended says so as it should, and no job of a site that is at rest is left.
pub fn is_legal(jobs: &[JobView]) -> Verdict {
    let mut holders = BTreeSet::new();
    for job in jobs {
        let record = &job.record;
        let ended = matches!(record.state, JobState::Completed | JobState::Failed | JobState::Cancelled);
        if ended != record.finished_at.is_some() {
            return Err(format!("job {} is {} and finished at {:?}", record.id, record.state, record.finished_at));
        }
        if !ended && !holders.insert(record.site_id) {
            return Err(format!("site {} is held by two jobs", job.site));
        }
        if record.state == JobState::Completed && record.error.is_some() {
            return Err(format!("job {} is completed and has an error: {:?}", record.id, record.error));
        }
        if matches!(record.state, JobState::Failed | JobState::NeedsOperator) && record.error.is_none() {
            return Err(format!("job {} is {} and doesn't say why", record.id, record.state));
        }
        let open = job.steps.iter().filter(|step| step.state.as_str() == "intended").count();
        if ended && open > 0 {
            return Err(format!("job {} has ended with {open} steps under way: {:#?}", record.id, job.steps));
        }
    }
    Ok(())
}

/// None of these sites' secrets is in the journal or in the log.
pub fn keeps_secrets(harness: &Harness, log: &[u8], sites: impl IntoIterator<Item = SiteId>) -> Verdict {
    let written = harness.everything_written();
    for site in sites {
        let values = secrets::values(site);
        for (place, text) in [("journal", &written[..]), ("log", log)] {
            if let Some(number) = secrets::leaked(text, &values) {
                return Err(format!("secret number {number} of site {site} is in the {place}"));
            }
        }
    }
    Ok(())
}

/// Nothing changes any more, however long one waits.
pub async fn is_quiet(harness: &Harness, running: &ControlPlane) -> Verdict {
    let (before, calls) = (harness.world.state().clone(), harness.gate.calls().len());
    let jobs = running.all_jobs().await.len();
    sleep(std::time::Duration::from_secs(70)).await;
    let more = harness.gate.calls().split_off(calls);
    if let Some(call) = more.iter().find(|call| call.changes) {
        return Err(format!("it isn't quiet: {} was called", call.name));
    }
    if more.is_empty() {
        return Err("nothing is scanned any more".to_owned());
    }
    let is_same = *harness.world.state() == before;
    if !is_same || running.all_jobs().await.len() != jobs {
        return Err("it isn't quiet: something changed".to_owned());
    }
    Ok(())
}
