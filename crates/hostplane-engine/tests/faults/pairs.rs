//! Two faults in one run, of a provision and of a destroy: every pair of places, and at each a different pair
//! of faults, so that all combinations meet somewhere. `FAULT_PAIRS` says how many at each pair of places.

use std::collections::BTreeSet;
use std::time::Instant;

use hostplane_domain::job::OperationName;
use hostplane_domain::site_kind::SiteKind;
use hostplane_domain::status::SiteStatus;

use crate::fault::{CallFault, WriteFault};
use crate::plan::{Plan, Strike};
use crate::run::recording;
use crate::scenario::Scenario;
use crate::single::run_all;

/// Every strike at every place, one list per place.
fn places(scenario: Scenario) -> Vec<Vec<Strike>> {
    let recording = recording(scenario);
    let calls = recording.calls.iter().enumerate();
    // A rival's own calls would be struck by the second fault: that is left to the random sequences, which expect
    // no result of any order.
    let alone = |fault: &CallFault| !matches!(fault, CallFault::Rival(_));
    let of_call = |call| CallFault::of(call).into_iter().filter(alone);
    let calls = calls.map(|(at, call)| of_call(call).map(|fault| Strike::Call(at, fault)).collect());
    let writes = (0..recording.writes.len()).map(|at| WriteFault::ALL.map(|fault| Strike::Write(at, fault)).to_vec());
    calls.chain(writes).collect()
}

fn plans(rounds: usize) -> Vec<Plan> {
    let provision = (OperationName::Provision, SiteStatus::Created);
    let destroy = (OperationName::Destroy, SiteStatus::Active);
    let mut plans = Vec::new();
    let of_kind = |kind: &SiteKind| [provision, destroy].map(|(operation, from)| (*kind, operation, from));
    for (kind, operation, from) in SiteKind::ALL.iter().flat_map(of_kind) {
        let scenario = Scenario { kind, operation, from, turned: false };
        let places = places(scenario);
        // Strides that share no factor with the lists' lengths go through all combinations in time.
        let mut turn = 0;
        for (first, firsts) in places.iter().enumerate() {
            for seconds in &places[first + 1..] {
                for _ in 0..rounds {
                    turn += 1;
                    let strikes = vec![firsts[turn * 7 % firsts.len()], seconds[turn / 3 * 5 % seconds.len()]];
                    plans.push(Plan { scenario, strikes });
                }
            }
        }
    }
    plans
}

/// The faults that meet in a plan, apart from their places.
fn kinds(plan: &Plan) -> Vec<String> {
    let mut kinds: Vec<String> = plan.calls().iter().map(|(_, fault)| fault.to_string()).collect();
    kinds.extend(plan.writes().iter().map(|(_, fault)| format!("write {fault}")));
    kinds.sort();
    kinds
}

#[test]
fn every_pair_of_places() {
    let begun = Instant::now();
    let rounds = std::env::var("FAULT_PAIRS").map_or(1, |rounds| rounds.parse().expect("FAULT_PAIRS is a number"));
    let plans = plans(rounds);
    let combinations: BTreeSet<Vec<String>> = plans.iter().map(kinds).collect();
    let reached = run_all(&plans);
    println!(
        "pairs of faults: {} plans, {} combinations of two faults, {reached} of {} strikes reached, {:.1} s",
        plans.len(),
        combinations.len(),
        2 * plans.len(),
        begun.elapsed().as_secs_f64()
    );
    let kinds = CallFault::all().len() + WriteFault::ALL.len();
    assert!(combinations.len() > kinds * kinds / 4, "only {} combinations", combinations.len());
}
