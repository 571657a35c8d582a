//! Scans: reading what an installation owns on a host, in the form that every `observe` compares with.
//!
//! [`installation`] reads all of it in a constant number of calls; [`snapshot`] reads one site, and deeper;
//! [`lookup`] finds one container; [`page`] requests a page, [`health`] asks WordPress;
//! [`object`] is the form in which orphans are classified.

pub(crate) mod health;
mod installation;
pub(crate) mod lookup;
mod object;
pub(crate) mod page;
mod scan_error;
mod scan_targets;
pub(crate) mod snapshot;

pub(crate) use installation::Inventory;
pub use object::ObjectKind;
pub(crate) use object::{ObjectRef, OwnedObject};
pub(crate) use scan_error::ScanError;
pub(crate) use scan_targets::ScanTargets;
