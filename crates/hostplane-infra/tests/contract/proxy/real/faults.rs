//! Bursts, refusals by Caddy itself, restarts and failures on the way.

use std::time::Duration;

use futures_util::future::join_all;
use hostplane_domain::render::caddy::{main_config, route_to};
use hostplane_infra::containers::Containers;
use hostplane_infra::error::{Dependency, Effect, EffectError, Rejection};
use hostplane_infra::proxy::{Caddy, Proxy, RouteSpec};
use hostplane_testing::cases;

use super::super::{Harness, find, mark, put, rejection, remove, route, with_mark};
use super::Real;
use super::counting::Trouble;
use crate::caddy::place;

cases!(pub(super) CASES: Real = [
    a_burst_costs_few_reloads,
    nothing_is_reloaded_when_nothing_changed,
    bad_ones_in_a_burst_are_set_aside,
    a_burst_on_one_file_is_done_in_order,
    staging_is_cleared_and_stale_candidates_are_ignored,
    what_the_operator_wrote_into_the_main_file_stays,
    a_change_waits_for_what_a_process_before_has_begun,
    a_load_that_does_not_end_is_ended_and_nothing_of_it_is_put_in_place,
    a_caller_that_gives_up_disturbs_no_other,
    a_fault_of_the_moment_refuses_nothing,
    a_refused_load_changes_nothing,
    a_lost_load_is_unknown_and_the_next_change_loads,
    files_that_can_t_be_put_in_place_are_reported,
    a_failed_candidate_differs_from_a_slow_caddy,
    a_new_process_does_not_know_what_is_loaded,
    a_restart_of_caddy_keeps_serving,
    a_caddy_that_is_not_there_is_transient,
    visitors_wait_for_a_site_that_is_about_to_come,
]);

const LOAD: &str = "caddy load";
const VALIDATE: &str = "caddy validate";

async fn a_burst_costs_few_reloads(harness: &Real) {
    let before = harness.containers.count(LOAD);
    let burst: Vec<RouteSpec> =
        (0..100).map(|n| route(&format!("burst-{n}"), &format!("burst-{n}.test"), "burst")).collect();
    for result in join_all(burst.iter().map(|spec| put(harness, spec))).await {
        result.unwrap();
    }
    assert!((1..=3).contains(&(harness.containers.count(LOAD) - before)));
    for spec in &burst {
        assert_eq!(harness.body(&spec.hosts[0]).await.as_deref(), Some("burst"));
    }
    let before = harness.containers.count(LOAD);
    join_all(burst.iter().map(|spec| remove(harness, spec))).await;
    assert!((1..=3).contains(&(harness.containers.count(LOAD) - before)));
    assert_eq!(harness.body("burst-0.test").await, None);
}

async fn nothing_is_reloaded_when_nothing_changed(harness: &Real) {
    let spec = route("still", "still.test", "x");
    put(harness, &spec).await.unwrap();
    let before = harness.containers.count(LOAD);
    put(harness, &spec).await.unwrap();
    remove(harness, &route("never-there", "never.test", "x")).await;
    assert_eq!(harness.containers.count(LOAD), before);
}

async fn bad_ones_in_a_burst_are_set_aside(harness: &Real) {
    let spec = |n: usize| {
        if n % 5 == 3 {
            let text = format!("http://mixed-{n}.test {{\n\tno_such_directive\n}}\n");
            with_mark(mark(&format!("mixed-{n}")), &[], &text)
        } else {
            route(&format!("mixed-{n}"), &format!("mixed-{n}.test"), "mixed")
        }
    };
    let burst: Vec<RouteSpec> = (0..12).map(spec).collect();
    let before = harness.containers.count(LOAD);
    let results = join_all(burst.iter().map(|spec| put(harness, spec))).await;
    assert!((1..=3).contains(&(harness.containers.count(LOAD) - before)));
    for (n, result) in results.into_iter().enumerate() {
        if n % 5 == 3 {
            assert!(matches!(rejection(result), Rejection::ConfigRejected(_)), "{n}");
        } else {
            result.unwrap_or_else(|error| panic!("{n}: {error:?}"));
            assert_eq!(harness.body(&format!("mixed-{n}.test")).await.as_deref(), Some("mixed"));
        }
    }
}

