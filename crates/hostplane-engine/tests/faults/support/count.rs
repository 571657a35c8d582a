//! Number of plans, counted apart from the code that makes them: by a table of faults against
//! calls, and by what a run without faults records.

use hostplane_infra::error::Dependency;

use crate::run::recording;
use crate::scenario::Scenario;

/// Faults of each call, whatever it is: F1 twice (transient, permanent), F2, F4, F5, F6, F8, F10, F11 four times.
const ANY: usize = 12;
/// Of a change besides: F3 three times. Of a read: F9 twice.
const CHANGE: usize = 3;
const READ: usize = 2;
/// Of a call to something with a ping: F1 as an outage.
const DEPENDENCY: usize = 1;
/// Faults of each write: F13 twice, F6, F7.
const WRITE: usize = 4;

/// F12: in how many ways a change can break off in the middle.
fn broken_off(name: &str) -> usize {
    match name {
        "docker.create_container" | "docker.upload" | "caddy.put_route" | "caddy.remove_route" => 1,
        "mariadb.remove_tenant" | "wordpress.unpack" | "wordpress.install" => 2,
        "mariadb.ensure_tenant" => 3,
        _ => 0,
    }
}

/// The sum over all scenarios of calls and writes times the faults that apply to each.
pub fn single_plans() -> usize {
    let mut plans = 0;
    for scenario in Scenario::all() {
        let recording = recording(scenario);
        for call in &recording.calls[recording.first_call..] {
            plans += ANY + if call.changes { CHANGE + broken_off(call.name) } else { READ };
            plans += if call.dependency == Dependency::Site { 0 } else { DEPENDENCY };
        }
        plans += (recording.writes.len() - recording.first_write) * WRITE;
    }
    plans
}
