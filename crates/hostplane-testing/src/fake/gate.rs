//! A gate whose verdicts a test decides.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use hostplane_infra::error::{Dependency, EffectError};
use hostplane_infra::gate::{Call, Gate, LiveGate, Verdict};

/// The live gate, except for calls whose verdict a test sets. It counts every call but pings.
pub struct ScriptedGate {
    live: Arc<LiveGate>,
    script: Mutex<Script>,
    made: watch::Sender<usize>,
}

/// A test's change of the world.
type Happens = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Script {
    calls: Vec<Call>,
    unreachable: BTreeSet<Dependency>,
    at: Vec<(usize, Verdict)>,
    named: Vec<(&'static str, Verdict)>,
    before: Vec<(&'static str, Happens)>,
}

impl ScriptedGate {
    /// A gate without a plan.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let made = watch::Sender::new(0);
        Arc::new(Self { live: LiveGate::new(), script: Mutex::default(), made })
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the verdict on call number `n`, counted from 0 over all calls but pings.
    pub fn at(&self, n: usize, verdict: Verdict) {
        self.script().at.push((n, verdict));
    }

    /// Sets the verdict on the next call of a name, once.
    pub fn next(&self, name: &'static str, verdict: Verdict) {
        self.script().named.push((name, verdict));
    }

    /// Has something happen before the next call of a name, once.
    pub fn before(&self, name: &'static str, happens: impl FnOnce() + Send + 'static) {
        self.script().before.push((name, Box::new(happens)));
    }

    /// Makes every call to a dependency, its ping too, fail as if nothing listened there.
    pub fn cut_off(&self, dependency: Dependency) {
        self.script().unreachable.insert(dependency);
    }

    /// Makes the dependency reachable again.
    pub fn reconnect(&self, dependency: Dependency) {
        self.script().unreachable.remove(&dependency);
    }

    /// The calls so far, without pings.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.script().calls.clone()
    }

    /// Waits until call number `n` has been asked for.
    pub async fn reached(&self, n: usize) {
        let mut made = self.made.subscribe();
        // The sender lives as long as this gate.
        let _ = made.wait_for(|made| *made > n).await;
    }
}

impl Gate for ScriptedGate {
    fn admit(&self, call: &Call) -> Verdict {
        let mut script = self.script();
        if let Some(found) = script.before.iter().position(|(name, _)| *name == call.name) {
            let (_, happens) = script.before.remove(found);
            drop(script);
            happens();
            script = self.script();
        }
        let n = script.calls.len();
        if !call.is_ping {
            script.calls.push(*call);
            self.made.send_replace(n + 1);
        }
        if script.unreachable.contains(&call.dependency) {
            return Verdict::Fail(EffectError::transient_message(call.name, "connection refused"));
        }
        if !call.is_ping {
            if let Some((_, verdict)) = script.at.iter().find(|(at, _)| *at == n) {
                return verdict.clone();
            }
            if let Some(found) = script.named.iter().position(|(name, _)| *name == call.name) {
                return script.named.remove(found).1;
            }
        }
        drop(script);
        self.live.admit(call)
    }

    fn ended(&self, call: &Call, elapsed: Duration, error: Option<&EffectError>) {
        self.live.ended(call, elapsed, error);
    }
}
