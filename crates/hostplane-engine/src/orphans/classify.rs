//! Classifies marked objects: explained by a site, or an orphan of a class.

use std::collections::BTreeMap;
use std::time::Duration;

use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;

use crate::inventory::{ObjectRef, OwnedObject};
use crate::sites;
use crate::store::Origin;

/// The class of an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrphanClass {
    /// Seen after its job had ended: its site has failed or is destroyed.
    LeftOver {
        /// The site that it was made for.
        site: SiteId,
        /// The kind of resource.
        kind: ResourceKind,
        /// A recent removal has failed.
        removal_failed: bool,
    },
    /// Made by a job that the journal doesn't know.
    UnknownJob,
    /// An object under a name that no job of ours gives: its labels are a copy of ours. Never touched.
    Misnamed,
}

/// Returns the orphans among the objects seen at or after `scanned_at`. `pause` is the least time between two removals
/// of which the first failed.
pub(super) fn classify<'a>(
    seen: impl Iterator<Item = ObjectRef<'a>>,
    origins: &BTreeMap<JobId, Origin>,
    scanned_at: Timestamp,
    pause: Duration,
) -> Vec<(OwnedObject, OrphanClass)> {
    let verdict = |seen: ObjectRef<'_>| {
        let why = classify_one(seen, origins.get(&seen.mark.job), scanned_at, pause)?;
        Some((seen.to_owned(), why))
    };
    seen.filter_map(verdict).collect()
}

fn classify_one(
    seen: ObjectRef<'_>,
    origin: Option<&Origin>,
    scanned_at: Timestamp,
    pause: Duration,
) -> Option<OrphanClass> {
    let Some(origin) = origin.filter(|origin| origin.site == seen.mark.site.id) else {
        return Some(OrphanClass::UnknownJob);
    };
    // Its name decides, and its mark must agree: a mark may be a copy of another object's.
    let named = sites::of(origin.kind).resource_at(seen, &origin.name).filter(|_| seen.mark.site.name == origin.name);
    let Some(resource) = named else { return Some(OrphanClass::Misnamed) };
    match origin.status {
        SiteStatus::Failed | SiteStatus::Destroyed => {}
        // Beside an existing site it is a drift of that site.
        SiteStatus::Created | SiteStatus::Provisioning | SiteStatus::Active | SiteStatus::Destroying => return None,
    }
    // A job that has ended since may have removed it.
    if origin.at_rest_since.is_none_or(|since| since >= scanned_at) {
        return None;
    }
    let removal_failed = origin.collected_in_vain.is_some_and(|since| scanned_at < since.plus(pause));
    Some(OrphanClass::LeftOver { site: origin.site, kind: resource.kind(), removal_failed })
}

#[cfg(test)]
mod tests {
    use hostplane_domain::ids::InstanceId;
    use hostplane_domain::mark::{Mark, SiteRef};
    use hostplane_domain::name::SiteName;
    use hostplane_domain::site_kind::SiteKind;
    use hostplane_domain::spec_hash::SpecHash;
    use uuid::Uuid;

    use super::*;
    use crate::inventory::ObjectKind;

    const SITE: SiteId = SiteId::new(Uuid::from_u128(2));
    const PAUSE: Duration = Duration::from_mins(1);
    const JOB: JobId = JobId::new(Uuid::from_u128(3));

    fn found(site: SiteId) -> OwnedObject {
        let site = SiteRef { id: site, name: SiteName::parse("hello").unwrap() };
        let instance = InstanceId::new(Uuid::from_u128(1));
        let mark = Mark { instance, site, kind: ResourceKind::FilesVolume, job: JOB, spec: SpecHash::of(&"x") };
        OwnedObject { kind: ObjectKind::Volume, name: "wp_hello".to_owned(), mark }
    }

    fn origin(status: SiteStatus, at_rest_since: Option<i64>) -> Origin {
        let name = SiteName::parse("hello").unwrap();
        let at_rest_since = at_rest_since.map(Timestamp);
        Origin { site: SITE, name, kind: SiteKind::Wordpress, status, at_rest_since, collected_in_vain: None }
    }

    fn class_of(found: &OwnedObject, origin: Origin) -> Option<OrphanClass> {
        let origins = BTreeMap::from([(JOB, origin)]);
        classify([found.as_ref()].into_iter(), &origins, Timestamp(10), PAUSE).pop().map(|(_, why)| why)
    }

