//! Tests' share of Hostplane: fakes of the outside world and the harness that runs the engine on them.
//!
//! Only tests, benches and examples depend on this crate; the released program never does. Start reading at
//! [`fake::FakeWorld`].

pub mod certificates;
pub mod contract;
pub mod earlier_release;
pub mod fake;
pub mod harness;
pub mod specs;