async fn a_burst_on_one_file_is_done_in_order(harness: &Real) {
    let one = route("ordered", "ordered.test", "one");
    let two = route("ordered", "ordered.test", "two");
    let (first, (), second) = tokio::join!(put(harness, &one), remove(harness, &one), put(harness, &two));
    first.unwrap();
    second.unwrap();
    assert_eq!(harness.body("ordered.test").await.as_deref(), Some("two"));
}

async fn staging_is_cleared_and_stale_candidates_are_ignored(harness: &Real) {
    put(harness, &route("settled", "settled.test", "x")).await.unwrap();
    // The task clears up after it has answered, and before its next change.
    put(harness, &route("settled", "settled.test", "y")).await.unwrap();
    for n in 1..4 {
        harness.run(&["mkdir", "-p", &format!("/etc/caddy/staging/{n}/come")]).await;
        harness.run(&["cp", "/etc/caddy/Caddyfile", &format!("/etc/caddy/staging/{n}/come/stale.caddy")]).await;
    }
    harness.another().put_route(&route("settled", "settled.test", "z")).await.unwrap();
    assert_eq!(harness.body("settled.test").await.as_deref(), Some("z"));
    crate::server::eventually("staging is gone", async || {
        !harness.run(&["ls", "/etc/caddy"]).await.contains("staging")
    })
    .await;
}

async fn set_main_file(harness: &Real, more: &str) {
    let main = crate::server::file("Caddyfile", 1000, format!("{}{more}", main_config("sites")));
    harness.server.docker.upload(&harness.server.id, "/etc/caddy", &[main]).await.unwrap();
}

async fn what_the_operator_wrote_into_the_main_file_stays(harness: &Real) {
    let own = crate::server::file("own", 1000, "http://own.test {\n\trespond own\n}\n".to_owned());
    harness.server.docker.upload(&harness.server.id, "/etc/caddy", &[own]).await.unwrap();
    set_main_file(harness, "import own\n").await;
    put(harness, &route("beside-own", "beside-own.test", "x")).await.unwrap();
    assert_eq!(harness.body("own.test").await.as_deref(), Some("own"));
    assert_eq!(harness.body("beside-own.test").await.as_deref(), Some("x"));
    // Without it Caddy could not begin anew, so nothing is changed.
    harness.run(&["mv", "/etc/caddy/Caddyfile", "/etc/caddy/aside"]).await;
    let error = put(harness, &route("beside-own", "beside-own.test", "y")).await.unwrap_err();
    assert!(error.chain().contains("there is no /etc/caddy/Caddyfile"), "{}", error.chain());
    assert!(matches!(error, EffectError::Transient { .. }), "{error:?}");
    set_main_file(harness, "").await;
    put(harness, &route("beside-own", "beside-own.test", "y")).await.unwrap();
    assert_eq!(harness.body("own.test").await, None);
}

/// A control plane that is killed leaves a program behind in Caddy's container. Here that is held up in the middle of
/// its load, by a file that Caddy imports and waits for.
async fn a_change_waits_for_what_a_process_before_has_begun(harness: &Real) {
    let spec = route("left-behind", "left-behind.test", "x");
    // One program of the container waits for the others, as there would be many questions.
    let running = async |count: u8, name: &str| {
        let script = format!("until [ \"$(grep -lx {name} /proc/[0-9]*/comm | wc -l)\" = {count} ]; do :; done");
        harness.run(&["timeout", "50", "sh", "-c", &script]).await;
    };
    harness.run(&["mkfifo", "/tmp/imported", "/tmp/end"]).await;
    set_main_file(harness, "import /tmp/imported\n").await;
    let before = put(harness, &spec);
    // It runs as soon as Caddy reads what it writes.
    let hold = harness.run(&["sh", "-c", "exec cat /tmp/end > /tmp/imported"]);
    let after = async {
        running(1, "cat").await;
        set_main_file(harness, "").await;
        let another = harness.another();
        let release = async {
            running(2, "flock").await;
            harness.run(&["sh", "-c", "echo > /tmp/end"]).await;
        };
        tokio::join!(another.settle(), release).0.unwrap();
    };
    let (before, _, ()) = tokio::join!(before, hold, after);
    before.unwrap();
    assert_eq!(harness.body("left-behind.test").await.as_deref(), Some("x"));
    assert_eq!(find(harness, "left-behind.caddy").await.unwrap().contents, spec.contents);
}