    const fn left_over(kind: ResourceKind) -> OrphanClass {
        OrphanClass::LeftOver { site: SITE, kind, removal_failed: false }
    }

    #[test]
    fn an_object_without_its_site_is_left_over() {
        for &status in SiteStatus::ALL {
            let is_gone = matches!(status, SiteStatus::Failed | SiteStatus::Destroyed);
            let expected = is_gone.then_some(left_over(ResourceKind::FilesVolume));
            assert_eq!(class_of(&found(SITE), origin(status, Some(9))), expected, "{status}");
        }
    }

    #[test]
    fn a_possibly_gone_object_waits_for_another_scan() {
        for at_rest_since in [Some(10), Some(11), None] {
            assert_eq!(class_of(&found(SITE), origin(SiteStatus::Failed, at_rest_since)), None, "{at_rest_since:?}");
        }
    }

    #[test]
    fn the_journal_decides_a_site_s_name() {
        let other = Origin { name: SiteName::parse("other").unwrap(), ..origin(SiteStatus::Destroyed, Some(9)) };
        assert_eq!(class_of(&found(SITE), other), Some(OrphanClass::Misnamed));
    }

    #[test]
    fn a_removal_waits_after_a_recently_failed_one() {
        let removal_failed = |since: i64| {
            let tried =
                Origin { collected_in_vain: Some(Timestamp(since)), ..origin(SiteStatus::Destroyed, Some(since)) };
            let origins = BTreeMap::from([(JOB, tried)]);
            let why = classify([found(SITE).as_ref()].into_iter(), &origins, Timestamp(10).plus(PAUSE), PAUSE)
                .pop()
                .unwrap()
                .1;
            matches!(why, OrphanClass::LeftOver { removal_failed: true, .. })
        };
        assert!(removal_failed(11) && !removal_failed(10));
    }

    #[test]
    fn the_name_decides_the_kind_not_the_labels() {
        let class = |what, name: &str| {
            let found = OwnedObject { kind: what, name: name.to_owned(), ..found(SITE) };
            class_of(&found, origin(SiteStatus::Destroyed, Some(9)))
        };
        for (what, name, kind) in [
            (ObjectKind::Container, "php_hello", ResourceKind::PhpContainer),
            (ObjectKind::Container, "nginx_hello", ResourceKind::NginxContainer),
            (ObjectKind::Container, "writer_hello", ResourceKind::Settings),
            (ObjectKind::Volume, "wp_hello", ResourceKind::FilesVolume),
            (ObjectKind::Volume, "php_hello", ResourceKind::PhpVolume),
            (ObjectKind::Volume, "nginx_hello", ResourceKind::NginxVolume),
            (ObjectKind::Network, "site_hello", ResourceKind::Network),
            (ObjectKind::Database, "wp_hello", ResourceKind::Database),
            (ObjectKind::Route, "hello.caddy", ResourceKind::Route),
        ] {
            assert_eq!(class(what, name), Some(left_over(kind)), "{what} {name}");
            assert_eq!(class(what, "mine"), Some(OrphanClass::Misnamed), "{what}");
        }
    }

    #[test]
    fn a_name_that_only_another_kind_gives_is_misnamed() {
        let php = OwnedObject { kind: ObjectKind::Container, name: "php_hello".to_owned(), ..found(SITE) };
        for blueprint in sites::all() {
            let made = Origin { kind: blueprint.kind(), ..origin(SiteStatus::Destroyed, Some(9)) };
            let is_its_own = blueprint.has(ResourceKind::PhpContainer);
            let expected = if is_its_own { left_over(ResourceKind::PhpContainer) } else { OrphanClass::Misnamed };
            assert_eq!(class_of(&php, made), Some(expected), "{}", blueprint.kind());
        }
    }

    #[test]
    fn objects_of_unknown_jobs_are_never_left_over() {
        let unknown = classify([found(SITE).as_ref()].into_iter(), &BTreeMap::new(), Timestamp(10), PAUSE);
        assert_eq!(unknown[0].1, OrphanClass::UnknownJob);
        let other = SiteId::new(Uuid::from_u128(9));
        let of_another = class_of(&found(other), origin(SiteStatus::Failed, Some(9)));
        assert_eq!(of_another, Some(OrphanClass::UnknownJob), "another site's job");
    }
}
