//! Jobs: claimed, run, put back, recovered.
//!
//! [`worker`] claims what is due and runs several jobs at once; [`run`] takes one job to an end or puts
//! it back; [`execute`] carries out the steps of one plan, as concurrently as their needs allow.

mod execute;
mod failure;
mod repair;
mod run;
mod worker;

pub(crate) use run::Runner;
pub(crate) use worker::{Signal, Worker};
