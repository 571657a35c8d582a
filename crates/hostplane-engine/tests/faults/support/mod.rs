//! Faults, the gates that inject them, and the control plane that meets them.

pub mod check;
pub mod count;
pub mod fault;
pub mod gate;
pub mod hands;
pub mod harness;
pub mod journal;
pub mod machine;
pub mod owned;
pub mod owner;
pub mod plan;
pub mod run;
pub mod scenario;
pub mod secrets;
pub mod watchdog;
