//! Ownership of a tenant, by the ledger.

use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_domain::mark::{Mark, Owner};

use crate::error::{Effect, EffectError, Rejection};

/// Returns the mark of a ledger's row of this site. An unreadable row is foreign.
///
/// # Errors
/// `NameTaken`, naming the owner.
pub fn own(tenant: &str, entry: Option<&Mark>, instance: InstanceId, site: SiteId) -> Effect<Mark> {
    let owner = match Owner::judge(entry.cloned(), instance, site) {
        Owner::Ours(mark) => return Ok(mark),
        Owner::Foreign if entry.is_some() => "another Hostplane instance".to_owned(),
        owner => owner.to_string(),
    };
    Err(taken("database", tenant, owner))
}

/// Error for an object of that name without a row in the ledger.
#[must_use]
pub fn foreign(what: &'static str, name: &str) -> EffectError {
    taken(what, name, Owner::Foreign.to_string())
}

fn taken(what: &'static str, name: &str, owner: String) -> EffectError {
    Rejection::NameTaken { what, name: name.to_owned(), owner }.into()
}
