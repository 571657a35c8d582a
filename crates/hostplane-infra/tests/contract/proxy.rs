//! The contract of [`Proxy`]: the fake always, the real Caddy with the feature `stack`.

mod fake;
mod on_disk;
#[cfg(feature = "stack")]
mod real;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use hostplane_domain::ids::{InstanceId, JobId, SiteId};
use hostplane_domain::mark::{Mark, SiteRef};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::error::{Effect, EffectError, Rejection};
use hostplane_infra::proxy::{Proxy, RouteFacts, RouteSpec, Served, SnippetFacts};
use hostplane_testing::cases;
use hostplane_testing::contract::Case;

/// A proxy, and hands that reach past the adapter.
#[async_trait]
trait Harness: Send + Sync {
    fn proxy(&self) -> Arc<dyn Proxy>;
    /// The same proxy after a restart of the control plane.
    fn after_restart(&self) -> Arc<dyn Proxy>;
    /// Writes a snippet, as a stranger would.
    async fn plant(&self, file: &str, contents: &str);
    /// Deletes a snippet.
    async fn uproot(&self, file: &str);
    /// The body that is served under a host name, if one is.
    async fn body(&self, host: &str) -> Option<String>;
}

cases!(CASES: dyn Harness = [
    nothing_is_there,
    a_route_is_put_and_put_again,
    a_route_is_replaced,
    a_route_is_removed_and_removed_again,
    foreign_files_are_not_touched,
    a_host_that_is_served_is_taken,
    a_host_that_comes_free_can_be_taken,
    an_invalid_snippet_is_refused_and_all_is_served_on,
    what_is_refused_is_named_and_the_old_stays,
    a_refused_route_hinders_no_other,
    one_route_at_once_is_one_route,
    two_sites_at_once_never_share_a_host,
    what_may_be_served_is_known_per_file,
    all_are_listed,
]);

/// Every case.
fn all_cases() -> impl Iterator<Item = &'static Case<dyn Harness>> {
    CASES.iter().chain(on_disk::CASES)
}

fn instance(n: u32) -> InstanceId {
    format!("00000000-0000-7000-8000-{n:012}").parse().unwrap()
}

fn site_id(n: u32) -> SiteId {
    format!("00000000-0000-7000-9000-{n:012}").parse().unwrap()
}

fn mark(name: &str) -> Mark {
    let job: JobId = "00000000-0000-7000-a000-000000000001".parse().unwrap();
    let site = SiteRef { id: site_id(1), name: SiteName::parse(name).unwrap() };
    Mark { instance: instance(1), site, kind: ResourceKind::Route, job, spec: SpecHash::of(&name) }
}

/// A snippet's text without the mark.
fn answering(host: &str, body: &str) -> String {
    format!("http://{host} {{\n\trespond \"{body}\"\n}}\n")
}

fn with_mark(mark: Mark, hosts: &[&str], text: &str) -> RouteSpec {
    let contents = format!("{}\n{text}", mark.to_comment());
    RouteSpec { mark, hosts: hosts.iter().map(|&host| host.to_owned()).collect(), contents }
}

/// A route of a site that serves one host.
fn route(name: &str, host: &str, body: &str) -> RouteSpec {
    with_mark(mark(name), &[host], &answering(host, body))
}

fn file(spec: &RouteSpec) -> String {
    naming::snippet_file(&spec.mark.site.name)
}

/// Facts of a file, which must agree among all and alone.
async fn find(harness: &dyn Harness, file: &str) -> Option<SnippetFacts> {
    let routes = harness.proxy().routes().await.unwrap();
    let may_be_served = routes.served.may_have(file);
    let is_settled = routes.served != Served::Unknown;
    let snippet = routes.snippets.into_iter().find(|facts| facts.file == file);
    let site = SiteName::parse(file.trim_end_matches(".caddy")).unwrap();
    let expected = RouteFacts { snippet: snippet.clone(), may_be_served, is_settled };
    assert_eq!(harness.proxy().route(&site).await.unwrap(), expected);
    snippet
}

async fn put(harness: &dyn Harness, spec: &RouteSpec) -> Effect<()> {
    harness.proxy().put_route(spec).await
}

async fn remove(harness: &dyn Harness, spec: &RouteSpec) {
    harness.proxy().remove_route(spec.mark.instance, &spec.mark.site).await.unwrap();
}

