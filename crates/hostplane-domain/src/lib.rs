//! What a site is, what it is called, and what has to be done about it: the pure part of Hostplane.
//!
//! Nothing here performs I/O, reads a clock, draws a random number or knows HTTP or SQL, so nothing
//! here can fail for a reason outside its arguments. Start reading at [`desired`] (what a site should
//! be), [`kind`] (the resources it is made of) and [`plan`] (how to get there).

pub mod change;
pub mod container;
pub mod desired;
pub mod details;
pub mod drift;
pub mod events;
pub mod fingerprint;
pub mod ids;
pub mod job;
pub mod kind;
pub mod mark;
pub mod name;
pub mod naming;
pub mod observed;
pub mod plan;
pub mod program;
pub mod render;
pub mod secret;
pub mod spec_hash;
pub mod status;
pub mod subnet;
pub mod token;
pub mod url;
