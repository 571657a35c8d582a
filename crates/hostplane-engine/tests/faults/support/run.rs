//! Runs one plan: gives the order, lets the faults strike, sees the job to its end and judges what is left.

mod owner;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::plan::Goal;
use hostplane_domain::site_kind::SiteKind;
use hostplane_domain::status::SiteStatus;
use hostplane_engine::app::{AppResult, JobView};
use hostplane_engine::operations::OPERATIONS;
use hostplane_infra::gate::Call;
use hostplane_testing::fake::State;
use hostplane_testing::harness::{ControlPlane, is_at_rest, name, new_site, new_site_of};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::check::{self, Verdict};
use crate::fault::{CallFault, Rival};
use crate::harness::{Harness, in_virtual_time};
use crate::owner::OwnerAction;
use crate::plan::Plan;
use crate::scenario::{CHANGES, SITE, Scenario};
use crate::secrets::Log;

/// Longest virtual time of a job; then it counts as lost.
const PATIENCE: Duration = Duration::from_hours(2);
/// Longest idle time; then everything can be reached again.
const OUTAGE: Duration = Duration::from_secs(10);
/// A site that is provisioned and destroyed meanwhile.
const OTHER: &str = "other";

/// The calls and writes of a run without faults.
#[derive(Debug, Clone)]
pub struct Recording {
    pub calls: Vec<Call>,
    pub writes: Vec<&'static str>,
    /// Those before this are the business of the scenario that isn't turned back.
    pub first_call: usize,
    pub first_write: usize,
}

/// The calls and writes of a scenario without other faults than its own.
pub fn recording(scenario: Scenario) -> Recording {
    static RECORDINGS: LazyLock<Mutex<HashMap<Scenario, Recording>>> = LazyLock::new(Mutex::default);
    if let Some(recording) = RECORDINGS.lock().unwrap().get(&scenario) {
        return recording.clone();
    }
    let recorded = execute(&Plan { scenario, strikes: Vec::new() }).expect("a run without faults");
    let recording = match refusal(scenario) {
        None => Recording { calls: recorded.calls, writes: recorded.writes, first_call: 0, first_write: 0 },
        Some(call) => {
            let first_write = recorded.writes.iter().position(|write| *write == "roll_back").expect("it turned back");
            Recording { calls: recorded.calls, writes: recorded.writes, first_call: call + 1, first_write }
        }
    };
    RECORDINGS.lock().unwrap().insert(scenario, recording.clone());
    recording
}

/// The call that is refused so that a job turns back: the last change before its pivot, if the operation makes any.
pub fn turning_point(scenario: Scenario) -> Option<usize> {
    let straight = Scenario { turned: false, ..scenario };
    let is_before_pivot = |call: &Call| call.changes && call.name != "mariadb.confirm_tenant";
    recording(straight).calls.iter().rposition(is_before_pivot)
}

/// The refusal that turns the job of a scenario back.
fn refusal(scenario: Scenario) -> Option<usize> {
    scenario.turned.then(|| turning_point(scenario).expect("it changes something"))
}

/// The course of a run.
#[derive(Debug)]
pub struct Report {
    pub calls: Vec<Call>,
    pub writes: Vec<&'static str>,
    /// Number of the plan's strikes that were reached.
    pub reached: usize,
}

/// Runs a plan, and says why if something doesn't hold.
pub fn execute(plan: &Plan) -> Result<Report, String> {
    let stage = plan.scenario.stage();
    let mut calls = plan.calls();
    calls.extend(refusal(plan.scenario).map(|call| (call, CallFault::Refused)));
    let (log, guard) = Log::capture();
    let (said, plan) = (log.clone(), plan.clone());
    let run = in_virtual_time(async move {
        let mut run = Run::begin(&plan, Harness::on(&stage), calls).await;
        run.see_the_end(&log).await.map(|()| run.report(&plan))
    });
    drop(guard);
    run.flatten().map_err(|wrong| format!("{wrong}\n{}", String::from_utf8_lossy(&said.text())))
}

/// Result of the actions of others while a call was under way.
enum Meanwhile {
    Nothing,
    /// The call goes on later.
    Waits(Arc<Notify>),
    /// An order to cancel the job was taken.
    Cancelled,
    /// Another process goes on instead.
    Stolen(Box<ControlPlane>),
}

struct Run {
    scenario: Scenario,
    owner: Option<(usize, OwnerAction)>,
    /// Nothing but the owner acts.
    only_owner: bool,
    harness: Harness,
    running: ControlPlane,
    paused: watch::Receiver<usize>,
    /// The world's rest before the run, which no job may change.
    rest: State,
    calls: Vec<Call>,
    writes: Vec<&'static str>,
    /// Calls that wait until enough others were made.
    waits: Vec<Arc<Notify>>,
    /// An order to cancel the job was taken.
    cancelled: bool,
}

