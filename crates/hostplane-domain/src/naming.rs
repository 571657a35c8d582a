//! The names of everything that a site is made of. Nothing else spells them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::SiteName;
use crate::text_enum::BadText;

/// The ledger of the sites' databases. No site can have this name: `_` is not allowed in site names.
pub const LEDGER_DATABASE: &str = "wp__hostplane";

/// The directory of the site's files inside its containers.
pub const DOCROOT: &str = "/var/www/html";
/// The directory of generated PHP settings and secrets inside the PHP container.
pub const PHP_SETTINGS_DIR: &str = "/etc/hostplane";
/// The directory from which nginx reads server blocks.
pub const NGINX_SETTINGS_DIR: &str = "/etc/nginx/conf.d";
/// The mount point of the site's volumes in the container that fills them before their first use.
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

/// The site that a container, volume, network, database or snippet of this name belongs to, if it is a site's name.
#[must_use]
pub fn site_of(name: &str) -> Option<SiteName> {
    let (prefixes, suffix) = (["wp_", "php_", "nginx_", "writer_", "site_"], ".caddy");
    let stem = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).or_else(|| name.strip_suffix(suffix));
    SiteName::parse(stem?).ok()
}

macro_rules! resource_kinds {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $name:expr;)+) => {
        /// A kind of resource that sites are made of. One file of the engine's `resources` implements each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ResourceKind {
            $($(#[$doc])* #[serde(rename = $text)] $variant),+
        }

        impl ResourceKind {
            /// Every kind, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable text form, used in labels, the journal and the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        /// The name of a site's resource outside, as shown to operators.
        #[must_use]
        pub fn of(kind: ResourceKind, site: &SiteName) -> String {
            let name: fn(&SiteName) -> String = match kind { $(ResourceKind::$variant => $name),+ };
            name(site)
        }
    };
}

resource_kinds! {
    /// The bridge network of the site's PHP and nginx alone.
    Network = "network", network;
    /// The volume with the site's files.
    FilesVolume = "files_volume", files_volume;
    /// The volume with PHP's settings and secrets.
    PhpVolume = "php_volume", php_volume;
    /// The volume with the nginx server block.
    NginxVolume = "nginx_volume", nginx_volume;
    /// Database, user and grants.
    Database = "database", database;
    /// The generated files inside the two settings volumes.
    Settings = "settings", |site| format!("{}, {}", php_volume(site), nginx_volume(site));
    /// The PHP-FPM container.
    PhpContainer = "php_container", php_container;
    /// The nginx container.
    NginxContainer = "nginx_container", nginx_container;
    /// WordPress unpacked into the files volume.
    WordpressFiles = "wordpress_files", |site| format!("{}:{DOCROOT}", files_volume(site));
    /// WordPress installed into the database.
    WordpressInstall = "wordpress_install", |site| format!("{}.wp_options", database(site));
    /// The Caddy snippet.
    Route = "route", snippet_file;
    /// The front page, requested from outside.
    Serving = "serving", |_| "front page".to_owned();
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ResourceKind {
    type Err = BadText;
    fn from_str(text: &str) -> Result<Self, BadText> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(BadText("kind of resource"))
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
    fn each_name_leads_back_to_its_site() {
        let site = SiteName::parse("my-shop").unwrap();
        let of_kinds = ResourceKind::ALL.iter().filter(|kind| {
            use ResourceKind as K;
            !matches!(kind, K::Settings | K::WordpressFiles | K::WordpressInstall | K::Serving)
        });
        let names = of_kinds.map(|kind| of(*kind, &site)).chain([writer_container(&site), database(&site)]);
        for name in names {
            assert_eq!(site_of(&name), Some(site.clone()), "{name}");
        }
        for other in ["my-shop", "wp_", "wp__hostplane", "php_My", "mariadb", "x.caddy.caddy", ""] {
            assert_eq!(site_of(other), None, "{other}");
        }
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

    #[test]
    fn all_are_listed_in_order_of_declaration() {
        assert!(ResourceKind::ALL.iter().enumerate().all(|(nth, kind)| *kind as usize == nth));
    }

    #[test]
    fn text_form_is_read_back_and_serialised_alike() {
        for kind in ResourceKind::ALL {
            assert_eq!(kind.as_str().parse::<ResourceKind>(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
    }
}