async fn a_load_that_does_not_end_is_ended_and_nothing_of_it_is_put_in_place(harness: &Real) {
    let spec = route("endless", "endless.test", "x");
    // Caddy's program waits for a writer to what it imports.
    harness.run(&["mkfifo", "/tmp/never"]).await;
    set_main_file(harness, "import /tmp/never\n").await;
    let unknown = put(harness, &spec).await.unwrap_err();
    assert!(matches!(unknown, EffectError::OutcomeUnknown { .. }), "{unknown:?}");
    assert!(unknown.chain().contains("took longer than 15 s"), "{}", unknown.chain());
    // Whatever still held the lock would hold this up.
    harness.run(&["flock", "/dev/shm/staging.lock", "true"]).await;
    assert_eq!(find(harness, "endless.caddy").await, None);
    set_main_file(harness, "").await;
    put(harness, &spec).await.unwrap();
    assert_eq!(harness.body("endless.test").await.as_deref(), Some("x"));
}

async fn a_caller_that_gives_up_disturbs_no_other(harness: &Real) {
    let (hasty, patient) = (route("hasty", "hasty.test", "x"), route("patient", "patient.test", "x"));
    let impatient = tokio::time::timeout(Duration::from_millis(1), put(harness, &hasty));
    let (gave_up, done) = tokio::join!(impatient, put(harness, &patient));
    assert!(gave_up.is_err());
    done.unwrap();
    assert_eq!(harness.body("patient.test").await.as_deref(), Some("x"));
    put(harness, &hasty).await.unwrap();
    assert_eq!(harness.body("hasty.test").await.as_deref(), Some("x"));
}

async fn a_fault_of_the_moment_refuses_nothing(harness: &Real) {
    harness.containers.next(LOAD, Trouble::Refuses);
    put(harness, &route("momentary", "momentary.test", "x")).await.unwrap();
    assert_eq!(harness.body("momentary.test").await.as_deref(), Some("x"));
}

async fn a_refused_load_changes_nothing(harness: &Real) {
    let refuse_twice = || {
        // The second time Caddy finds it valid, and still doesn't load it.
        harness.containers.next(LOAD, Trouble::Refuses);
        harness.containers.next(LOAD, Trouble::Refuses);
    };
    let old = route("put-back", "put-back.test", "old");
    put(harness, &old).await.unwrap();
    refuse_twice();
    let refusal = rejection(put(harness, &route("put-back", "put-back.test", "new")).await);
    assert!(matches!(refusal, Rejection::ConfigRejected(_)), "{refusal:?}");
    let found = find(harness, "put-back.caddy").await.unwrap();
    assert_eq!((found.contents, found.loaded), (old.contents.clone(), true));

    refuse_twice();
    let new = route("put-new", "put-new.test", "new");
    rejection(put(harness, &new).await);
    assert_eq!(find(harness, "put-new.caddy").await, None);

    refuse_twice();
    let removal = harness.adapter.remove_route(old.mark.instance, &old.mark.site).await;
    rejection(removal);
    assert_eq!(find(harness, "put-back.caddy").await.unwrap().contents, old.contents);
    assert_eq!(harness.body("put-back.test").await.as_deref(), Some("old"));

    // What Caddy refuses to load though it finds it valid is tried again, each by itself.
    refuse_twice();
    let burst: Vec<RouteSpec> =
        (0..4).map(|n| route(&format!("retried-{n}"), &format!("retried-{n}.test"), "x")).collect();
    let results = join_all(burst.iter().map(|spec| put(harness, spec))).await;
    let refused = results.iter().filter(|result| result.is_err()).count();
    assert!(refused <= 1, "{results:?}");
}

