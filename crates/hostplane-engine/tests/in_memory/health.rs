//! WordPress's own word about its health: in scans, for changes and for new sites.

use hostplane_domain::drift::Remediation;
use hostplane_domain::job::JobState;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_domain::probe_key::PROBE_PATH;
use hostplane_domain::site_change::SiteChange;
use hostplane_domain::status::SiteStatus;
use hostplane_testing::fake::{ANSWERS, State};

use crate::drift::{new_in_service, repair_completes, scan_finds};
use crate::harness::Harness;

/// Words for the plugin that the fake's sites have.
const FATAL: &str = "a fatal error in wp-content/plugins/answers, line 1";

/// Gives the site a configuration of its owner's that doesn't load the hooks, so that nothing answers a question.
fn leave_out_the_hooks(state: &mut State) {
    let generated = state.containers.read_file("php_hello", "wp-config.php").expect("the generated configuration");
    let generated = String::from_utf8_lossy(&generated).into_owned();
    let own: Vec<&str> = generated.lines().filter(|line| !line.starts_with("require ")).collect();
    state.containers.write_file("wp_hello", "wp-config.php", own.join("\n"));
}

#[tokio::test]
async fn an_owner_s_pages_are_no_drift() {
    for has_hooks in [true, false] {
        for status in [302, 401, 403, 404, 503] {
            let (harness, running) = new_in_service().await;
            harness.world.state().containers.write_file("wp_hello", ANSWERS, format!("/ {status}"));
            if !has_hooks {
                leave_out_the_hooks(&mut harness.world.state());
            }
            scan_finds(&running, &[]).await;
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn a_wordpress_that_fails_is_reported_with_the_place() {
    for (answers, says) in
        [(format!("{PROBE_PATH} 500"), FATAL.to_owned()), ("/ 500".to_owned(), format!("status 500: {FATAL}"))]
    {
        let (harness, running) = new_in_service().await;
        harness.world.state().containers.write_file("wp_hello", ANSWERS, answers);
        scan_finds(&running, &[(ResourceKind::Serving, Reason::Page, Remediation::Operator)]).await;
        let found = running.app.drift().sites;
        assert!(found[0].drifts[0].detail.contains(&says), "{found:?}");
        running.stop().await;
    }
}

#[tokio::test]
async fn without_an_answer_a_failing_page_is_reported() {
    let (harness, running) = new_in_service().await;
    leave_out_the_hooks(&mut harness.world.state());
    harness.world.state().containers.write_file("wp_hello", ANSWERS, "/ 500");
    scan_finds(&running, &[(ResourceKind::Serving, Reason::Page, Remediation::Operator)]).await;
    running.stop().await;
}

#[tokio::test]
async fn a_change_that_breaks_wordpress_is_taken_back() {
    let (harness, running) = new_in_service().await;
    let world = harness.world.clone();
    harness.gate.before("docker.create_container", move || {
        world.state().containers.write_file("wp_hello", ANSWERS, format!("{PROBE_PATH} 500"));
    });
    let job = running.change("hello", &SiteChange::Secrets { generation: 1 }).await;
    let job = running.ended(job).await;
    assert_eq!(job.record.state, JobState::Failed);
    let message = job.record.error.expect("an error").message;
    assert!(message.contains(&format!("{FATAL}, which is worse than before the change (serving)")), "{message}");
    running.assert_whole("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn a_site_that_was_failing_before_is_changed() {
    let (harness, running) = new_in_service().await;
    harness.world.state().containers.write_file("wp_hello", ANSWERS, format!("{PROBE_PATH} 500\n/ 500"));
    let job = running.change("hello", &SiteChange::Secrets { generation: 1 }).await;
    running.completed(job).await;
    running.stop().await;
}

#[tokio::test]
async fn a_new_site_that_says_it_fails_is_rolled_back() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    let world = harness.world.clone();
    harness.gate.before("wordpress.install", move || {
        world.state().containers.write_file("wp_hello", ANSWERS, format!("{PROBE_PATH} 500"));
    });
    let job = running.create("hello").await;
    let message = running.ended(job).await.record.error.expect("an error").message;
    assert!(message.contains(FATAL), "{message}");
    assert_eq!(running.status("hello").await, SiteStatus::Failed);
    running.stop().await;
}

#[tokio::test]
async fn compiled_code_is_forgotten_after_core_was_laid_again() {
    let (harness, running) = new_in_service().await;
    {
        let mut state = harness.world.state();
        state.containers.write_file("wp_hello", "index.php", "<?php // of the next version");
        state.containers.write_file("wp_hello", ".maintenance", "<?php $upgrading = 1500000000; ?>");
    }
    running.scan_deeply().await;
    repair_completes(&running, 1).await;
    let calls = harness.gate.calls();
    let position = |name: &str| calls.iter().position(|call| call.name == name).expect(name);
    assert!(position("wordpress.repair_core") < position("probe.reset_code"));
    running.stop().await;
}
