//! The gate of the outside world: counts calls and has the planned faults befall them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use hostplane_infra::error::{Dependency, EffectError, Rejection};
use hostplane_infra::gate::{Call, Gate, Kept, LiveGate, Verdict};
use hostplane_testing::fake::{FakeWorld, State};
use tokio::sync::{Notify, watch};

use crate::fault::{CallFault, Past};
use crate::hands;
use crate::owned::Taken;
use crate::owner::OwnerAction;

/// Calls that are made while an owner's update runs.
const UPDATE: usize = 8;

/// The moment at which an abandoned call has its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Landing {
    /// Before this call.
    At(usize),
    /// When the test says so.
    OnDemand,
}

#[derive(Default)]
struct Script {
    armed: bool,
    calls: Vec<Call>,
    at: Vec<(usize, CallFault)>,
    /// The state before the last change, and before the job.
    last_change: State,
    start: State,
    /// Set by the verdict, taken by the call that it was about.
    landing: Option<Landing>,
    kept: Vec<(Landing, Kept)>,
    unreachable: BTreeSet<Dependency>,
    /// Calls that wait for a rival to act.
    waiting: Vec<(CallFault, Arc<Notify>)>,
    /// Calls that wait until others were made.
    let_go_at: Vec<(usize, Arc<Notify>)>,
    /// The next call of this name is refused for good.
    refuse: Option<&'static str>,
    at_refusal: State,
    /// The owner acts before the call of this number.
    owner: Option<(usize, OwnerAction)>,
    taken: Option<Taken>,
    update_ends_at: Option<usize>,
}

pub struct FaultGate {
    world: FakeWorld,
    live: Mutex<Arc<LiveGate>>,
    script: Mutex<Script>,
    pub dead: Arc<AtomicBool>,
    pub died: Arc<Notify>,
    /// Number of calls that waited for a rival to act, since the beginning.
    pub paused: watch::Sender<usize>,
}

impl FaultGate {
    pub fn new(world: FakeWorld) -> Arc<Self> {
        Arc::new(Self {
            world,
            live: Mutex::new(LiveGate::new()),
            script: Mutex::default(),
            dead: Arc::default(),
            died: Arc::default(),
            paused: watch::Sender::new(0),
        })
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on calls are counted, from 0, and meet these faults.
    pub fn arm(&self, at: Vec<(usize, CallFault)>) {
        let state = self.world.state().clone();
        let refuse = self.script().refuse;
        *self.script() =
            Script { armed: true, at, last_change: state.clone(), start: state, refuse, ..Script::default() };
    }

    /// The owner acts before the call of a number.
    pub fn await_owner(&self, owner: Option<(usize, OwnerAction)>) {
        self.script().owner = owner;
    }

    /// The owner's action, once he has taken it.
    pub fn taken(&self) -> Option<Taken> {
        self.script().taken.clone()
    }

    /// No more faults.
    pub fn disarm(&self) {
        let mut script = self.script();
        script.at.clear();
        script.unreachable.clear();
    }

    /// One more fault, so many calls from now.
    pub fn strike_after(&self, calls: usize, fault: CallFault) {
        let mut script = self.script();
        let at = script.calls.len() + calls;
        script.at.push((at, fault));
    }

    /// The next call of a name is refused for good.
    pub fn refuse_next(&self, name: &'static str) {
        self.script().refuse = Some(name);
    }

    /// The state when that call was refused.
    pub fn at_refusal(&self) -> State {
        self.script().at_refusal.clone()
    }

    /// The calls since it was armed, without pings.
    pub fn calls(&self) -> Vec<Call> {
        self.script().calls.clone()
    }

    /// A process starts where one has died: what it knew of its dependencies is gone.
    pub fn restarted(&self) {
        *self.live.lock().unwrap() = LiveGate::new();
        self.dead.store(false, Ordering::SeqCst);
        self.script().waiting.clear();
    }

    /// Everything can be reached again.
    pub fn reconnect(&self) {
        self.script().unreachable.clear();
    }

    /// Has everything land that is on its way.
    pub fn land(&self) {
        let kept = std::mem::take(&mut self.script().kept);
        for (_, work) in kept {
            land(work);
        }
    }

    /// A call that waits, and what is to happen meanwhile.
    pub fn waiting(&self) -> Option<(CallFault, Arc<Notify>)> {
        self.script().waiting.pop()
    }

    /// Lets a waiting call go on when so many more calls have been made.
    pub fn let_go_after(&self, calls: usize, go_on: Arc<Notify>) {
        let mut script = self.script();
        let at = script.calls.len() + calls;
        script.let_go_at.push((at, go_on));
    }

    fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
    }

