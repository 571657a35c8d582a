//! The site that a case is carried out on.

pub mod site;
