//! The owner acts: every action at every call of every operation; and, at each call that writes among his data, every
//! fault besides.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Instant;

use hostplane_domain::job::OperationName;
use hostplane_domain::site_kind::SiteKind;

use crate::fault::CallFault;
use crate::owner::OwnerAction;
use crate::plan::{Plan, Strike};
use crate::run::{Recording, execute, recording};
use crate::scenario::Scenario;
use crate::single::run_all;

/// The calls by which a job writes among the data of a site in service.
const WRITES: &[&str] = &["wordpress.mark_files", "wordpress.mark_tables", "wordpress.repair_core"];

/// The calls before which an owner can act, of those that the scenario is about. A new site has an owner once WordPress is
/// installed, and one whose installation is refused never has one.
fn open_to_owner(scenario: Scenario) -> Range<usize> {
    let Recording { calls, first_call, .. } = recording(scenario);
    if scenario.operation != OperationName::Provision {
        return first_call..calls.len();
    }
    let installed = calls.iter().position(|call| call.name == "wordpress.install").map(|call| call + 1);
    let is_refused = scenario.turned && installed == Some(first_call);
    let first = installed.filter(|_| !is_refused).unwrap_or(calls.len());
    first.max(first_call)..calls.len()
}

/// The moments of an action that make a difference; with `FAULT_OWNER=all`, every call.
fn moments(scenario: Scenario, action: OwnerAction) -> Vec<usize> {
    let (open, calls) = (open_to_owner(scenario), recording(scenario).calls);
    let all = std::env::var("FAULT_OWNER").is_ok_and(|which| which == "all");
    let counts = |at: &usize| all || *at == open.start || at + 1 == open.end || action.concerns(&calls[*at]);
    open.clone().filter(counts).collect()
}

fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for scenario in Scenario::all_of(SiteKind::Wordpress) {
        for action in OwnerAction::ALL {
            let acts = |at| Plan { scenario, strikes: vec![Strike::Owner(at, *action)] };
            plans.extend(moments(scenario, *action).into_iter().map(acts));
        }
    }
    plans
}

#[test]
fn owner_acts_at_every_call() {
    let begun = Instant::now();
    let plans = plans();
    let reached = run_all(&plans);
    let operations: BTreeSet<_> = plans.iter().map(|plan| plan.scenario.operation.as_str()).collect();
    println!(
        "owner: {} operations × {} actions, {} runs: hold, {:.1} s",
        operations.len(),
        OwnerAction::ALL.len(),
        plans.len(),
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(operations.len(), OperationName::ALL.len(), "every operation");
    assert_eq!(reached, plans.len(), "each time the owner acted");
}

/// Each fault at each call that writes among the data, where an action before the operation leads to one; by the call.
fn plans_of_writes() -> BTreeMap<&'static str, Vec<Plan>> {
    let mut plans: BTreeMap<_, Vec<Plan>> = BTreeMap::new();
    for scenario in Scenario::all_of(SiteKind::Wordpress).into_iter().filter(|found| open_to_owner(*found).start == 0) {
        for owner in OwnerAction::ALL.iter().map(|action| Strike::Owner(0, *action)) {
            let recorded = execute(&Plan { scenario, strikes: vec![owner] }).expect("it holds without a fault");
            for (at, call) in recorded.calls.iter().enumerate().filter(|(_, call)| WRITES.contains(&call.name)) {
                let of_call = CallFault::of(call).into_iter().map(|fault| vec![owner, Strike::Call(at, fault)]);
                plans.entry(call.name).or_default().extend(of_call.map(|strikes| Plan { scenario, strikes }));
            }
        }
    }
    plans
}

#[test]
fn owner_acts_and_a_write_fails() {
    let begun = Instant::now();
    let plans = plans_of_writes();
    assert!(plans.keys().eq(WRITES), "each is reached");
    let plans = plans.into_values().flatten().collect::<Vec<_>>();
    let reached = run_all(&plans);
    println!("owner: {} faults at his data's writes: hold, {:.1} s", plans.len(), begun.elapsed().as_secs_f64());
    assert_eq!(reached, 2 * plans.len(), "each time both struck");
}
