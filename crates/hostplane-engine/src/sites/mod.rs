//! The kinds of site: one folder per kind with its blueprint, registered here.
//!
//! *Invariant:* no other module names a kind of site. The blueprint of a kind lists its resources; each fact about a
//! resource stands with the resource.

#[cfg(feature = "tiny")]
mod tiny;
mod wordpress;

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::Owner;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Node;
use hostplane_domain::site_kind::{KindSpec, SiteDetails, SiteKind};
use hostplane_infra::containers::{ContainerFacts, ContainerState, Scope};
use hostplane_infra::error::Effect;
use ipnet::Ipv4Net;

use crate::context::SiteCx;
use crate::fingerprint::SpecHashes;
use crate::inventory::snapshot::{Depth, Snapshot};
use crate::inventory::{ObjectKind, ObjectRef, ScanTargets};
use crate::resources::Resource;
use crate::site_settings::SiteSettings;

/// Every kind of site.
const BLUEPRINTS: &[&dyn Blueprint] = &[
    &wordpress::Wordpress,
    #[cfg(feature = "tiny")]
    &tiny::Tiny,
];

/// The blueprint of a kind of site.
pub(crate) trait Blueprint: Send + Sync {
    /// The kind.
    fn kind(&self) -> SiteKind;

    /// Its resources, each after those that it needs.
    fn resources(&self) -> &'static [&'static dyn Resource];

    /// The part of a new site's desired state that only this kind has. A subnet is given to kinds with a network.
    fn new_spec(&self, details: &SiteDetails, settings: &SiteSettings, subnet: Option<Ipv4Net>) -> KindSpec;
}

/// The blueprint of each kind.
#[cfg(test)]
pub(crate) fn all() -> &'static [&'static dyn Blueprint] {
    BLUEPRINTS
}

/// The blueprint of a kind.
pub(crate) fn of(kind: SiteKind) -> &'static dyn Blueprint {
    let found = BLUEPRINTS.iter().find(|blueprint| blueprint.kind() == kind);
    *found.expect("every kind has a blueprint: there is a test")
}

impl dyn Blueprint + '_ {
    /// The resource of a kind, if sites of this kind have it.
    pub fn resource(&self, kind: ResourceKind) -> Option<&'static dyn Resource> {
        self.resources().iter().copied().find(|resource| resource.kind() == kind)
    }

    /// The resource that has an object's name, if a site of this kind has one.
    pub fn resource_at(&self, object: ObjectRef<'_>, site: &SiteName) -> Option<&'static dyn Resource> {
        let is_it = |resource: &&'static dyn Resource| {
            resource.object() == Some(object.kind) && resource.object_name(site) == object.name
        };
        self.resources().iter().copied().find(is_it)
    }

    /// True when sites of this kind have a resource of that kind.
    pub fn has(&self, kind: ResourceKind) -> bool {
        self.resource(kind).is_some()
    }

    /// True when the WordPress of a site of this kind says itself how it is.
    pub fn asks_wordpress(&self) -> bool {
        self.resources().iter().any(|resource| resource.asks_wordpress())
    }

    /// Reads everything under a site's names.
    ///
    /// # Errors
    /// When a list can't be read.
    pub async fn snapshot(&self, cx: &SiteCx<'_>, depth: Depth) -> Effect<Snapshot> {
        let mut targets = ScanTargets::default();
        for resource in self.resources() {
            resource.scan_targets(&cx.site.name, &mut targets);
        }
        Snapshot::of_site(cx, &targets, depth).await
    }

    /// Keeps updates of core, plugins and themes from beginning in a site whose PHP is about to end. `false` while one
    /// runs.
    ///
    /// # Errors
    /// When its PHP doesn't answer.
    pub async fn hold_updates(&self, cx: &SiteCx<'_>) -> Effect<bool> {
        let mut targets = ScanTargets::default();
        for resource in self.resources() {
            resource.scan_targets(&cx.site.name, &mut targets);
        }
        let Some(php) = targets.wordpress else { return Ok(true) };
        let found = cx.host.containers.containers(&Scope::Names(vec![php])).await?;
        let is_own = |found: &&ContainerFacts| matches!(cx.owner(found.mark.as_ref()), Owner::Ours(_));
        match found.iter().find(is_own).filter(|php| php.state == ContainerState::Running) {
            Some(php) => cx.host.wordpress.hold_updates(&php.id).await,
            None => Ok(true),
        }
    }

    /// Every resource, observed.
    pub fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Vec<Node> {
        let node = |resource: &&'static dyn Resource| Node {
            kind: resource.kind(),
            needs: resource.needs(),
            within: resource.within(),
            holds_data: resource.holds_data(),
            is_visitors_view: resource.is_visitors_view(),
            observed: resource.observe(cx, want, seen),
        };
        self.resources().iter().map(node).collect()
    }

    /// The hashes of all resources of a site.
    pub fn hashes(&self, want: &DesiredSite) -> SpecHashes {
        let hashes = self.resources().iter().map(|resource| (resource.kind(), resource.spec_hash(want)));
        SpecHashes::new(want, hashes)
    }
}

