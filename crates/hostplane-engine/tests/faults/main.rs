//! Every fault of the design's table, at every outside call and every journal write that any operation
//! makes; pairs of them; every action of an owner at every call; and random sequences of orders and faults over
//! several sites.
//!
//! Nothing is named twice: operations come from the engine's registry, calls and writes from a recorded run.
//! A plan that fails prints its text form, and `FAULT_PLAN='…' cargo test -p hostplane-engine --test faults
//! replay -- --nocapture` runs it again. Time is virtual, and what runs next never depends on the machine.

mod owners;
mod pairs;
mod sequence;
mod single;
mod support;

use support::{
    check, count, fault, gate, hands, harness, journal, machine, owned, owner, plan, run, scenario, secrets, watchdog,
};
