//! The gate of the control database: where a journal write fails, and where the process dies at one.
//!
//! `SQLite` works on a thread of its own, which the paused clock knows nothing of. So each call to the
//! database holds the clock still, takes its turn, and begins when nothing else can go on: what runs next is
//! never a matter of chance.

use std::any::Any;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use hostplane_engine::store::{Commit, Permit, StoreGate};
use tokio::sync::{Notify, Semaphore};

use crate::fault::WriteFault;

#[derive(Default)]
struct Script {
    armed: bool,
    writes: Vec<&'static str>,
    at: Vec<(usize, WriteFault)>,
}

pub struct JournalGate {
    turns: Arc<Semaphore>,
    script: Mutex<Script>,
    /// The process is dead: nothing of what it still wants to write is written.
    dead: Arc<AtomicBool>,
    died: Arc<Notify>,
}

impl JournalGate {
    pub fn new(dead: Arc<AtomicBool>, died: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { turns: Arc::new(Semaphore::new(1)), script: Mutex::default(), dead, died })
    }

    /// From now on writes are counted, from 0, and meet these faults.
    pub fn arm(&self, at: Vec<(usize, WriteFault)>) {
        *self.script.lock().unwrap() = Script { armed: true, writes: Vec::new(), at };
    }

    /// No more faults.
    pub fn disarm(&self) {
        self.script.lock().unwrap().at.clear();
    }

    /// One more fault, so many writes from now.
    pub fn strike_after(&self, writes: usize, fault: WriteFault) {
        let mut script = self.script.lock().unwrap();
        let at = script.writes.len() + writes;
        script.armed = true;
        script.at.push((at, fault));
    }

    /// The writes since it was armed.
    pub fn writes(&self) -> Vec<&'static str> {
        self.script.lock().unwrap().writes.clone()
    }

    fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
    }
}

/// The clock stands still as long as a blocking task runs.
pub struct Stillness(#[expect(dead_code, reason = "dropped, it ends the blocking task")] std::sync::mpsc::Sender<()>);

impl Stillness {
    pub fn begin() -> Self {
        let (ended, wait) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || wait.recv());
        Self(ended)
    }
}

impl StoreGate for JournalGate {
    fn enter(&self) -> Pin<Box<dyn Future<Output = Permit> + Send>> {
        let (turns, dead) = (Arc::clone(&self.turns), Arc::clone(&self.dead));
        Box::pin(async move {
            let turn = turns.acquire_owned().await.expect("never closed");
            let still = Stillness::begin();
            tokio::task::yield_now().await;
            if dead.load(Ordering::SeqCst) {
                drop((still, turn));
                return pending().await;
            }
            Box::new((still, turn)) as Box<dyn Any + Send>
        })
    }

    fn commit(&self, change: &'static str) -> Commit {
        let fault = {
            let mut script = self.script.lock().unwrap();
            if !script.armed {
                return Commit::Run;
            }
            let n = script.writes.len();
            script.writes.push(change);
            script.at.iter().find(|(at, _)| *at == n).map(|(_, fault)| *fault)
        };
        let full = || sqlx::Error::Io(std::io::Error::other("database or disk is full"));
        match fault {
            None => Commit::Run,
            Some(WriteFault::Refused) => Commit::Fail(full()),
            Some(WriteFault::Unanswered) => Commit::RunThenFail(full()),
            Some(WriteFault::CrashBefore) => {
                self.die();
                Commit::Fail(full())
            }
            Some(WriteFault::CrashAfter) => {
                self.die();
                Commit::RunThenHang
            }
        }
    }
}
