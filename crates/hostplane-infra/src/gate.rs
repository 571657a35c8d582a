//! The gate that every outside call passes: deadlines and breakers in production, the fault plan in tests.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostplane_domain::ids::HostId;
use metrics::{counter, histogram};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::error::{Dependency, Effect, EffectError};

/// An outside call, as the gate sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Stable name, such as `docker.create_volume`.
    pub name: &'static str,
    /// The dependency called.
    pub dependency: Dependency,
    /// True for a call that may change something: a missing answer leaves its outcome unknown.
    pub changes: bool,
    /// True for the dependency's ping, which passes even while the breaker is open.
    pub is_ping: bool,
    /// Time limit.
    pub deadline: Duration,
}

impl Call {
    /// The same call to a host.
    #[must_use]
    pub const fn on(self, host: HostId) -> Self {
        Self { dependency: self.dependency.of(host), ..self }
    }

    /// A call that changes nothing outside.
    #[must_use]
    pub const fn read(name: &'static str, dependency: Dependency, deadline: Duration) -> Self {
        Self { name, dependency, changes: false, is_ping: false, deadline }
    }

    /// A call that may change something outside.
    #[must_use]
    pub const fn change(name: &'static str, dependency: Dependency, deadline: Duration) -> Self {
        Self { name, dependency, changes: true, is_ping: false, deadline }
    }

    /// A call that checks if the dependency is up.
    #[must_use]
    pub const fn ping(name: &'static str, dependency: Dependency) -> Self {
        Self { name, dependency, changes: false, is_ping: true, deadline: Duration::from_secs(3) }
    }
}

/// Fate of a call. [`LiveGate`] uses the first two alone; tests choose the others to inject faults.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The call is made.
    Run,
    /// The call is not made, and fails with this error.
    Fail(EffectError),
    /// The call is made, and its reply is lost.
    RunThenLose,
    /// The call is not made, and never answers.
    Hang,
    /// The call is made, and never answers.
    RunThenHang,
    /// The call never answers, and the gate keeps it to make it at any later time.
    Late,
    /// The call is made after a notification.
    Wait(Arc<Notify>),
}

/// A call without a caller, made when the future is polled.
pub type Kept = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Decides the fate of each call and records its result.
pub trait Gate: Send + Sync {
    /// Decides the fate of a call, before it is made.
    fn admit(&self, call: &Call) -> Verdict;
    /// Records the result of a call.
    fn ended(&self, call: &Call, elapsed: Duration, error: Option<&EffectError>);
    /// Takes a call with the verdict [`Verdict::Late`].
    fn keep(&self, _call: &Call, _work: Kept) {}
}

/// Makes a call through the gate. `work` owns its data, because it may outlive its caller.
///
/// # Errors
/// The call's own. Past the deadline a changing call is `OutcomeUnknown`, any other `Transient`.
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

/// Time after a failed ping until one call is let through as a test.
const HALF_OPEN_AFTER: Duration = Duration::from_secs(3);

/// The gate in production: deadlines, metrics and one breaker per dependency.
///
/// A failed ping opens the dependency's breaker: its other calls fail at once, but for one every
/// three seconds. The first ping or call that succeeds closes the breaker.
#[derive(Debug, Default)]
pub struct LiveGate {
    /// Open breakers, with the time of the failed ping or of the last call let through.
    down: Mutex<BTreeMap<Dependency, Instant>>,
}

impl LiveGate {
    /// A gate with every breaker closed.
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
                    warn!(dependency = %call.dependency, error = %error.chain(), "dependency down");
                }
            }
            Some(_) => {}
            None => {
                if self.down().remove(&call.dependency).is_some() {
                    warn!(dependency = %call.dependency, "dependency up again");
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

    const CHANGE: Call = Call::change("test.change", Dependency::DOCKER, Duration::from_secs(5));
    const READ: Call = Call::read("test.read", Dependency::DOCKER, Duration::from_secs(5));
    const PING: Call = Call::ping("test.ping", Dependency::DOCKER);

    struct Always(Verdict);
    impl Gate for Always {
        fn admit(&self, _: &Call) -> Verdict {
            self.0.clone()
        }
        fn ended(&self, _: &Call, _: Duration, _: Option<&EffectError>) {}
    }

    /// A call whose effect sets a flag.
    fn raise(flag: &Arc<AtomicBool>) -> impl Future<Output = Effect<()>> + Send + use<> {
        let flag = Arc::clone(flag);
        async move {
            flag.store(true, Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_missed_deadline_leaves_only_changes_unknown() {
        let gate = LiveGate::new();
        let begun = Instant::now();
        let change = pass::<()>(&*gate, CHANGE, pending()).await;
        assert!(matches!(change, Err(EffectError::OutcomeUnknown { call: "test.change", .. })), "{change:?}");
        assert_eq!(begun.elapsed(), CHANGE.deadline);
        let read = pass::<()>(&*gate, READ, pending()).await;
        assert!(matches!(read, Err(EffectError::Transient { down: None, .. })), "{read:?}");
    }

    #[tokio::test]
    async fn pings_open_and_close_the_breaker() {
        let gate = LiveGate::new();
        let fails = async { Err::<(), _>(EffectError::transient_message("test.ping", "refused")) };
        assert!(pass(&*gate, PING, fails).await.is_err());
        let begun = Arc::new(AtomicBool::new(false));
        let error = pass(&*gate, CHANGE, raise(&begun)).await.unwrap_err();
        assert!(matches!(error, EffectError::Transient { down: Some(Dependency::DOCKER), .. }));
        assert!(!begun.load(Ordering::Relaxed), "no call is made while the dependency is down");
        let other = Call { dependency: Dependency::CADDY, ..CHANGE };
        pass(&*gate, other, async { Ok(()) }).await.expect("another dependency is not concerned");
        pass(&*gate, PING, async { Ok(()) }).await.unwrap();
        pass(&*gate, CHANGE, async { Ok(()) }).await.expect("up again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_successful_call_closes_the_breaker() {
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
    async fn a_failed_call_opens_no_breaker() {
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
    async fn a_silent_call_has_its_effect() {
        let done = Arc::new(AtomicBool::new(false));
        let error = pass(&Always(Verdict::RunThenHang), CHANGE, raise(&done)).await.unwrap_err();
        assert!(matches!(error, EffectError::OutcomeUnknown { .. }));
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_call_ends_at_its_deadline() {
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
    async fn a_late_call_lands_after_its_deadline() {
        let (gate, done) = (Keeper::default(), Arc::new(AtomicBool::new(false)));
        let error = pass(&gate, CHANGE, raise(&done)).await.unwrap_err();
        assert!(matches!(error, EffectError::OutcomeUnknown { .. }));
        assert!(!done.load(Ordering::Relaxed));
        let kept = gate.0.lock().unwrap().pop().unwrap();
        kept.await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_waiting_call_is_made_after_its_notification() {
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
