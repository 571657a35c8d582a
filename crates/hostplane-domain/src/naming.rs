//! The names of everything that a site is made of. Nothing else spells them.

use crate::kind::Kind;
use crate::name::SiteName;

/// The ledger of tenants' databases. No site can have this name: `_` is not allowed in site names.
pub const LEDGER_DATABASE: &str = "wp__hostplane";

/// Where the site's files are inside its containers.
pub const DOCROOT: &str = "/var/www/html";
/// Where generated PHP settings and secrets are inside the PHP container.
pub const PHP_SETTINGS_DIR: &str = "/etc/hostplane";
/// Where nginx reads server blocks.
pub const NGINX_SETTINGS_DIR: &str = "/etc/nginx/conf.d";
/// Where the container that fills a site's volumes before their first use mounts them.
pub const WRITER_DIR: &str = "/hostplane";

/// The database and its user: `wp_<site>`.
#[must_use]
pub fn database(site: &SiteName) -> String {
    format!("wp_{site}")
}

/// The volume with the site's files: `wp_<site>`.
#[must_use]
pub fn files_volume(site: &SiteName) -> String {
    format!("wp_{site}")
}

/// The volume with PHP's settings and secrets: `php_<site>`.
#[must_use]
pub fn php_volume(site: &SiteName) -> String {
    format!("php_{site}")
}

/// The volume with the server block: `nginx_<site>`.
#[must_use]
pub fn nginx_volume(site: &SiteName) -> String {
    format!("nginx_{site}")
}

/// The network of the site's two containers: `site_<site>`.
#[must_use]
pub fn network(site: &SiteName) -> String {
    format!("site_{site}")
}

/// The PHP-FPM container: `php_<site>`.
#[must_use]
pub fn php_container(site: &SiteName) -> String {
    format!("php_{site}")
}

/// The nginx container: `nginx_<site>`.
#[must_use]
pub fn nginx_container(site: &SiteName) -> String {
    format!("nginx_{site}")
}

/// The container that exists only while the site's volumes are filled, and is never started.
#[must_use]
pub fn writer_container(site: &SiteName) -> String {
    format!("writer_{site}")
}

/// The snippet's file name in Caddy's directory of sites.
#[must_use]
pub fn snippet_file(site: &SiteName) -> String {
    format!("{site}.caddy")
}

/// The name under which a resource is found outside, as shown to people.
#[must_use]
pub fn of(kind: Kind, site: &SiteName) -> String {
    match kind {
        Kind::Network => network(site),
        Kind::FilesVolume => files_volume(site),
        Kind::PhpVolume => php_volume(site),
        Kind::NginxVolume => nginx_volume(site),
        Kind::Database => database(site),
        Kind::Settings => format!("{}, {}", php_volume(site), nginx_volume(site)),
        Kind::PhpContainer => php_container(site),
        Kind::NginxContainer => nginx_container(site),
        Kind::WordpressFiles => format!("{}:{DOCROOT}", files_volume(site)),
        Kind::WordpressInstall => format!("{}.wp_options", database(site)),
        Kind::Route => snippet_file(site),
        Kind::Serving => "front page".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_design() {
        let site = SiteName::parse("my-shop").unwrap();
        assert_eq!(database(&site), "wp_my-shop");
        assert_eq!(files_volume(&site), "wp_my-shop");
        assert_eq!(php_volume(&site), "php_my-shop");
        assert_eq!(nginx_volume(&site), "nginx_my-shop");
        assert_eq!(network(&site), "site_my-shop");
        assert_eq!(php_container(&site), "php_my-shop");
        assert_eq!(nginx_container(&site), "nginx_my-shop");
        assert_eq!(snippet_file(&site), "my-shop.caddy");
    }

    #[test]
    fn no_site_can_be_called_like_the_ledger() {
        let suffix = LEDGER_DATABASE.strip_prefix("wp_").unwrap();
        assert!(SiteName::parse(suffix).is_err());
    }

    #[test]
    fn the_writer_has_a_name_of_its_own() {
        assert_eq!(writer_container(&SiteName::parse("hello").unwrap()), "writer_hello");
    }
}
