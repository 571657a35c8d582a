//! A control plane under orders and faults that come in any order, over several sites.

use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::job::JobState;
use hostplane_domain::site_kind::SiteKind;
use hostplane_domain::status::SiteStatus;
use hostplane_engine::app::{AppError, AppResult};
use hostplane_engine::store::SiteFilter;
use hostplane_testing::harness::{ControlPlane, is_at_rest, name, new_site_of};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::check::{self, Verdict};
use crate::fault::{CallFault, WriteFault};
use crate::harness::{Harness, Stage};
use crate::scenario::change;
use crate::secrets::Log;

/// The sites that are ordered about, each with its kind.
pub const SITES: [(SiteKind, &str); 4] = [
    (SiteKind::Wordpress, "alpha"),
    (SiteKind::Wordpress, "beta"),
    (SiteKind::Wordpress, "gamma"),
    (SiteKind::Tiny, "delta"),
];

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// An order, sensible or not.
    Create(usize),
    Destroy(usize),
    Retry(usize),
    Cancel(usize),
    Change(usize, usize),
    /// Seconds pass.
    Pass(u64),
    /// The process dies, whatever it is doing.
    Crash,
    /// A fault strikes after this number of calls, or writes.
    Call(usize, #[serde(with = "as_text")] CallFault),
    Write(usize, #[serde(with = "as_text")] WriteFault),
    /// Late effects land.
    Land,
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T: std::str::FromStr<Err = String>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

pub struct Machine {
    harness: Harness,
    running: ControlPlane,
    paused: watch::Receiver<usize>,
    waiting: Vec<Arc<Notify>>,
    before: hostplane_testing::fake::State,
}

/// Result of the actions of others while a call was under way.
enum Meanwhile {
    Nothing,
    /// The call goes on later.
    Waits(Arc<Notify>),
    /// Another process goes on instead.
    Stolen(Box<ControlPlane>),
}

/// All calls and all writes, to compare two runs by.
pub type Trace = (Vec<&'static str>, Vec<&'static str>);

impl Machine {
    pub async fn new(stage: &Stage) -> Self {
        let harness = Harness::on(stage);
        let before = without_sites(&harness);
        let running = harness.start().await;
        let paused = harness.gate.paused.subscribe();
        sleep(Duration::from_secs(1)).await;
        harness.gate.arm(Vec::new());
        harness.journal.arm(Vec::new());
        Self { harness, running, paused, waiting: Vec::new(), before }
    }

    pub fn trace(&self) -> Trace {
        (self.harness.gate.calls().iter().map(|call| call.name).collect(), self.harness.journal.writes())
    }

    pub async fn act(&mut self, action: &Action) -> Verdict {
        match *action {
            Action::Create(site) => {
                let (app, (kind, site)) = (self.running.app.clone(), SITES[site]);
                self.order(async move { app.create_site(&new_site_of(kind, site)).await.map(drop) }).await
            }
            Action::Destroy(site) => {
                let app = self.running.app.clone();
                self.order(async move { app.destroy_site(&name(SITES[site].1)).await.map(drop) }).await
            }
            Action::Change(site, which) => {
                let (app, (kind, site)) = (self.running.app.clone(), SITES[site]);
                self.order(async move { app.change_site(&name(site), &change(kind, which)).await.map(drop) }).await
            }
            Action::Retry(site) => self.order_about_newest(site, true).await,
            Action::Cancel(site) => self.order_about_newest(site, false).await,
            Action::Pass(seconds) => {
                self.pass(Duration::from_secs(seconds)).await;
                self.harness.gate.reconnect();
                self.let_go();
                Ok(())
            }
            Action::Crash => {
                self.restart().await;
                Ok(())
            }
            Action::Call(after, fault) => {
                self.harness.gate.strike_after(after, fault);
                Ok(())
            }
            Action::Write(after, fault) => {
                self.harness.journal.strike_after(after, fault);
                Ok(())
            }
            Action::Land => {
                self.harness.gate.land();
                Ok(())
            }
        }
    }

    async fn order_about_newest(&mut self, site: usize, retry: bool) -> Verdict {
        let app = self.running.app.clone();
        let filter = hostplane_engine::store::JobFilter { limit: 1, ..Default::default() };
        self.order(async move {
            let Some(newest) = app.jobs(Some(&name(SITES[site].1)), &filter).await?.rows.pop() else { return Ok(()) };
            let id = newest.record.id;
            if retry { app.retry_job(id).await.map(drop) } else { app.cancel_job(id).await.map(drop) }
        })
        .await
    }

    /// Gives an order: it is taken or refused with a reason, or the process dies over it.
    async fn order(&mut self, order: impl Future<Output = AppResult<()>>) -> Verdict {
        let asked = tokio::select! {
            biased;
            () = self.harness.gate.died.notified() => None,
            asked = order => Some(asked),
        };
        match asked {
            None => self.restart().await,
            // The disk may be full: then the order was not taken, or it was and the answer is lost.
            Some(Ok(()) | Err(AppError::Store(_))) => {}
            Some(Err(refused)) => {
                let text = refused.to_string();
                if text.is_empty() {
                    return Err("an order is refused without a word".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Lets time pass, through crashes and waits.
    async fn pass(&mut self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        loop {
            tokio::select! {
                biased;
                () = self.harness.gate.died.notified() => self.restart().await,
                Ok(()) = self.paused.changed() => self.let_others_act().await,
                () = tokio::time::sleep_until(end) => break,
            }
        }
    }

    async fn let_others_act(&mut self) {
        while let Some((fault, go_on)) = self.harness.gate.waiting() {
            let acted = tokio::select! {
                biased;
                () = self.harness.gate.died.notified() => None,
                acted = self.meanwhile(fault, go_on) => Some(acted),
            };
            match acted {
                None => self.restart().await,
                Some(Meanwhile::Nothing) => {}
                Some(Meanwhile::Waits(go_on)) => self.waiting.push(go_on),
                Some(Meanwhile::Stolen(thief)) => {
                    self.harness.kill(&mut self.running).await;
                    self.running = *thief;
                }
            }
        }
    }

    async fn meanwhile(&self, fault: CallFault, go_on: Arc<Notify>) -> Meanwhile {
        match fault {
            CallFault::DeliveredTwice => {
                let calls = self.harness.gate.calls().len();
                self.harness.gate.let_go_after(calls * 7 % 13 + 1, Arc::clone(&go_on));
                self.harness.deliver_again().await;
                Meanwhile::Waits(go_on)
            }
            CallFault::ClaimStolen => {
                let thief = self.harness.start_another().await;
                sleep(Duration::from_secs(20)).await;
                go_on.notify_one();
                sleep(Duration::from_secs(1)).await;
                Meanwhile::Stolen(Box::new(thief))
            }
            _ => {
                go_on.notify_one();
                Meanwhile::Nothing
            }
        }
    }

    fn let_go(&mut self) {
        self.waiting.drain(..).for_each(|go_on| go_on.notify_one());
    }

    async fn restart(&mut self) {
        self.harness.kill(&mut self.running).await;
        self.waiting.clear();
        self.harness.gate.restarted();
        self.running = self.harness.start().await;
    }

    /// The faults end, and so must every job: by itself, or once an operator retries it.
    pub async fn see_the_end(&mut self, log: &Log) -> Verdict {
        self.harness.gate.disarm();
        self.harness.journal.disarm();
        self.pass(Duration::from_secs(70)).await;
        self.harness.gate.land();
        for _ in 0..30 {
            self.let_go();
            self.pass(Duration::from_secs(140)).await;
            let orphans = self.running.remove_orphans().await;
            let jobs = self.running.all_jobs().await;
            let stuck: Vec<_> = jobs.iter().filter(|job| job.record.state == JobState::NeedsOperator).collect();
            if orphans == 0 && stuck.is_empty() && jobs.iter().all(is_at_rest) {
                return self.judge(log).await;
            }
            for job in stuck {
                let retried = self.running.app.retry_job(job.record.id).await;
                retried.map_err(|error| format!("job {} can't be retried: {error}", job.record.id))?;
            }
        }
        let open: Vec<_> = self.running.all_jobs().await.into_iter().filter(|job| !is_at_rest(job)).collect();
        Err(format!("some job never ends: {open:#?}"))
    }

    async fn judge(&self, log: &Log) -> Verdict {
        let jobs = self.running.all_jobs().await;
        check::is_legal(&jobs)?;
        let filter = SiteFilter { limit: 100, ..SiteFilter::default() };
        let there = self.running.app.sites(&filter).await.map_err(|error| error.to_string())?;
        for (kind, site) in SITES {
            let status =
                there.rows.iter().find(|view| view.record.site.name == name(site)).map(|view| view.record.status);
            match status {
                Some(SiteStatus::Active) => check::is_whole(&self.harness, &self.running, kind, site).await?,
                None | Some(SiteStatus::Failed) => check::is_gone(&self.harness, site)?,
                Some(other) => return Err(format!("{site} is {other} though nothing is under way")),
            }
        }
        check::is_quiet(&self.harness, &self.running).await?;
        if without_sites(&self.harness) != self.before {
            return Err("something else changed".to_owned());
        }
        check::is_whole(&self.harness, &self.running, SiteKind::Wordpress, "bystander").await?;
        check::keeps_secrets(&self.harness, &log.text(), jobs.iter().map(|job| job.record.site_id))
    }
}

fn without_sites(harness: &Harness) -> hostplane_testing::fake::State {
    let state = harness.world.state().clone();
    SITES.iter().fold(state, |state, (_, site)| check::without(&state, site))
}