async fn files_that_can_t_be_put_in_place_are_reported(harness: &Real) {
    let spec = route("unplaced", "unplaced.test", "x");
    harness.run(&["chmod", "555", "/etc/caddy/sites"]).await;
    let refused = put(harness, &spec).await;
    harness.run(&["chmod", "755", "/etc/caddy/sites"]).await;
    assert!(matches!(refused, Err(EffectError::OutcomeUnknown { .. })), "{refused:?}");
    assert!(refused.unwrap_err().chain().contains("could not be put in place: mv: "));
    assert_eq!(find(harness, "unplaced.caddy").await, None);
    let facts = harness.adapter.route(&spec.mark.site.name).await.unwrap();
    assert!(facts.may_be_served, "Caddy runs it");
    put(harness, &spec).await.unwrap();
    assert!(find(harness, "unplaced.caddy").await.unwrap().loaded);
}

async fn a_failed_candidate_differs_from_a_slow_caddy(harness: &Real) {
    let spec = route("kept-apart", "kept-apart.test", "x");
    harness.containers.next(LOAD, Trouble::Exits(65));
    let refusal = put(harness, &spec).await.unwrap_err();
    assert!(matches!(refusal, EffectError::Transient { .. }), "{refusal:?}");
    assert!(refusal.chain().contains("a candidate can't be staged in Caddy's container: "), "{}", refusal.chain());
    // Caddy may have loaded it before its program was ended.
    harness.containers.next(LOAD, Trouble::Exits(124));
    let unknown = put(harness, &spec).await.unwrap_err();
    assert!(matches!(unknown, EffectError::OutcomeUnknown { .. }), "{unknown:?}");
    assert!(unknown.chain().contains("took longer than 15 s"), "{}", unknown.chain());
    put(harness, &spec).await.unwrap();
    assert_eq!(harness.body("kept-apart.test").await.as_deref(), Some("x"));
}

async fn a_lost_load_is_unknown_and_the_next_change_loads(harness: &Real) {
    let spec = route("lost", "lost.test", "x");
    put(harness, &route("kept", "kept.test", "x")).await.unwrap();
    harness.containers.next(LOAD, Trouble::AnswerLost);
    let lost = put(harness, &spec).await;
    assert!(matches!(lost, Err(EffectError::OutcomeUnknown { .. })), "{lost:?}");
    assert!(find(harness, "lost.caddy").await.is_some_and(|facts| !facts.loaded));
    assert!(find(harness, "kept.caddy").await.is_some_and(|facts| facts.loaded), "others are not in doubt");
    let before = harness.containers.count(LOAD);
    put(harness, &spec).await.unwrap();
    assert_eq!(harness.containers.count(LOAD), before + 1);
    assert!(find(harness, "lost.caddy").await.unwrap().loaded);

    harness.containers.next(LOAD, Trouble::AnswerLost);
    let lost = harness.adapter.remove_route(spec.mark.instance, &spec.mark.site).await;
    assert!(matches!(lost, Err(EffectError::OutcomeUnknown { .. })), "{lost:?}");
    remove(harness, &spec).await;
    assert_eq!(harness.body("lost.test").await, None);

    harness.containers.next(LOAD, Trouble::Refuses);
    harness.containers.next(VALIDATE, Trouble::AnswerLost);
    let harmless = put(harness, &spec).await;
    assert!(matches!(harmless, Err(EffectError::Transient { .. })), "{harmless:?}");
    put(harness, &spec).await.unwrap();
}

async fn a_new_process_does_not_know_what_is_loaded(harness: &Real) {
    let spec = route("known", "known.test", "x");
    put(harness, &spec).await.unwrap();
    // A change is followed by a clearing of the staging directory, which no other process does meanwhile.
    harness.adapter.settle().await.unwrap();
    let another = harness.another();
    let loaded = async || {
        let found = another.routes().await.unwrap().snippets;
        found.into_iter().find(|facts| facts.file == "known.caddy").unwrap().loaded
    };
    assert!(!loaded().await);
    let before = harness.containers.count(LOAD);
    let may_have = async |file: &str| another.routes().await.unwrap().served.may_have(file);
    assert!(may_have("long-gone.caddy").await, "nothing is known yet");
    for _ in 0..2 {
        another.settle().await.unwrap();
        assert!(!may_have("long-gone.caddy").await);
        assert!(loaded().await);
    }
    another.put_route(&spec).await.unwrap();
    assert_eq!(harness.containers.count(LOAD), before + 1, "the first settling, and nothing after it");
    assert!(loaded().await);
}

