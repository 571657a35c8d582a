//! The pure part of Hostplane: the desired state of sites, their names, their drift and the plan to converge.
//!
//! It never performs I/O, reads a clock, draws a random number or knows HTTP or SQL, so it can't fail for a reason
//! outside its arguments. Start reading at [`desired`] (the desired state of a site), then [`site_kind`] (the kinds of
//! site), [`naming`] (the resources and their names) and [`plan`] (the steps that converge on a desired state).

pub mod baseline;
pub mod bridges;
pub mod container;
pub mod desired;
pub mod details;
pub mod disk;
pub mod drift;
pub mod due_events;
pub mod health;
pub mod ids;
pub mod job;
pub mod mark;
pub mod name;
pub mod naming;
pub mod observed;
pub mod plan;
pub mod probe_key;
pub mod program;
pub mod render;
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
