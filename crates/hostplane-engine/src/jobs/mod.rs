//! Jobs: claimed, run, put back, recovered.
//!
//! [`worker`] claims due jobs and runs several at once. A run ([`run`]) makes attempts ([`attempt`]) until one ends: it
//! observes, plans, carries out the plan's steps ([`execute`]) as concurrently as their needs allow, and verifies the
//! result ([`verify`]). After a failure that doesn't pass, the failure policy ([`failure_policy`]) decides.

mod attempt;
mod data_loss;
mod execute;
mod failure;
mod failure_policy;
mod run;
mod runner;
mod verify;
mod worker;

pub(crate) use runner::Runner;
pub(crate) use worker::Worker;
