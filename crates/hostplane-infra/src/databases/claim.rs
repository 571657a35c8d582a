//! Whose a tenant is, and how that is said.

use hostplane_domain::ids::{InstanceId, SiteId};
use hostplane_domain::mark::{Mark, Owner};

use crate::error::{Effect, EffectError, Rejection};

/// The mark of a ledger's row if it is this site's; a row that can't be read is nobody's.
///
/// # Errors
/// `NameTaken`, with whose the tenant is.
pub fn own(tenant: &str, entry: Option<&Mark>, instance: InstanceId, site: SiteId) -> Effect<Mark> {
    let owner = match Owner::judge(entry.cloned(), instance, site) {
        Owner::Ours(mark) => return Ok(mark),
        Owner::Foreign if entry.is_some() => "another Hostplane instance".to_owned(),
        owner => owner.to_string(),
    };
    Err(taken("database", tenant, owner))
}

/// Something of that name is there, and no row of the ledger says whose.
#[must_use]
pub fn foreign(what: &'static str, name: &str) -> EffectError {
    taken(what, name, Owner::Foreign.to_string())
}

fn taken(what: &'static str, name: &str, owner: String) -> EffectError {
    Rejection::NameTaken { what, name: name.to_owned(), owner }.into()
}