    fn live(&self) -> Arc<LiveGate> {
        Arc::clone(&self.live.lock().unwrap())
    }

    /// The owner's action before call number `n`.
    fn let_owner_act(&self, script: &mut Script, n: usize) {
        if let Some((_, action)) = script.owner.take_if(|(at, _)| *at == n) {
            script.taken = Some(Taken::now(action, &mut self.world.state()));
            script.update_ends_at = (action == OwnerAction::UpdateRuns).then_some(n + UPDATE);
        }
        if script.update_ends_at.take_if(|at| *at == n).is_some() {
            hands::end_update(&mut self.world.state());
        }
    }

    /// The verdict on call number `n`.
    fn strike(&self, script: &mut Script, n: usize, call: &Call, fault: CallFault) -> Verdict {
        match fault {
            CallFault::Error => Verdict::Fail(EffectError::transient_message(call.name, "reset by peer")),
            CallFault::Refused => Verdict::Fail(refusal(call)),
            CallFault::Outage => {
                script.unreachable.insert(call.dependency);
                Verdict::Fail(unreachable(call))
            }
            CallFault::LostReply => Verdict::RunThenLose,
            CallFault::Late(calls) => {
                script.landing = Some(Landing::At(n + usize::from(calls)));
                Verdict::Late
            }
            CallFault::LateAfterEnd => {
                script.landing = Some(Landing::OnDemand);
                Verdict::Late
            }
            CallFault::Hang => Verdict::Hang,
            CallFault::CrashBefore => {
                self.die();
                Verdict::Hang
            }
            CallFault::CrashAfter => {
                self.die();
                Verdict::RunThenHang
            }
            CallFault::Stale(past) => {
                let past = match past {
                    Past::LastChange => script.last_change.clone(),
                    Past::Start => script.start.clone(),
                };
                self.world.answer_next_read_from(past);
                Verdict::Run
            }
            CallFault::Part(parts) => {
                self.world.break_next_change_off_after(usize::from(parts));
                Verdict::Run
            }
            CallFault::DeliveredTwice | CallFault::ClaimStolen | CallFault::Rival(_) => {
                let go_on = Arc::new(Notify::new());
                script.waiting.push((fault, Arc::clone(&go_on)));
                self.paused.send_modify(|paused| *paused += 1);
                Verdict::Wait(go_on)
            }
        }
    }
}

fn refusal(call: &Call) -> EffectError {
    Rejection::Invalid { by: call.dependency, message: "injected".to_owned() }.into()
}

fn unreachable(call: &Call) -> EffectError {
    EffectError::transient_message(call.name, "connection refused")
}

/// Calls of the fakes are over as soon as they are begun.
fn land(work: Kept) {
    work.now_or_never().expect("a call of a fake needs no time");
}

impl Gate for FaultGate {
    fn admit(&self, call: &Call) -> Verdict {
        if self.dead.load(Ordering::SeqCst) {
            return Verdict::Hang;
        }
        let mut script = self.script();
        if script.unreachable.contains(&call.dependency) {
            return Verdict::Fail(unreachable(call));
        }
        if call.is_ping || !script.armed {
            drop(script);
            return self.live().admit(call);
        }
        let n = script.calls.len();
        script.calls.push(*call);
        self.let_owner_act(&mut script, n);
        script.let_go_at.iter().filter(|(at, _)| *at == n).for_each(|(_, go_on)| go_on.notify_one());
        let due = script.kept.extract_if(.., |(landing, _)| *landing == Landing::At(n)).collect::<Vec<_>>();
        // No reply: the caller has given up.
        for (_, work) in due {
            land(work);
        }
        let verdict = if script.refuse.take_if(|name| *name == call.name).is_some() {
            script.at_refusal = self.world.state().clone();
            Verdict::Fail(refusal(call))
        } else if let Some(fault) = script.at.iter().find(|(at, _)| *at == n).map(|(_, fault)| *fault) {
            self.strike(&mut script, n, call, fault)
        } else {
            Verdict::Run
        };
        if call.changes {
            script.last_change = self.world.state().clone();
        }
        drop(script);
        match verdict {
            Verdict::Run => self.live().admit(call),
            struck => struck,
        }
    }

    fn ended(&self, call: &Call, elapsed: Duration, error: Option<&EffectError>) {
        self.live().ended(call, elapsed, error);
    }

    fn keep(&self, _: &Call, work: Kept) {
        let mut script = self.script();
        let landing = script.landing.take().expect("a late call was judged just before");
        script.kept.push((landing, work));
    }
}