impl Run {
    async fn begin(plan: &Plan, harness: Harness, calls: Vec<(usize, CallFault)>) -> Self {
        let scenario = plan.scenario;
        let (app, store, background) = harness.open().await;
        let rest = check::without(&harness.world.state(), SITE);
        let paused = harness.gate.paused.subscribe();
        // A repair begins with the first scan, every other operation with an order.
        let begins_by_itself = scenario.operation == OperationName::Repair;
        let arm = || {
            harness.gate.arm(calls.clone());
            harness.gate.await_owner(plan.owner());
            harness.journal.arm(plan.writes());
        };
        if begins_by_itself {
            arm();
        }
        let running = Harness::run(app, store, background);
        if !begins_by_itself {
            sleep(Duration::from_secs(1)).await;
            arm();
        }
        Self {
            scenario,
            owner: plan.owner(),
            only_owner: plan.strikes.len() == 1 && plan.owner().is_some(),
            harness,
            running,
            paused,
            rest,
            calls: Vec::new(),
            writes: Vec::new(),
            waits: Vec::new(),
            cancelled: false,
        }
    }

    fn report(&self, plan: &Plan) -> Report {
        let calls = plan.calls().iter().filter(|(at, _)| *at < self.calls.len()).count();
        let writes = plan.writes().iter().filter(|(at, _)| *at < self.writes.len()).count();
        let taken = usize::from(self.harness.gate.taken().is_some());
        Report { calls: self.calls.clone(), writes: self.writes.clone(), reached: calls + writes + taken }
    }

    async fn see_the_end(&mut self, log: &Log) -> Verdict {
        let job = timeout(PATIENCE, self.order()).await.map_err(|_| "the order is never taken")?;
        if timeout(PATIENCE, self.until_rest(job)).await.is_err() {
            return Err(format!("the job never ends: {:#?}", self.running.app.job(job).await));
        }
        self.harness.gate.disarm();
        self.harness.journal.disarm();
        self.ends_as_is_due(job).await?;
        let ended = self.retried_by_the_operator(job).await?;
        self.settle().await?;
        self.ends_at_one_end(&ended).await?;
        self.is_the_owner_s().await?;
        self.can_go_on(&ended).await?;
        let jobs = self.running.all_jobs().await;
        check::is_legal(&jobs)?;
        check::is_quiet(&self.harness, &self.running).await?;
        if check::without(&self.harness.world.state(), SITE) != self.rest {
            return Err("something else changed".to_owned());
        }
        check::is_whole(&self.harness, &self.running, SiteKind::Wordpress, "bystander").await?;
        let sites: Vec<SiteId> = jobs.iter().map(|job| job.record.site_id).collect();
        check::keeps_secrets(&self.harness, &log.text(), sites)
    }

    /// Gives the order until it is taken: what fails without having done anything is asked for again.
    async fn order(&mut self) -> JobId {
        loop {
            if let Some(Ok(job)) = self.asked().await {
                return job;
            }
            // It may have been taken although the answer is lost.
            let newest = tokio::select! {
                biased;
                () = self.harness.gate.died.notified() => None,
                newest = self.scenario.newest(&self.running.app) => Some(newest),
            };
            match newest {
                Some(Ok(Some(job))) => return job,
                // An operator who reads that a dependency is down asks again when it may be up.
                Some(_) => {
                    sleep(OUTAGE).await;
                    self.harness.gate.reconnect();
                }
                None => self.restart().await,
            }
        }
    }

    /// Gives the order once; `None` when the process died over it.
    async fn asked(&mut self) -> Option<AppResult<JobId>> {
        // A task of its own: it goes on while others act.
        let mut order = tokio::spawn(self.scenario.ask(self.running.app.clone()));
        loop {
            tokio::select! {
                biased;
                () = self.harness.gate.died.notified() => break,
                Ok(()) = self.paused.changed() => self.let_others_act(None).await,
                asked = &mut order => return Some(asked.expect("an order never panics")),
                () = sleep(OUTAGE) => {
                    self.harness.gate.reconnect();
                    self.waits.drain(..).for_each(|go_on| go_on.notify_one());
                }
            }
        }
        order.abort();
        let _ = order.await;
        self.restart().await;
        None
    }