/// The resource of a kind, in any kind of site. The facts about it are the same in all of them.
pub(crate) fn resource(kind: ResourceKind) -> Option<&'static dyn Resource> {
    BLUEPRINTS.iter().find_map(|blueprint| blueprint.resource(kind))
}

/// The resource that has an object's name, of a site whose kind is unknown.
pub(crate) fn resource_at(object: ObjectRef<'_>, site: &SiteName) -> Option<&'static dyn Resource> {
    BLUEPRINTS.iter().find_map(|blueprint| blueprint.resource_at(object, site))
}

/// The objects that a site of a kind consists of when it is whole: kind and name of each.
#[must_use]
pub fn objects(kind: SiteKind, site: &SiteName) -> Vec<(ObjectKind, String)> {
    let lasting = of(kind)
        .resources()
        .iter()
        .filter(|resource| resource.object() != Some(ObjectKind::Container) || resource.runs());
    lasting.filter_map(|resource| Some((resource.object()?, resource.object_name(site)))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_one_blueprint() {
        let kinds: Vec<SiteKind> = BLUEPRINTS.iter().map(|blueprint| blueprint.kind()).collect();
        assert_eq!(kinds, SiteKind::ALL);
    }

    #[test]
    fn every_resource_belongs_to_a_kind() {
        for kind in ResourceKind::ALL {
            assert_eq!(resource(*kind).map(Resource::kind), Some(*kind));
        }
    }

    #[test]
    fn a_resource_comes_after_those_it_needs() {
        for blueprint in BLUEPRINTS {
            let mut before = BTreeSet::new();
            for resource in blueprint.resources() {
                assert!(resource.needs().iter().all(|kind| before.contains(kind)), "{}", resource.kind());
                assert!(resource.within().is_none_or(|kind| before.contains(&kind)), "{}", resource.kind());
                assert!(before.insert(resource.kind()), "{} twice", resource.kind());
            }
        }
    }

    #[test]
    fn a_whole_site_has_no_container_that_exists_only_meanwhile() {
        let of = |kind| -> Vec<(ObjectKind, String)> {
            let all = objects(SiteKind::Wordpress, &SiteName::parse("hello").expect("a name"));
            all.into_iter().filter(|(found, _)| *found == kind).collect()
        };
        let names = |kind| of(kind).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(ObjectKind::Container), ["php_hello", "nginx_hello"]);
        assert_eq!(names(ObjectKind::Volume), ["wp_hello", "php_hello", "nginx_hello"]);
        assert_eq!(names(ObjectKind::Network), ["site_hello"]);
    }

    #[test]
    fn every_kind_has_a_route_and_visitors_view() {
        for blueprint in BLUEPRINTS {
            assert!(blueprint.has(ResourceKind::Route) && blueprint.has(ResourceKind::Serving));
        }
    }
}
