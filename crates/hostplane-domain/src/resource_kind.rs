//! The kinds of resource, which are declared with their names.

pub use crate::naming::ResourceKind;
