//! Scans: reading what an installation owns on a host, in the form that every `observe` compares with.
//!
//! [`installation`] reads all of it in a constant number of calls; [`snapshot`] reads one site, and deeper;
//! [`lookup`] finds one container; [`object`] is the form in which orphans are judged.

mod installation;
pub(crate) mod lookup;
mod object;
pub(crate) mod snapshot;

pub(crate) use installation::Inventory;
pub use object::ObjectKind;
pub(crate) use object::{ObjectRef, OwnedObject};