fn rejection(result: Effect<()>) -> Rejection {
    match result {
        Err(EffectError::Rejected(rejection)) => rejection,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

async fn nothing_is_there(harness: &dyn Harness) {
    let spec = route("nothing", "nothing.test", "x");
    harness.proxy().ping().await.unwrap();
    remove(harness, &spec).await;
    assert_eq!(find(harness, "nothing.caddy").await, None);
    assert_eq!(harness.body("nothing.test").await, None);
}

async fn what_may_be_served_is_known_per_file(harness: &dyn Harness) {
    let may_have = async |file: &str| harness.proxy().routes().await.unwrap().served.may_have(file);
    harness.proxy().settle().await.unwrap();
    let spec = route("known", "known.test", "x");
    assert!(!may_have("known.caddy").await);
    put(harness, &spec).await.unwrap();
    assert!(may_have("known.caddy").await);
    assert!(!may_have("other.caddy").await);
    remove(harness, &spec).await;
    assert!(!may_have("known.caddy").await);
}

async fn a_route_is_put_and_put_again(harness: &dyn Harness) {
    let spec = route("again", "again.test", "first");
    for _ in 0..2 {
        put(harness, &spec).await.unwrap();
        let expected = SnippetFacts {
            file: "again.caddy".into(),
            mark: Some(spec.mark.clone()),
            contents: spec.contents.clone(),
            loaded: true,
        };
        assert_eq!(find(harness, "again.caddy").await, Some(expected));
        assert_eq!(harness.body("again.test").await.as_deref(), Some("first"));
    }
}

async fn a_route_is_replaced(harness: &dyn Harness) {
    put(harness, &route("replaced", "replaced.test", "old")).await.unwrap();
    put(harness, &route("replaced", "replaced.test", "new")).await.unwrap();
    assert_eq!(harness.body("replaced.test").await.as_deref(), Some("new"));
    put(harness, &route("replaced", "moved.test", "new")).await.unwrap();
    assert_eq!(harness.body("replaced.test").await, None);
    assert_eq!(harness.body("moved.test").await.as_deref(), Some("new"));
}

async fn a_route_is_removed_and_removed_again(harness: &dyn Harness) {
    let spec = route("removed", "removed.test", "x");
    put(harness, &spec).await.unwrap();
    for _ in 0..2 {
        remove(harness, &spec).await;
        assert_eq!(find(harness, "removed.caddy").await, None);
        assert_eq!(harness.body("removed.test").await, None);
    }
}

async fn foreign_files_are_not_touched(harness: &dyn Harness) {
    let predecessor = Mark { site: SiteRef { id: site_id(2), ..mark("foreign").site }, ..mark("foreign") };
    let other_instance = Mark { instance: instance(2), ..mark("foreign") };
    let text = answering("foreign.test", "theirs");
    for (contents, owner) in [
        (format!("# by hand\n{text}"), "another owner"),
        (format!("# hostplane instance=nonsense\n{text}"), "another owner"),
        (format!("{}\n{text}", predecessor.to_comment()), "an earlier site of this name"),
        (format!("{}\n{text}", other_instance.to_comment()), "another Hostplane instance"),
    ] {
        harness.plant("foreign.caddy", &contents).await;
        let ours = route("foreign", "ours.test", "ours");
        match rejection(put(harness, &ours).await) {
            Rejection::NameTaken { what: "route", name, owner: found } => {
                assert_eq!(name, "foreign.caddy");
                assert!(found.starts_with(owner), "{found}");
            }
            other => panic!("{other:?}"),
        }
        remove(harness, &ours).await;
        assert_eq!(find(harness, "foreign.caddy").await.unwrap().contents, contents);
        assert_eq!(harness.body("foreign.test").await.as_deref(), Some("theirs"), "loaded with the next change");
    }
    harness.uproot("foreign.caddy").await;
}

async fn a_host_that_is_served_is_taken(harness: &dyn Harness) {
    put(harness, &route("first", "wanted.test", "first")).await.unwrap();
    harness.plant("by-hand.caddy", &answering("a.test, http://b.test", "theirs")).await;
    for (host, by) in [
        ("wanted.test", "first.caddy"),
        ("WANTED.test", "first.caddy"),
        ("wanted.test:80", "first.caddy"),
        ("b.test", "by-hand.caddy"),
    ] {
        let second = with_mark(mark("second"), &[], &answering(host, "second"));
        match rejection(put(harness, &second).await) {
            Rejection::HostTaken { host: taken, by: found } => {
                assert!(host.to_lowercase().starts_with(&taken), "{taken}");
                assert_eq!(found, by);
            }
            other => panic!("{host}: {other:?}"),
        }
        assert_eq!(find(harness, "second.caddy").await, None);
    }
    assert_eq!(harness.body("wanted.test").await.as_deref(), Some("first"));
    harness.uproot("by-hand.caddy").await;
}

async fn a_host_that_comes_free_can_be_taken(harness: &dyn Harness) {
    let old = route("leaver", "free.test", "old");
    let new = route("comer", "free.test", "new");
    put(harness, &old).await.unwrap();
    assert!(matches!(rejection(put(harness, &new).await), Rejection::HostTaken { .. }));
    remove(harness, &old).await;
    put(harness, &new).await.unwrap();
    assert_eq!(harness.body("free.test").await.as_deref(), Some("new"));
}

async fn an_invalid_snippet_is_refused_and_all_is_served_on(harness: &dyn Harness) {
    let good = route("sound", "sound.test", "good");
    put(harness, &good).await.unwrap();
    let text = answering("broken.test", "bad");
    let unmarked = RouteSpec { contents: text.clone(), ..route("broken", "broken.test", "bad") };
    let other_mark = RouteSpec { mark: mark("broken"), ..route("sounder", "broken.test", "bad") };
    let open = with_mark(mark("broken"), &["broken.test"], text.trim_end_matches("}\n"));
    let closed_twice = with_mark(mark("broken"), &["broken.test"], &format!("{text}}}\n"));
    let large = with_mark(mark("broken"), &["broken.test"], &format!("{text}# {}\n", "x".repeat(256 * 1024)));
    for spec in [unmarked, other_mark, open, closed_twice, large] {
        let refusal = rejection(put(harness, &spec).await);
        assert!(matches!(refusal, Rejection::ConfigRejected(_)), "{refusal:?}");
        assert_eq!(find(harness, "broken.caddy").await, None);
    }
    assert_eq!(harness.body("sound.test").await.as_deref(), Some("good"));
    assert!(find(harness, &file(&good)).await.unwrap().loaded);
}

fn config_rejected(result: Effect<()>) -> String {
    match rejection(result) {
        Rejection::ConfigRejected(message) => message,
        other => panic!("{other:?}"),
    }
}

async fn what_is_refused_is_named_and_the_old_stays(harness: &dyn Harness) {
    let odd = || with_mark(mark("odd"), &["odd.test"], "http://odd.test {\n\tno_such_directive x\n}\n");
    let words = "sites/odd.caddy:3: unrecognized directive: no_such_directive";
    assert_eq!(config_rejected(put(harness, &odd()).await), words);
    assert_eq!(find(harness, "odd.caddy").await, None);
    let good = route("odd", "odd.test", "good");
    put(harness, &good).await.unwrap();
    assert_eq!(config_rejected(put(harness, &odd()).await), words);
    let found = find(harness, "odd.caddy").await.unwrap();
    assert_eq!((found.contents, found.loaded), (good.contents, true));
    assert_eq!(harness.body("odd.test").await.as_deref(), Some("good"));
}

async fn one_route_at_once_is_one_route(harness: &dyn Harness) {
    let spec = route("at-once", "at-once.test", "x");
    for result in join_all((0..4).map(|_| put(harness, &spec))).await {
        result.unwrap();
    }
    assert_eq!(harness.body("at-once.test").await.as_deref(), Some("x"));
    join_all((0..4).map(|_| remove(harness, &spec))).await;
    assert_eq!(harness.body("at-once.test").await, None);
}

async fn two_sites_at_once_never_share_a_host(harness: &dyn Harness) {
    let (one, other) = (route("one", "contested.test", "one"), route("other", "contested.test", "other"));
    let (winner, refusal) = match tokio::join!(put(harness, &one), put(harness, &other)) {
        (Ok(()), refused) => (one, rejection(refused)),
        (refused, won) => {
            won.unwrap();
            (other, rejection(refused))
        }
    };
    assert_eq!(refusal, Rejection::HostTaken { host: "contested.test".into(), by: file(&winner) });
    assert_eq!(harness.body("contested.test").await.as_deref(), Some(winner.mark.site.name.as_str()));
}

async fn a_refused_route_hinders_no_other(harness: &dyn Harness) {
    put(harness, &route("early", "early.test", "early")).await.unwrap();
    let late = route("late", "early.test", "late");
    let broken = with_mark(mark("open"), &[], "http://open.test {\n");
    let good: Vec<RouteSpec> = (0..6).map(|n| route(&format!("good-{n}"), &format!("good-{n}.test"), "good")).collect();
    let refused = join_all([put(harness, &late), put(harness, &broken)]);
    let accepted = join_all(good.iter().map(|spec| put(harness, spec)));
    let (refused, accepted) = tokio::join!(refused, accepted);
    for result in accepted {
        result.unwrap();
    }
    let refused: Vec<Rejection> = refused.into_iter().map(rejection).collect();
    assert!(matches!(refused[..], [Rejection::HostTaken { .. }, Rejection::ConfigRejected(_)]), "{refused:?}");
    for spec in &good {
        assert_eq!(harness.body(&spec.hosts[0]).await.as_deref(), Some("good"));
    }
}

async fn all_are_listed(harness: &dyn Harness) {
    let ours = route("listed", "listed.test", "x");
    put(harness, &ours).await.unwrap();
    harness.plant("Not_A_Site.caddy", &answering("not-a-site.test", "x")).await;
    let all = harness.proxy().routes().await.unwrap().snippets;
    let of = |file: &str| all.iter().find(|facts| facts.file == file);
    assert!(of("listed.caddy").is_some_and(|facts| facts.mark.as_ref() == Some(&ours.mark) && facts.loaded));
    assert!(of("Not_A_Site.caddy").is_some_and(|facts| facts.mark.is_none() && !facts.loaded));
    harness.uproot("Not_A_Site.caddy").await;
}
