//! The hashes of a WordPress site's resources.

use hostplane_domain::desired::{DesiredSite, SiteLimits};
use hostplane_domain::details::{AdminEmail, AdminUser, SiteTitle};
use hostplane_domain::ids::{HostId, SiteId};
use hostplane_domain::mark::SiteRef;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::site_kind::{KindSpec, SiteKind};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_domain::url::SiteUrl;
use hostplane_domain::wordpress::{MailRelay, MailTls, PhpSettings, SiteImages, WordpressDetails, WordpressSpec};
use uuid::Uuid;

use crate::sites;

fn hello() -> DesiredSite {
    DesiredSite {
        site: SiteRef { id: SiteId::new(Uuid::from_u128(1)), name: SiteName::parse("hello").unwrap() },
        host: HostId::LOCAL,
        url: SiteUrl { host: "hello.localhost".into(), port: 8080 },
        limits: SiteLimits::default(),
        shared_network: "hostplane".into(),
        secret_version: 1,
        secret_generation: 1,
        admin_generation: 1,
        suspended: false,
        kind: KindSpec::Wordpress(WordpressSpec {
            subnet: "10.213.0.0/29".parse().unwrap(),
            details: WordpressDetails {
                title: SiteTitle::parse("Hello").unwrap(),
                admin_user: AdminUser::parse("admin").unwrap(),
                admin_email: AdminEmail::parse("admin@hello.localhost").unwrap(),
            },
            images: SiteImages { php: "hostplane/php:1".into(), nginx: "hostplane/nginx:1".into() },
            php: PhpSettings::default(),
            mail: None,
            database_host: "host.docker.internal:3306".into(),
        }),
    }
}

fn wordpress(want: &mut DesiredSite) -> &mut WordpressSpec {
    want.kind.wordpress_mut().unwrap()
}

fn hash(want: &DesiredSite, kind: ResourceKind) -> SpecHash {
    sites::of(SiteKind::Wordpress).resource(kind).unwrap().spec_hash(want)
}

/// A changed hash makes every existing site differ from its desired state: change it knowingly.
#[test]
fn golden_hashes() {
    let want = hello();
    let hashes: Vec<String> = ResourceKind::ALL.iter().map(|kind| format!("{kind} {}", hash(&want, *kind))).collect();
    assert_eq!(hashes.join("\n"), include_str!("spec_hash.golden").trim_end());
}

#[test]
fn kept_hashes_are_those_of_one_desired_state() {
    let (want, kept) = (hello(), sites::of(SiteKind::Wordpress).hashes(&hello()));
    assert!(ResourceKind::ALL.iter().all(|kind| kept.get(*kind) == Some(hash(&want, *kind))));
    assert!(kept.are_of(&want));
    assert!(!kept.are_of(&DesiredSite { suspended: true, ..hello() }));
}

#[test]
fn a_hash_changes_only_with_its_own_resource() {
    let changed = |change: fn(&mut DesiredSite)| -> Vec<ResourceKind> {
        let mut want = hello();
        change(&mut want);
        ResourceKind::ALL.iter().copied().filter(|kind| hash(&want, *kind) != hash(&hello(), *kind)).collect()
    };
    assert_eq!(changed(|w| wordpress(w).subnet = "10.213.0.8/29".parse().unwrap()), [ResourceKind::Network]);
    assert_eq!(changed(|w| wordpress(w).images.php = "other".into()), [ResourceKind::PhpContainer]);
    assert_eq!(changed(|w| w.limits.nginx.memory_mib = 1), [ResourceKind::NginxContainer]);
    let read_at_start = [ResourceKind::Settings, ResourceKind::PhpContainer, ResourceKind::NginxContainer];
    assert_eq!(changed(|w| w.limits.upload_mib = 1), read_at_start);
    assert_eq!(changed(|w| w.suspended = true), [ResourceKind::Route, ResourceKind::Serving]);
    assert_eq!(
        changed(|w| w.secret_version = 2),
        [ResourceKind::Database, ResourceKind::Settings, ResourceKind::PhpContainer]
    );
    // The room for uploads is a part of both containers, and so are all PHP settings but this one of nginx.
    assert_eq!(changed(|w| wordpress(w).php.max_execution_seconds = 1), read_at_start);
    let of_php = [ResourceKind::Settings, ResourceKind::PhpContainer];
    assert_eq!(changed(|w| wordpress(w).php.memory_mib = 1), of_php);
    assert_eq!(changed(|w| wordpress(w).php.max_input_vars = 1), of_php);
    assert_eq!(changed(|w| wordpress(w).php.opcache_mib = 1), of_php);
    assert_eq!(changed(|w| wordpress(w).php.disallow_file_edit = false), of_php);
    let relay = |w: &mut DesiredSite| {
        wordpress(w).mail =
            Some(MailRelay { host: "mail".into(), port: 25, tls: MailTls::None, user: None, from: None });
    };
    assert_eq!(changed(relay), of_php);
    assert_eq!(changed(|w| wordpress(w).details.title = SiteTitle::parse("x").unwrap()), []);
}
