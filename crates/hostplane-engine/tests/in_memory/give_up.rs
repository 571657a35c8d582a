//! Jobs that need an operator are given up: each frees its site in a status, and with a spec, that is known beforehand.

use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::plan::Goal;
use hostplane_domain::site_change::{LimitsPatch, PhpPatch, SettingsPatch, SiteChange};
use hostplane_domain::status::SiteStatus;
use hostplane_domain::wordpress::SiteImages;
use hostplane_engine::app::AppError;
use hostplane_engine::operations::OPERATIONS;
use hostplane_infra::error::{Dependency, EffectError, Rejection};
use hostplane_infra::gate::Verdict;
use hostplane_testing::harness::{NGINX_IMAGE, PHP_IMAGE, name};

use crate::drift::{new_in_service, repair_completes, repaired};
use crate::harness::Harness;

/// The status that a site has after its job was given up. It keeps the spec that it had before.
fn kept(operation: OperationName) -> Option<SiteStatus> {
    match operation {
        OperationName::Provision => Some(SiteStatus::Failed),
        OperationName::Update
        | OperationName::Upgrade
        | OperationName::Suspend
        | OperationName::Resume
        | OperationName::Rotate
        | OperationName::Repair => Some(SiteStatus::Active),
        // What a destroy has removed can't be brought back, so it only goes on. A collect concerns a site that is not in
        // service; recovery.rs has one. The last two touch neither files nor containers, so the loss of those holds up
        // neither.
        OperationName::Destroy | OperationName::Collect | OperationName::Restrict | OperationName::Lift => None,
    }
}

fn change(operation: OperationName) -> SiteChange {
    let php = PhpPatch { memory_mib: Some(128), ..PhpPatch::default() };
    let images = SiteImages { php: PHP_IMAGE.to_owned(), nginx: NGINX_IMAGE.to_owned() };
    match operation {
        OperationName::Update => SiteChange::Settings(SettingsPatch { php, limits: LimitsPatch::default() }),
        OperationName::Upgrade => SiteChange::Upgrade { images, mail: None },
        OperationName::Suspend => SiteChange::Suspended(true),
        OperationName::Resume => SiteChange::Suspended(false),
        OperationName::Rotate => SiteChange::Secrets { generation: 1 },
        other => unreachable!("{other} is no change"),
    }
}

/// The volume with the site's files is gone: no job goes on, nor back.
async fn a_change_is_stuck(operation: OperationName) {
    let (harness, running) = new_in_service().await;
    if operation == OperationName::Resume {
        let suspended = running.change("hello", &SiteChange::Suspended(true)).await;
        running.completed(suspended).await;
    }
    let (spec, before) = (running.site("hello").await.record.spec, harness.state());
    {
        let mut state = harness.world.state();
        state.containers.containers.clear();
        state.containers.volumes.remove("wp_hello").unwrap();
    }
    let job = if operation == OperationName::Repair {
        running.scan(1).await;
        repaired(&running, 1).await.record.id
    } else {
        running.change("hello", &change(operation)).await
    };
    assert_eq!(running.ended(job).await.record.state, JobState::NeedsOperator, "{operation}");
    let given_up = running.app.cancel_job(job).await.unwrap().record;
    assert_eq!(given_up.state, JobState::Cancelled);
    let site = running.site("hello").await;
    assert_eq!((site.record.status, &site.record.spec), (kept(operation).unwrap(), &spec), "{operation}");
    assert_eq!(site.active_job, None);
    assert!(!harness.state().containers.volumes.contains_key("wp_hello"));
    // The operator brings the data back, and the site is repaired to the spec that it has.
    harness
        .world
        .state()
        .containers
        .volumes
        .insert("wp_hello".to_owned(), before.containers.volumes["wp_hello"].clone());
    running.scan(1).await;
    let repairs = usize::from(operation == OperationName::Repair) + 1;
    repair_completes(&running, repairs).await;
    running.assert_whole("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn every_change_and_repair_can_be_given_up() {
    let changes = OPERATIONS.iter().filter(|operation| kept(operation.name) == Some(SiteStatus::Active));
    for operation in changes {
        assert_ne!(operation.goal, Goal::Absent);
        a_change_is_stuck(operation.name).await;
    }
}

fn denied() -> Verdict {
    let message = "DROP command denied".to_owned();
    Verdict::Fail(EffectError::Rejected(Rejection::AccessDenied { by: Dependency::Mariadb, message }))
}

#[tokio::test]
async fn a_provision_that_is_given_up_has_failed_and_can_be_destroyed() {
    let harness = Harness::new().await;
    let running = harness.start().await;
    harness.gate.next("wordpress.install", Verdict::Fail(Rejection::WouldLoseData("x".into()).into()));
    harness.gate.next("mariadb.remove_tenant", denied());
    let job = running.create("hello").await;
    assert_eq!(running.ended(job).await.record.state, JobState::NeedsOperator);
    // A provision that may have been confirmed isn't given up: its site would be taken for left over.
    harness.gate.cut_off(Dependency::Mariadb);
    assert!(matches!(running.app.cancel_job(job).await, Err(AppError::NotCancellable(_))));
    harness.gate.reconnect(Dependency::Mariadb);
    harness.world.state().databases.ledger.get_mut("wp_hello").unwrap().confirmed = true;
    assert!(matches!(running.app.cancel_job(job).await, Err(AppError::NotCancellable(_))));
    harness.world.state().databases.ledger.get_mut("wp_hello").unwrap().confirmed = false;
    running.app.cancel_job(job).await.unwrap();
    let site = running.site("hello").await.record;
    assert_eq!((Some(site.status), site.spec), (kept(OperationName::Provision), None));
    running.destroyed("hello").await;
    running.stop().await;
}

#[tokio::test]
async fn a_destroy_only_goes_on() {
    let (harness, running) = new_in_service().await;
    harness.gate.next("mariadb.remove_tenant", denied());
    let job = running.destroy("hello").await;
    assert_eq!(running.ended(job).await.record.state, JobState::NeedsOperator);
    let refused = running.app.cancel_job(job).await.unwrap_err();
    assert!(matches!(refused, AppError::NotCancellable(_)), "{refused}");
    running.retried(job).await;
    assert!(running.app.site(&name("hello")).await.is_err());
    running.stop().await;
}