    /// Waits for the job's end, through crashes and rivals. Outages end after a while.
    async fn until_rest(&mut self, job: JobId) {
        loop {
            tokio::select! {
                biased;
                () = self.harness.gate.died.notified() => self.restart().await,
                Ok(()) = self.paused.changed() => self.let_others_act(Some(job)).await,
                view = self.running.app.job_when(job, is_at_rest) => {
                    if view.is_ok() {
                        break;
                    }
                }
                () = sleep(OUTAGE) => self.harness.gate.reconnect(),
            }
        }
        // Scans after its end are no part of it.
        (self.calls, self.writes) = (self.harness.gate.calls(), self.harness.journal.writes());
        // Calls that still wait go on now, and may even end the process.
        self.waits.drain(..).for_each(|go_on| go_on.notify_one());
        let died = tokio::select! {
            biased;
            () = self.harness.gate.died.notified() => true,
            () = sleep(Duration::from_secs(1)) => false,
        };
        if died {
            self.restart().await;
        }
    }

    async fn restart(&mut self) {
        self.harness.kill(&mut self.running).await;
        self.harness.gate.restarted();
        self.running = self.harness.start().await;
    }

    /// Others act while a call is under way; or the process dies over it.
    async fn let_others_act(&mut self, job: Option<JobId>) {
        while let Some((fault, go_on)) = self.harness.gate.waiting() {
            let acted = tokio::select! {
                biased;
                () = self.harness.gate.died.notified() => None,
                acted = self.meanwhile(fault, go_on, job) => Some(acted),
            };
            match acted {
                None => self.restart().await,
                Some(Meanwhile::Nothing) => {}
                Some(Meanwhile::Waits(go_on)) => self.waits.push(go_on),
                Some(Meanwhile::Cancelled) => self.cancelled = true,
                Some(Meanwhile::Stolen(thief)) => {
                    self.harness.kill(&mut self.running).await;
                    self.running = *thief;
                }
            }
        }
    }

    async fn meanwhile(&self, fault: CallFault, go_on: Arc<Notify>, job: Option<JobId>) -> Meanwhile {
        match (fault, job) {
            (CallFault::DeliveredTwice, _) => {
                // The first run goes on in the middle of the second.
                let calls = self.harness.gate.calls().len();
                self.harness.gate.let_go_after(calls * 7 % 13 + 1, Arc::clone(&go_on));
                self.harness.deliver_again().await;
                Meanwhile::Waits(go_on)
            }
            (CallFault::ClaimStolen, _) => {
                // The first run goes on when the second has ended.
                let thief = self.harness.start_another().await;
                while let Some(job) = job {
                    tokio::select! {
                        biased;
                        _ = thief.at_rest(job) => break,
                        () = sleep(OUTAGE) => {
                            self.harness.gate.reconnect();
                            // No rival acts while the thief is held up.
                            while let Some((_, go_on)) = self.harness.gate.waiting() {
                                go_on.notify_one();
                            }
                        }
                    }
                }
                sleep(Duration::from_secs(20)).await;
                go_on.notify_one();
                sleep(Duration::from_secs(1)).await;
                Meanwhile::Stolen(Box::new(thief))
            }
            (CallFault::Rival(rival), Some(job)) => {
                let cancelled = self.rival(rival, job).await;
                go_on.notify_one();
                if cancelled { Meanwhile::Cancelled } else { Meanwhile::Nothing }
            }
            (CallFault::Rival(_), None) => {
                go_on.notify_one();
                Meanwhile::Nothing
            }
            (other, _) => unreachable!("{other} waits for no rival"),
        }
    }

    /// Acts as a rival; answers `true` if its order to cancel the job was taken.
    async fn rival(&self, rival: Rival, job: JobId) -> bool {
        let app = self.running.app.clone();
        match rival {
            Rival::Observer => {
                app.site(&name(SITE)).await.ok();
                app.sites(&hostplane_engine::store::SiteFilter { limit: 100, ..Default::default() }).await.unwrap();
                app.readiness().await;
                let _ = app.drift();
                let _ = app.orphans();
                app.reconcile(true).await.ok();
                self.running.all_jobs().await;
            }
            Rival::Orders => {
                assert!(app.destroy_site(&name(SITE)).await.is_err(), "a job holds the site");
                assert!(app.retry_job(job).await.is_err(), "the job goes on by itself");
                if self.scenario.from != SiteStatus::Destroyed {
                    assert!(
                        app.create_site(&new_site_of(self.scenario.kind, SITE)).await.is_err(),
                        "the name is taken"
                    );
                }
            }
            Rival::Cancel => {
                let has_a_way_back = OPERATIONS.iter().any(|o| o.name == self.scenario.operation && o.pivot.is_some());
                let cancelled = app.cancel_job(job).await;
                if !has_a_way_back {
                    assert!(cancelled.is_err(), "{} has no way back", self.scenario.operation);
                }
                return cancelled.is_ok();
            }
            Rival::OtherSite => {
                let made = app.create_site(&new_site(OTHER)).await.unwrap().1.record.id;
                assert_eq!(self.running.at_rest(made).await.record.state, JobState::Completed);
                let gone = app.destroy_site(&name(OTHER)).await.unwrap().record.id;
                assert_eq!(self.running.at_rest(gone).await.record.state, JobState::Completed);
            }
        }
        false
    }

