//! Descriptions that many tests start from. Each test names what it changes in them.

#![expect(clippy::missing_panics_doc, reason = "only a constant text is parsed")]

use hostplane_domain::container::ContainerSpec;
use hostplane_domain::desired::{ContainerLimits, DesiredSite, SiteLimits};
use hostplane_domain::details::{AdminEmail, AdminUser, SiteTitle};
use hostplane_domain::ids::{HostId, SiteId};
use hostplane_domain::mark::SiteRef;
use hostplane_domain::name::SiteName;
use hostplane_domain::site_kind::KindSpec;
use hostplane_domain::url::SiteUrl;
use hostplane_domain::wordpress::{PhpSettings, SiteImages, WordpressDetails, WordpressSpec};

/// The WordPress site `hello` with defaults.
#[must_use]
pub fn hello() -> DesiredSite {
    DesiredSite {
        site: SiteRef {
            id: "00000000-0000-0000-0000-000000000001".parse::<SiteId>().expect("an id"),
            name: SiteName::parse("hello").expect("a name"),
        },
        host: HostId::LOCAL,
        url: SiteUrl { host: "hello.localhost".into(), port: 8080 },
        limits: SiteLimits::default(),
        shared_network: "hostplane".into(),
        secret_version: 1,
        secret_generation: 1,
        admin_generation: 1,
        suspended: false,
        restricted: false,
        kind: KindSpec::Wordpress(wordpress()),
    }
}

/// The part of `hello` that only WordPress sites have.
#[must_use]
pub fn wordpress() -> WordpressSpec {
    WordpressSpec {
        subnet: "10.213.0.0/29".parse().expect("a network"),
        details: WordpressDetails {
            title: SiteTitle::parse("Hello").expect("a title"),
            admin_user: AdminUser::parse("admin").expect("a user"),
            admin_email: AdminEmail::parse("admin@hello.localhost").expect("an address"),
        },
        images: SiteImages { php: "hostplane/php:1".into(), nginx: "hostplane/nginx:1".into() },
        php: PhpSettings::default(),
        mail: None,
        database_host: "host.docker.internal:3306".into(),
    }
}

/// A container that stays up, without name, image and network, and with no more than it needs.
#[must_use]
pub fn container() -> ContainerSpec {
    ContainerSpec {
        name: String::new(),
        image: String::new(),
        command: vec!["sleep".to_owned(), "3600".to_owned()],
        user: "33:33".to_owned(),
        network: None,
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        env: Vec::new(),
        extra_hosts: Vec::new(),
        read_only_root: false,
        publish: Vec::new(),
        sysctls: Vec::new(),
        capabilities: Vec::new(),
        limits: ContainerLimits { memory_mib: 64, cpu_milli: 500, pids: 16, log_mib: 1 },
        restart: false,
    }
}
