//! The names of everything that a site is made of. Nothing else spells them.

use sha2::{Digest, Sha256};

use crate::ids::InstanceId;
use crate::mark::{LABEL_INSTANCE, LABEL_SITE_ID, Labels};
use crate::name::SiteName;
use crate::resource_kind::ResourceKind;

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

/// With what the names of an installation's bridges begin: by it the packet filter knows what its containers
/// send. 25 bits tell installations of one Engine apart.
#[must_use]
pub fn bridge_prefix(instance: InstanceId) -> String {
    format!("{BRIDGE}{}", short_hash::<5>(&instance.to_string()))
}

/// The bridge interface of a network, by the network's name and labels: none without an installation's mark.
/// The kernel allows 15 characters; 40 bits tell the networks of one installation apart.
#[must_use]
pub fn bridge_of(network: &str, labels: &Labels) -> Option<String> {
    let instance = labels.get(LABEL_INSTANCE)?.parse().ok()?;
    let site = labels.get(LABEL_SITE_ID).map_or("", String::as_str);
    Some(format!("{}{}", bridge_prefix(instance), short_hash::<8>(&format!("{site}/{network}"))))
}

/// Whether an interface is the bridge of some installation.
#[must_use]
pub fn is_bridge(interface: &str) -> bool {
    let is_ours = |rest: &str| rest.len() == 13 && rest.bytes().all(|byte| BASE32.contains(&byte));
    interface.strip_prefix(BRIDGE).is_some_and(is_ours)
}

const BRIDGE: &str = "hp";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn short_hash<const N: usize>(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().take(N).map(|byte| char::from(BASE32[usize::from(byte & 31)])).collect()
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

/// The name under which a resource is found outside, as shown to people.
#[must_use]
pub fn of(kind: ResourceKind, site: &SiteName) -> String {
    match kind {
        ResourceKind::Network => network(site),
        ResourceKind::FilesVolume => files_volume(site),
        ResourceKind::PhpVolume => php_volume(site),
        ResourceKind::NginxVolume => nginx_volume(site),
        ResourceKind::Database => database(site),
        ResourceKind::Settings => format!("{}, {}", php_volume(site), nginx_volume(site)),
        ResourceKind::PhpContainer => php_container(site),
        ResourceKind::NginxContainer => nginx_container(site),
        ResourceKind::WordpressFiles => format!("{}:{DOCROOT}", files_volume(site)),
        ResourceKind::WordpressInstall => format!("{}.wp_options", database(site)),
        ResourceKind::Route => snippet_file(site),
        ResourceKind::Serving => "front page".to_owned(),
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
    fn a_bridge_has_its_installation_s_prefix_and_a_name_of_its_own_that_the_kernel_takes() {
        let labels = |instance: u128, site: Option<u128>| -> Labels {
            let id = |n| uuid::Uuid::from_u128(n).to_string();
            let mut labels = Labels::from([(LABEL_INSTANCE.to_owned(), id(instance))]);
            labels.extend(site.map(|site| (LABEL_SITE_ID.to_owned(), id(site))));
            labels
        };
        let bridge = |network, instance, site| bridge_of(network, &labels(instance, site)).unwrap();
        let one = bridge("site_a", 1, Some(1));
        assert!(one.len() == 15 && is_bridge(&one), "{one}");
        assert!(one.starts_with(&bridge_prefix(InstanceId::new(uuid::Uuid::from_u128(1)))));
        assert_eq!(one, bridge("site_a", 1, Some(1)));
        let others = [bridge("site_a", 1, Some(2)), bridge("site_b", 1, Some(1)), bridge("site_a", 2, Some(1))];
        let all: std::collections::BTreeSet<&String> = others.iter().chain([&one]).collect();
        assert_eq!(all.len(), 4);
        assert_eq!(bridge_of("theirs", &Labels::new()), None);
        for other in ["hp0", "hpet0", "eth0", "br-0123456789ab", "hp-23456789abcd", "hp01"] {
            assert!(!is_bridge(other), "{other}");
        }
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
}
