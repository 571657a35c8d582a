//! The hashes of a WordPress site's resources.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::details::SiteTitle;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::site_kind::SiteKind;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_domain::wordpress::{MailRelay, MailTls, WordpressSpec};
use hostplane_testing::specs::hello;

use crate::sites;

fn wordpress(want: &mut DesiredSite) -> &mut WordpressSpec {
    want.kind.wordpress_mut().unwrap()
}

fn hash(want: &DesiredSite, kind: ResourceKind) -> SpecHash {
    sites::of(SiteKind::Wordpress).resource(kind).unwrap().spec_hash(want)
}

/// The kinds of resource of WordPress sites.
fn kinds() -> impl Iterator<Item = ResourceKind> {
    ResourceKind::ALL.iter().copied().filter(|kind| sites::of(SiteKind::Wordpress).has(*kind))
}

/// A changed hash makes every existing site differ from its desired state: change it knowingly.
#[test]
fn golden_hashes() {
    let want = hello();
    let hashes: Vec<String> = kinds().map(|kind| format!("{kind} {}", hash(&want, kind))).collect();
    assert_eq!(hashes.join("\n"), include_str!("spec_hash.golden").trim_end());
}

#[test]
fn kept_hashes_are_those_of_one_desired_state() {
    let (want, kept) = (hello(), sites::of(SiteKind::Wordpress).hashes(&hello()));
    assert!(kinds().all(|kind| kept.get(kind) == Some(hash(&want, kind))));
    assert!(kept.are_of(&want));
    assert!(!kept.are_of(&DesiredSite { suspended: true, ..hello() }));
}

#[test]
fn a_hash_changes_only_with_its_own_resource() {
    let changed = |change: fn(&mut DesiredSite)| -> Vec<ResourceKind> {
        let mut want = hello();
        change(&mut want);
        kinds().filter(|kind| hash(&want, *kind) != hash(&hello(), *kind)).collect()
    };
    assert_eq!(changed(|w| wordpress(w).subnet = "10.213.0.8/29".parse().unwrap()), [ResourceKind::Network]);
    assert_eq!(changed(|w| wordpress(w).images.php = "other".into()), [ResourceKind::PhpContainer]);
    assert_eq!(changed(|w| w.limits.nginx.memory_mib = 1), [ResourceKind::NginxContainer]);
    let read_at_start = [ResourceKind::Settings, ResourceKind::PhpContainer, ResourceKind::NginxContainer];
    assert_eq!(changed(|w| w.limits.upload_mib = 1), read_at_start);
    assert_eq!(changed(|w| w.suspended = true), [ResourceKind::Route, ResourceKind::Serving]);
    assert_eq!(changed(|w| w.restricted = true), [ResourceKind::Database, ResourceKind::Route]);
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
