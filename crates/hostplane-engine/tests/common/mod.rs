//! What orders for sites look like, in the tests of the engine.

use hostplane_domain::desired::WordpressDetails;
use hostplane_domain::details::{AdminEmail, AdminUser, SiteTitle};
use hostplane_domain::name::SiteName;
use hostplane_engine::store::NewSite;

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