    /// A job that needs an operator says what is left, and goes on when it is retried.
    async fn retried_by_the_operator(&mut self, job: JobId) -> Result<JobView, String> {
        let mut ended = self.running.at_rest(job).await;
        for _ in 0..3 {
            if ended.record.state != JobState::NeedsOperator {
                return Ok(ended);
            }
            let account = ended.record.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
            if !account.contains("left") {
                return Err(format!("the job doesn't say what is left: {account}"));
            }
            self.running.app.retry_job(job).await.map_err(|error| format!("the job can't be retried: {error}"))?;
            ended = timeout(PATIENCE, self.running.at_rest(job)).await.map_err(|_| "the retried job never ends")?;
        }
        Err(format!("the job still needs an operator: {:#?}", ended.record))
    }

    /// Lets late effects land and gives scans the time to find them. Orphans that could hold data are removed by hand.
    async fn settle(&mut self) -> Verdict {
        sleep(Duration::from_secs(1)).await;
        self.harness.gate.land();
        for _ in 0..20 {
            if self.owner.is_some() {
                self.scan_deeply().await;
            }
            sleep(Duration::from_secs(70)).await;
            let orphans = self.running.remove_orphans().await;
            if orphans == 0 && self.running.all_jobs().await.iter().all(is_at_rest) {
                return Ok(());
            }
        }
        Err("some job never ends".to_owned())
    }

    /// The world is as it was before, or as it was to be.
    async fn ends_at_one_end(&self, ended: &JobView) -> Verdict {
        let operation = OPERATIONS.iter().find(|operation| operation.name == self.scenario.operation);
        let before = ended.record.before.as_ref();
        let goal = operation.map(|operation| operation.goal);
        let state = ended.record.state;
        if self.cancelled != (state == JobState::Cancelled) {
            return Err(format!("the job is {state}, cancelled: {}", self.cancelled));
        }
        let is_there = match state {
            JobState::Completed => matches!(goal, Some(Goal::Present | Goal::Repaired)),
            _ => before.is_some(),
        };
        if is_there {
            let theirs = self.harness.gate.taken().and_then(|taken| taken.action.shows());
            check::is_whole_but(&self.harness, &self.running, self.scenario.kind, SITE, theirs).await
        } else {
            check::is_gone(&self.harness, SITE)
        }
        .map_err(|wrong| format!("the job is {state}, and {wrong}; {:#?}", ended.record))?;
        if !is_there || goal != Some(Goal::Present) {
            return Ok(());
        }
        let shown = self.running.app.site(&name(SITE)).await.map_err(|error| error.to_string())?;
        let end = if state == JobState::Completed { &ended.record.after } else { &ended.record.before };
        if shown.view.record.spec != *end {
            return Err(format!("the job is {state}, and its site is {:#?}", shown.view.record.spec));
        }
        Ok(())
    }

    /// A site that failed can be provisioned after all, and every name can be used again.
    async fn can_go_on(&self, ended: &JobView) -> Verdict {
        let is_change = CHANGES.iter().any(|change| change.operation() == self.scenario.operation);
        let next = match (self.scenario.operation, ended.record.state) {
            (OperationName::Provision, JobState::Failed | JobState::Cancelled) => {
                self.running.app.retry_job(ended.record.id).await.map_err(|error| error.to_string())?
            }
            (OperationName::Destroy, JobState::Completed) => {
                self.running
                    .app
                    .create_site(&new_site_of(self.scenario.kind, SITE))
                    .await
                    .map_err(|error| error.to_string())?
                    .1
            }
            (_, JobState::Failed | JobState::Cancelled) if is_change => {
                let app = self.running.app.clone();
                let job = self.scenario.ask(app).await.map_err(|error| error.to_string())?;
                self.running.app.job(job).await.map_err(|error| error.to_string())?
            }
            _ => return Ok(()),
        };
        let next =
            timeout(PATIENCE, self.running.at_rest(next.record.id)).await.map_err(|_| "the next job never ends")?;
        if is_change {
            self.next_is_due(&next)?;
            return self.is_the_owner_s().await;
        }
        if next.record.state != JobState::Completed {
            return Err(format!("the next job is {}: {:?}", next.record.state, next.record.error));
        }
        check::is_whole(&self.harness, &self.running, self.scenario.kind, SITE).await
    }
}
