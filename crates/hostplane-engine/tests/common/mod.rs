//! What orders for sites look like, in the tests of the engine.

use std::sync::Arc;

use hostplane_domain::desired::WordpressDetails;
use hostplane_domain::details::{AdminEmail, AdminUser, SiteTitle};
use hostplane_domain::name::SiteName;
use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_engine::secrets::Secrets;
use hostplane_engine::store::NewSite;

/// A secret whose later generations are kept nowhere: their bytes are their numbers.
pub fn secrets(first: [u8; 32]) -> Secrets {
    let keep = |ring: &Keyring| {
        let number = u8::try_from(ring.newest() + 1).map_err(std::io::Error::other)?;
        Ok(ring.followed_by(MasterSecret::new([number; 32])))
    };
    Secrets::new(Keyring::new(MasterSecret::new(first)), Arc::new(keep))
}

pub fn name(site: &str) -> SiteName {
    SiteName::parse(site).unwrap()
}

pub fn new_site(site: &str) -> NewSite {
    NewSite {
        name: name(site),
        details: WordpressDetails {
            title: SiteTitle::parse("A site").unwrap(),
            admin_user: AdminUser::parse("admin").unwrap(),
            admin_email: AdminEmail::parse("admin@example.com").unwrap(),
        },
    }
}
