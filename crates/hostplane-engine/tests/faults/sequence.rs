//! Random sequences of orders and faults. A seed makes a sequence; one that fails is shrunk, printed, and kept
//! in `kept.jsonl`, which is run each time.
//!
//! `FAULT_SEEDS=n` runs so many seeds, `FAULT_SEED=s` begins with that one, `FAULT_SEQUENCE='[…]'` runs one
//! sequence again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Instant;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::fault::{CallFault, WriteFault};
use crate::harness::{Stage, in_virtual_time};
use crate::machine::{Action, Machine, SITES, Trace};
use crate::scenario::{CHANGES, with_bystanders};
use crate::secrets::Log;
use crate::watchdog::watched;

/// Seeds in CI.
const SEEDS: u64 = 2_000;
/// Most tries of a failing sequence in a simpler form.
const SHRINKS: usize = 300;

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let site = 0..SITES.len();
    let of_site = |action: fn(usize) -> Action| site.clone().prop_map(action).boxed();
    // Others act in the sequence itself.
    let faults: Vec<CallFault> =
        CallFault::all().into_iter().filter(|fault| !matches!(fault, CallFault::Rival(_))).collect();
    let call = (0_usize..40, prop::sample::select(faults)).prop_map(|(after, fault)| Action::Call(after, fault));
    let write = (0_usize..30, prop::sample::select(WriteFault::ALL.to_vec()))
        .prop_map(|(after, fault)| Action::Write(after, fault));
    let change = (site.clone(), 0..CHANGES.len()).prop_map(|(site, which)| Action::Change(site, which)).boxed();
    let pass = prop::sample::select(vec![0, 1, 1, 5, 40, 70]).prop_map(Action::Pass);
    let action = prop_oneof![
        6 => of_site(Action::Create),
        4 => of_site(Action::Destroy),
        2 => of_site(Action::Retry),
        4 => change,
        2 => of_site(Action::Cancel),
        6 => pass,
        1 => Just(Action::Crash),
        8 => call,
        3 => write,
        1 => Just(Action::Land),
    ];
    prop::collection::vec(action, 4..24)
}

fn tree(seed: u64) -> impl ValueTree<Value = Vec<Action>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    actions().new_tree(&mut TestRunner::new_with_rng(Config::default(), rng)).expect("nothing is filtered out")
}

static STAGE: LazyLock<Stage> = LazyLock::new(|| in_virtual_time(with_bystanders()).unwrap());

fn execute(sequence: &[Action]) -> Result<Trace, String> {
    let stage: &'static Stage = &STAGE;
    let (log, guard) = Log::capture();
    let (said, sequence) = (log.clone(), sequence.to_vec());
    let run = in_virtual_time(async move {
        let mut machine = Machine::new(stage).await;
        for action in &sequence {
            machine.act(action).await?;
        }
        let trace = machine.trace();
        machine.see_the_end(&log).await.map(|()| trace)
    });
    drop(guard);
    run.flatten().map_err(|wrong| format!("{wrong}\n{}", String::from_utf8_lossy(&said.text())))
}

/// The simplest sequence that fails too, and why.
fn shrink(seed: u64, wrong: String) -> (Vec<Action>, String) {
    let mut tree = tree(seed);
    let mut simplest = (tree.current(), wrong);
    for _ in 0..SHRINKS {
        let moved = match execute(&tree.current()) {
            Err(wrong) => {
                simplest = (tree.current(), wrong);
                tree.simplify()
            }
            Ok(_) => tree.complicate(),
        };
        if !moved {
            break;
        }
    }
    simplest
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

fn text(sequence: &[Action]) -> String {
    serde_json::to_string(sequence).expect("actions can be written")
}

#[test]
fn random_sequences() {
    let (begun, first) = (Instant::now(), number("FAULT_SEED").unwrap_or(0));
    let seeds = number("FAULT_SEEDS").unwrap_or(SEEDS);
    let (next, actions, calls) = (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(0));
    let faults: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let failed: Mutex<Vec<String>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || failed.lock().unwrap().len() >= 3 {
                        break;
                    }
                    let sequence = tree(seed).current();
                    actions.fetch_add(sequence.len() as u64, Ordering::Relaxed);
                    for action in &sequence {
                        let struck = match action {
                            Action::Call(_, fault) => fault.to_string(),
                            Action::Write(_, fault) => format!("write {fault}"),
                            _ => continue,
                        };
                        *faults.lock().unwrap().entry(struck).or_default() += 1;
                    }
                    match watched(&format!("FAULT_SEED={seed}"), || execute(&sequence)) {
                        Ok((made, _)) => drop(calls.fetch_add(made.len() as u64, Ordering::Relaxed)),
                        Err(wrong) => {
                            let (simplest, wrong) = shrink(seed, wrong);
                            let wrong = format!("FAULT_SEED={seed} FAULT_SEQUENCE='{}'\n{wrong}", text(&simplest));
                            failed.lock().unwrap().push(wrong);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    let faults = faults.into_inner().unwrap();
    println!(
        "random sequences: seeds {first}..{}, {} actions, {} faults of {} kinds, {} calls, {:.1} s",
        first + seeds,
        actions.into_inner(),
        faults.values().sum::<usize>(),
        faults.len(),
        calls.into_inner(),
        begun.elapsed().as_secs_f64()
    );
}

/// Sequences that failed once.
#[test]
fn kept_sequences() {
    let kept = include_str!("kept.jsonl").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in kept {
        let sequence: Vec<Action> = serde_json::from_str(line).unwrap();
        if let Err(wrong) = execute(&sequence) {
            panic!("FAULT_SEQUENCE='{line}'\n{wrong}");
        }
    }
}

#[test]
fn a_sequence_runs_the_same_way_each_time() {
    for seed in 0..20 {
        let sequence = tree(seed).current();
        let (first, second) = (execute(&sequence).unwrap(), execute(&sequence).unwrap());
        for (first, second) in [(first.0, second.0), (first.1, second.1)] {
            let differs = first.iter().zip(&second).position(|(first, second)| first != second);
            let around = differs.map(|at| (&first[at..], &second[at..]));
            assert!(
                differs.is_none() && first.len() == second.len(),
                "seed {seed} {}: {differs:?} {around:?}",
                text(&sequence)
            );
        }
    }
}

#[test]
fn replay_sequence() {
    let Ok(sequence) = std::env::var("FAULT_SEQUENCE") else { return };
    let sequence: Vec<Action> = serde_json::from_str(&sequence).unwrap();
    match execute(&sequence) {
        Ok((calls, writes)) => println!("holds: {calls:?} {writes:?}"),
        Err(wrong) => panic!("{wrong}"),
    }
}
