//! WordPress sites: a database, three volumes, a network, PHP-FPM, nginx and a route.

mod containers;
#[cfg(test)]
mod tests;

use hostplane_domain::naming::ResourceKind as Kind;
use hostplane_domain::render::SettingsVolume;
use hostplane_domain::site_kind::{KindSpec, SiteDetails, SiteKind};
use hostplane_domain::wordpress::WordpressSpec;
use ipnet::Ipv4Net;

use super::Blueprint;
use crate::resources::Resource;
use crate::resources::database::Database;
use crate::resources::network::Network;
use crate::resources::route::Route;
use crate::resources::serving::Serving;
use crate::resources::settings_files::SettingsFiles;
use crate::resources::volume::Volume;
use crate::resources::wordpress_files::WordpressFiles;
use crate::resources::wordpress_install::WordpressInstall;
use crate::site_settings::SiteSettings;

/// The blueprint of WordPress sites.
pub(super) struct Wordpress;

const RESOURCES: &[&dyn Resource] = &[
    &Network,
    &Volume::of_data(Kind::FilesVolume),
    &Volume::of_settings(Kind::PhpVolume),
    &Volume::of_settings(Kind::NginxVolume),
    &Database,
    &SettingsFiles::read_by(&[(SettingsVolume::Php, &containers::PHP), (SettingsVolume::Nginx, &containers::NGINX)]),
    &containers::PHP,
    &containers::NGINX,
    &WordpressFiles,
    &WordpressInstall,
    &Route::to(&[Kind::NginxContainer]),
    // The front page, and the page that every administrator needs.
    &Serving::of_wordpress(&["/", "/wp-login.php"], &[Kind::WordpressInstall, Kind::Route]),
];

impl Blueprint for Wordpress {
    fn kind(&self) -> SiteKind {
        SiteKind::Wordpress
    }

    fn resources(&self) -> &'static [&'static dyn Resource] {
        RESOURCES
    }

    fn new_spec(&self, details: &SiteDetails, settings: &SiteSettings, subnet: Option<Ipv4Net>) -> KindSpec {
        KindSpec::Wordpress(WordpressSpec {
            subnet: subnet.expect("a kind of site with a network gets a subnet"),
            details: details.wordpress().expect("a blueprint gets details of its own kind").clone(),
            images: settings.images.clone(),
            php: settings.php,
            mail: settings.mail.clone(),
            database_host: settings.database_host.clone(),
        })
    }
}
