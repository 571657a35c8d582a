//! The one gate that every outside call passes: deadline and breaker in life, the fault plan in tests.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, histogram};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::error::{Dependency, Effect, EffectError};

/// An outside call, as the gate sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Stable name: `docker.create_volume`.
    pub name: &'static str,
    /// Whom it asks.
    pub dependency: Dependency,
    /// Whether it may change something, so that a missing answer leaves the outcome unknown.
    pub changes: bool,
    /// Whether it is the dependency's ping, which passes even while the breaker is open.
    pub is_ping: bool,
    /// How long it may take.
    pub deadline: Duration,
}

impl Call {
    /// A call that changes nothing.
    #[must_use]
    pub const fn read(name: &'static str, dependency: Dependency, deadline: Duration) -> Self {
        Self { name, dependency, changes: false, is_ping: false, deadline }
    }

    /// A call that may change something.
    #[must_use]
    pub const fn change(name: &'static str, dependency: Dependency, deadline: Duration) -> Self {
        Self { name, dependency, changes: true, is_ping: false, deadline }
    }

    /// The call that tells whether the dependency is up.
    #[must_use]
    pub const fn ping(name: &'static str, dependency: Dependency) -> Self {
        Self { name, dependency, changes: false, is_ping: true, deadline: Duration::from_secs(3) }
    }
}

/// What is to happen to a call. The gate in life knows only the first two; the others are what can befall a
/// call on its way, for tests to choose.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is made.
    Run,
    /// It is not made, and fails like this.
    Fail(EffectError),
    /// It is made, and its reply is lost.
    RunThenLose,
    /// It is not made, and never answers.
    Hang,
    /// It is made, and never answers.
    RunThenHang,
    /// It never answers, and is made at a time of its own: the gate keeps it.
    Late,
    /// It is made once this is notified.
    Wait(Arc<Notify>),
}

/// A call that nobody waits for any more. It is made when it is polled.
pub type Kept = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Decides over calls and learns how they ended.
pub trait Gate: Send + Sync {
    /// Asked before each call.
    fn admit(&self, call: &Call) -> Verdict;
    /// EventBus after each call.
    fn ended(&self, call: &Call, elapsed: Duration, error: Option<&EffectError>);
    /// Given each call that was judged [`Verdict::Late`]; a gate that never judges so has nothing to keep.
    fn keep(&self, _call: &Call, _work: Kept) {}
}

/// Makes a call through the gate. The work owns all that it needs, because it may outlive its caller.
///
/// # Errors
/// Those of the call; a deadline that passes leaves the outcome of a changing call unknown, and makes
/// any other transient.
pub async fn pass<T: Send + 'static>(
    gate: &dyn Gate,
    call: Call,
    work: impl Future<Output = Effect<T>> + Send + 'static,
) -> Effect<T> {
    let started = Instant::now();
    let late = || {
        let message = format!("no answer within {} s", call.deadline.as_secs());
        if call.changes {
            EffectError::unknown_message(call.name, message)
        } else {
            EffectError::transient_message(call.name, message)
        }
    };
    let result = match gate.admit(&call) {
        Verdict::Run => timeout(call.deadline, work).await.unwrap_or_else(|_| Err(late())),
        Verdict::Fail(error) => Err(error),
        Verdict::RunThenLose => match timeout(call.deadline, work).await {
            Ok(_) if call.changes => Err(EffectError::unknown_message(call.name, "the reply was lost")),
            Ok(_) => Err(EffectError::transient_message(call.name, "the reply was lost")),
            Err(_) => Err(late()),
        },
        Verdict::RunThenHang => {
            let silent = async {
                // Whatever came of it, nobody is told.
                let _ = work.await;
                pending().await
            };
            timeout(call.deadline, silent).await.unwrap_or_else(|_| Err(late()))
        }
        Verdict::Hang => timeout(call.deadline, pending()).await.unwrap_or_else(|_| Err(late())),
        Verdict::Late => {
            gate.keep(&call, Box::pin(async move { drop(work.await) }));
            timeout(call.deadline, pending()).await.unwrap_or_else(|_| Err(late()))
        }
        Verdict::Wait(go_on) => {
            go_on.notified().await;
            timeout(call.deadline, work).await.unwrap_or_else(|_| Err(late()))
        }
    };
    gate.ended(&call, started.elapsed(), result.as_ref().err());
    result
}