async fn a_restart_of_caddy_keeps_serving(harness: &Real) {
    put(harness, &route("lasting", "lasting.test", "x")).await.unwrap();
    let (docker, id) = (&harness.server.docker, &harness.server.id);
    docker.stop_container(id, 5).await.unwrap();
    for result in each_call(&harness.adapter).await {
        let error = result.unwrap_err();
        assert!(matches!(error, EffectError::Transient { down: Some(Dependency::CADDY), .. }), "{error:?}");
    }
    docker.start_container(id).await.unwrap();
    harness.answers().await;
    assert_eq!(harness.body("lasting.test").await.as_deref(), Some("x"));
    put(harness, &route("later", "later.test", "x")).await.unwrap();
    assert_eq!(harness.body("later.test").await.as_deref(), Some("x"));
}

async fn each_call(proxy: &Caddy) -> [Effect<()>; 5] {
    let spec = route("unreachable", "unreachable.test", "x");
    [
        proxy.ping().await,
        proxy.routes().await.map(drop),
        proxy.route(&spec.mark.site.name).await.map(drop),
        proxy.put_route(&spec).await,
        proxy.remove_route(spec.mark.instance, &spec.mark.site).await,
    ]
}

async fn a_caddy_that_is_not_there_is_transient(harness: &Real) {
    let nowhere = Caddy::new(harness.containers.clone(), place("hostplane-contract-no-such-container"));
    for result in each_call(&nowhere).await {
        let error = result.unwrap_err();
        assert!(matches!(error, EffectError::Transient { down: Some(Dependency::CADDY), .. }), "{error:?}");
    }
}

/// A visitor who asks for a page gets it. One who sends a form waits in vain: Caddy 2.6 can't send a body once more.
async fn visitors_wait_for_a_site_that_is_about_to_come(harness: &Real) {
    let site = mark("waited");
    let text = route_to("localhost:9099", "waited.test", site.site.id);
    assert!(text.contains("lb_try_duration 2s"), "{text}");
    // A test may take its time.
    let patient = text.replace("lb_try_duration 2s", "lb_try_duration 1m");
    put(harness, &with_mark(site, &["waited.test"], &patient)).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/", harness.server.port);
    let send = |request: reqwest::RequestBuilder| async {
        let response = request.header("Host", "waited.test").send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let page = tokio::spawn(send(client.get(&url)));
    let form = tokio::spawn(send(client.post(&url).body("a=1")));
    // Port 80 in hexadecimal, and an established connection, in the table of the container's own network.
    let connected = ":0050 [0-9A-F]*:[0-9A-F]* 01";
    crate::server::eventually("both are connected", async || {
        harness
            .run(&["grep", "-hc", connected, "/proc/net/tcp", "/proc/net/tcp6"])
            .await
            .lines()
            .any(|count| count == "2")
    })
    .await;
    assert!(!page.is_finished() && !form.is_finished());
    // The upstream is another Caddy: a reload of the first would end the waiting.
    let echo = "{\n\tadmin off\n}\nhttp://:9099 {\n\trespond \"{http.request.method} {http.request.body}\"\n}\n";
    let config = crate::server::file("echo", 1000, echo.to_owned());
    harness.server.docker.upload(&harness.server.id, "/etc/caddy", &[config]).await.unwrap();
    harness.run(&["sh", "-c", "caddy run --config /etc/caddy/echo --adapter caddyfile >/dev/null 2>&1 &"]).await;
    assert_eq!(page.await.unwrap(), (200, "GET ".to_owned()));
    assert_eq!(form.await.unwrap(), (502, String::new()));
}
