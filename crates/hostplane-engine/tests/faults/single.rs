//! One fault at a time: every fault at every place, for every operation there is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::count;
use crate::fault::{CallFault, WriteFault};
use crate::plan::{Plan, Strike};
use crate::run::{execute, recording};
use crate::scenario::Scenario;
use crate::watchdog::watched;

/// Every plan with one fault.
fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for scenario in Scenario::all() {
        let recording = recording(scenario);
        let mut add = |strike| plans.push(Plan { scenario, strikes: vec![strike] });
        for (at, call) in recording.calls.iter().enumerate().skip(recording.first_call) {
            for fault in CallFault::of(call) {
                add(Strike::Call(at, fault));
            }
        }
        for at in recording.first_write..recording.writes.len() {
            for fault in WriteFault::ALL {
                add(Strike::Write(at, fault));
            }
        }
    }
    plans
}

/// Runs plans, two at a time, and panics with the first few that fail.
pub fn run_all(plans: &[Plan]) -> usize {
    let (next, reached) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed: Mutex<Vec<String>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match watched(&format!("FAULT_PLAN='{plan}'"), || execute(plan)) {
                        Ok(report) => drop(reached.fetch_add(report.reached, Ordering::Relaxed)),
                        Err(wrong) => {
                            println!("FAULT_PLAN='{plan}' fails");
                            failed.lock().unwrap().push(format!("FAULT_PLAN='{plan}'\n{wrong}"));
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    for wrong in failed.iter().take(3) {
        println!("{wrong}\n");
    }
    let names: Vec<&str> = failed.iter().filter_map(|wrong| wrong.lines().next()).collect();
    assert!(failed.is_empty(), "{} of {} plans failed:\n{}", failed.len(), plans.len(), names.join("\n"));
    reached.into_inner()
}

#[test]
fn every_fault_at_every_place() {
    let begun = Instant::now();
    let plans = plans();
    let reached = run_all(&plans);
    let expected = count::single_plans();
    println!(
        "single faults: {} plans of {expected} that there are, {reached} injection points reached, {:.1} s",
        plans.len(),
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(plans.len(), expected, "no plan is skipped and no place is without a plan");
    assert_eq!(reached, plans.len(), "every place was reached");
}

/// Runs one plan again: `FAULT_PLAN='…' cargo test -p hostplane-engine --test faults replay -- --nocapture`.
#[test]
fn replay() {
    let Ok(plan) = std::env::var("FAULT_PLAN") else { return };
    let plan: Plan = plan.parse().unwrap();
    match execute(&plan) {
        Ok(report) => println!("{plan}: holds; {} strikes were reached", report.reached),
        Err(wrong) => panic!("{plan}\n{wrong}"),
    }
}

/// Prints the calls and writes of each scenario: the places of the plans.
#[test]
fn scenarios() {
    for scenario in Scenario::all() {
        let recording = recording(scenario);
        let (calls, writes) =
            (recording.calls.len() - recording.first_call, recording.writes.len() - recording.first_write);
        println!("{scenario}: {calls} calls, {writes} writes");
        assert!(calls > 0 && writes > 0, "{scenario}");
    }
}