/// How long a dependency whose ping failed is left alone before one call is let through to see.
const HALF_OPEN_AFTER: Duration = Duration::from_secs(3);

/// The gate in life: each call runs under its deadline. Once a dependency's ping fails, its other calls fail
/// at once, naming it, but for one every few seconds; the first ping or call that succeeds ends that.
#[derive(Debug, Default)]
pub struct LiveGate {
    /// Since when, or when the last call was let through.
    down: Mutex<BTreeMap<Dependency, Instant>>,
}

impl LiveGate {
    /// A gate with every dependency taken to be up.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn down(&self) -> std::sync::MutexGuard<'_, BTreeMap<Dependency, Instant>> {
        // The map is whole at any moment, so a panic elsewhere doesn't spoil it.
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for LiveGate {
    fn admit(&self, call: &Call) -> Verdict {
        if call.is_ping {
            return Verdict::Run;
        }
        if let Some(since) = self.down().get_mut(&call.dependency) {
            if since.elapsed() >= HALF_OPEN_AFTER {
                *since = Instant::now();
                return Verdict::Run;
            }
            return Verdict::Fail(EffectError::Transient {
                call: call.name,
                source: Arc::new(crate::error::Message(format!("{} is down", call.dependency))),
                down: Some(call.dependency),
            });
        }
        Verdict::Run
    }

    fn ended(&self, call: &Call, elapsed: Duration, error: Option<&EffectError>) {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let (dependency, outcome) = (call.dependency.as_str(), if error.is_none() { "ok" } else { "error" });
        counter!("hostplane_calls_total", "dependency" => dependency, "outcome" => outcome).increment(1);
        histogram!("hostplane_call_duration_seconds", "dependency" => dependency).record(elapsed);
        match error {
            Some(error) if call.is_ping => {
                if self.down().insert(call.dependency, Instant::now()).is_none() {
                    warn!(dependency = %call.dependency, error = %error.chain(), "down");
                }
            }
            Some(_) => {}
            None => {
                if self.down().remove(&call.dependency).is_some() {
                    warn!(dependency = %call.dependency, "up again");
                }
            }
        }
        match error {
            None => debug!(call = call.name, elapsed_ms, "call"),
            Some(error) => debug!(call = call.name, elapsed_ms, error = %error.chain(), "call failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    const CHANGE: Call = Call::change("test.change", Dependency::Docker, Duration::from_secs(5));
    const READ: Call = Call::read("test.read", Dependency::Docker, Duration::from_secs(5));
    const PING: Call = Call::ping("test.ping", Dependency::Docker);

    struct Always(Verdict);
    impl Gate for Always {
        fn admit(&self, _: &Call) -> Verdict {
            self.0.clone()
        }
        fn ended(&self, _: &Call, _: Duration, _: Option<&EffectError>) {}
    }

    /// A call whose effect can be seen.
    fn raise(flag: &Arc<AtomicBool>) -> impl Future<Output = Effect<()>> + Send + use<> {
        let flag = Arc::clone(flag);
        async move {
            flag.store(true, Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_leaves_a_change_unknown_and_a_read_transient() {
        let gate = LiveGate::new();
        let begun = Instant::now();
        let change = pass::<()>(&*gate, CHANGE, pending()).await;
        assert!(matches!(change, Err(EffectError::OutcomeUnknown { call: "test.change", .. })), "{change:?}");
        assert_eq!(begun.elapsed(), CHANGE.deadline);
        let read = pass::<()>(&*gate, READ, pending()).await;
        assert!(matches!(read, Err(EffectError::Transient { down: None, .. })), "{read:?}");
    }

    #[tokio::test]
    async fn a_failing_ping_opens_the_breaker_and_a_good_one_closes_it() {
        let gate = LiveGate::new();
        let fails = async { Err::<(), _>(EffectError::transient_message("test.ping", "refused")) };
        assert!(pass(&*gate, PING, fails).await.is_err());
        let begun = Arc::new(AtomicBool::new(false));
        let error = pass(&*gate, CHANGE, raise(&begun)).await.unwrap_err();
        assert!(matches!(error, EffectError::Transient { down: Some(Dependency::Docker), .. }));
        assert!(!begun.load(Ordering::Relaxed), "no call is made while the dependency is down");
        let other = Call { dependency: Dependency::Caddy, ..CHANGE };
        pass(&*gate, other, async { Ok(()) }).await.expect("another dependency is not concerned");
        pass(&*gate, PING, async { Ok(()) }).await.unwrap();
        pass(&*gate, CHANGE, async { Ok(()) }).await.expect("up again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_let_through_now_and_then_and_its_success_closes_the_breaker() {
        let gate = LiveGate::new();
        let fails = || async { Err::<(), _>(EffectError::transient_message("test.ping", "refused")) };
        assert!(pass(&*gate, PING, fails()).await.is_err());
        tokio::time::advance(HALF_OPEN_AFTER).await;
        let error = pass(&*gate, CHANGE, fails()).await.unwrap_err();
        assert!(matches!(error, EffectError::Transient { down: None, .. }), "it was made");
        let error = pass(&*gate, CHANGE, async { Ok(()) }).await.unwrap_err();
        assert!(matches!(error, EffectError::Transient { down: Some(_), .. }), "only one was let through");
        tokio::time::advance(HALF_OPEN_AFTER).await;
        pass(&*gate, CHANGE, async { Ok(()) }).await.unwrap();
        pass(&*gate, CHANGE, async { Ok(()) }).await.expect("no ping was needed");
    }

    #[tokio::test]
    async fn one_failed_call_opens_nothing() {
        let gate = LiveGate::new();
        let fails = async { Err::<(), _>(EffectError::transient_message("test.change", "busy")) };
        assert!(pass(&*gate, CHANGE, fails).await.is_err());
        pass(&*gate, CHANGE, async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_lost_reply_happens_after_the_effect() {
        let done = Arc::new(AtomicBool::new(false));
        let error = pass(&Always(Verdict::RunThenLose), CHANGE, raise(&done)).await.unwrap_err();
        assert!(matches!(error, EffectError::OutcomeUnknown { .. }));
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_falls_silent_has_its_effect_and_an_unknown_outcome() {
        let done = Arc::new(AtomicBool::new(false));
        let error = pass(&Always(Verdict::RunThenHang), CHANGE, raise(&done)).await.unwrap_err();
        assert!(matches!(error, EffectError::OutcomeUnknown { .. }));
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_call_has_no_effect_and_ends_with_its_deadline() {
        let begun = Instant::now();
        let error = pass(&Always(Verdict::Hang), READ, async { Ok(()) }).await.unwrap_err();
        assert!(matches!(error, EffectError::Transient { .. }));
        assert_eq!(begun.elapsed(), READ.deadline);
    }

    #[derive(Default)]
    struct Keeper(Mutex<Vec<Kept>>);
    impl Gate for Keeper {
        fn admit(&self, _: &Call) -> Verdict {
            Verdict::Late
        }
        fn ended(&self, _: &Call, _: Duration, _: Option<&EffectError>) {}
        fn keep(&self, _: &Call, work: Kept) {
            self.0.lock().unwrap().push(work);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_call_has_its_effect_after_its_caller_gave_up() {
        let (gate, done) = (Keeper::default(), Arc::new(AtomicBool::new(false)));
        let error = pass(&gate, CHANGE, raise(&done)).await.unwrap_err();
        assert!(matches!(error, EffectError::OutcomeUnknown { .. }));
        assert!(!done.load(Ordering::Relaxed));
        let kept = gate.0.lock().unwrap().pop().unwrap();
        kept.await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_call_that_waits_is_made_when_it_is_let_go() {
        let (go_on, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let call = {
            let (gate, work) = (Always(Verdict::Wait(Arc::clone(&go_on))), raise(&done));
            tokio::spawn(async move { pass(&gate, CHANGE, work).await })
        };
        tokio::task::yield_now().await;
        assert!(!done.load(Ordering::Relaxed));
        go_on.notify_one();
        call.await.unwrap().unwrap();
        assert!(done.load(Ordering::Relaxed));
    }
}
