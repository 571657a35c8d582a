//! What a site is, what it is called, and what has to be done about it: the pure part of Hostplane.
//!
//! Nothing here performs I/O, reads a clock, draws a random number or knows HTTP or SQL, so nothing
//! here can fail for a reason outside its arguments. Start reading at [`desired`] (what a site should
//! be), [`site_kind`] (the kinds there are), [`naming`] (the resources they are made of) and [`plan`] (how to get there).

pub mod bridges;
pub mod container;
pub mod desired;
pub mod details;
pub mod drift;
pub mod due_events;
pub mod ids;
pub mod job;
pub mod mark;
pub mod name;
pub mod naming;
pub mod observed;
pub mod plan;
pub mod program;
pub mod render;
pub mod resource_kind;
pub mod secret;
pub mod site_change;
pub mod site_kind;
pub mod spec_hash;
pub mod status;
pub mod subnet;
pub mod text_enum;
pub mod token;
pub mod url;
pub mod wordpress;
