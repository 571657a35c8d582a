//! An installation's settings, its world before the first site, and what orders look like, in the engine's tests.

use std::sync::Arc;

use hostplane_domain::desired::{PhpSettings, SiteImages, SiteLimits, WordpressDetails};
use hostplane_domain::details::{AdminEmail, AdminUser, SiteTitle};
use hostplane_domain::mark::Labels;
use hostplane_domain::name::SiteName;
use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_engine::secrets::Secrets;
use hostplane_engine::store::NewSite;
use hostplane_engine::{pace::Pace, site_settings::SiteSettings};
use hostplane_infra::containers::{Containers, NetworkSpec};
use hostplane_testing::fake::FakeWorld;

pub const PHP_IMAGE: &str = "hostplane/php:test";
pub const NGINX_IMAGE: &str = "hostplane/nginx:test";
pub const SHARED_NETWORK: &str = "hostplane";

pub fn settings(pace: Pace) -> SiteSettings {
    SiteSettings {
        base_domain: "localhost".parse().unwrap(),
        public_port: 8080,
        images: SiteImages { php: PHP_IMAGE.into(), nginx: NGINX_IMAGE.into() },
        limits: SiteLimits::default(),
        php: PhpSettings::default(),
        mail: None,
        mail_password: None,
        shared_network: SHARED_NETWORK.into(),
        database_host: "host.docker.internal:3306".into(),
        subnet_pool: "10.213.0.0/16".parse().unwrap(),
        concurrency: 4,
        pace,
    }
}

/// A world with images and the network that sites share with Caddy.
pub async fn world() -> FakeWorld {
    let world = FakeWorld::default();
    world.state().containers.images.extend([PHP_IMAGE, NGINX_IMAGE].map(str::to_owned));
    let subnet = Some("172.31.0.0/16".parse().unwrap());
    let shared = NetworkSpec { name: SHARED_NETWORK.into(), subnet, labels: Labels::new() };
    world.create_network(&shared).await.unwrap();
    world
}

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
