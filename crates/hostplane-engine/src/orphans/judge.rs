//! What to make of the things that were found.

use std::collections::BTreeMap;
use std::time::Duration;

use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::kind::Kind;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::clock::Timestamp;

use super::Found;
use crate::snapshot::{container_names, volume_names};
use crate::store::Origin;

/// The verdict over an inventory. What a site explains is in neither.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Seen after its job had ended, and explained by no site, by the site that it was made for.
    pub late: BTreeMap<SiteId, Vec<Found>>,
    /// Made by jobs that the journal doesn't know.
    pub unknown: Vec<Found>,
    /// Under a name that no job of ours gives: somebody copied our labels. Nobody touches it.
    pub misnamed: Vec<Found>,
}

/// Judges what was seen at or after `looked_at`. After a removal in vain the next one comes no sooner than
/// `pause` later.
pub(super) fn judge(
    found: Vec<Found>,
    origins: &BTreeMap<JobId, Origin>,
    looked_at: Timestamp,
    pause: Duration,
) -> Verdict {
    let mut verdict = Verdict::default();
    for found in found {
        match origins.get(&found.mark.job) {
            Some(origin) if origin.site != found.mark.site.id => verdict.unknown.push(found),
            None => verdict.unknown.push(found),
            Some(origin) if !has_its_name(&found, &origin.name) => verdict.misnamed.push(found),
            Some(origin) => {
                let unexplained = match origin.status {
                    SiteStatus::Failed | SiteStatus::Destroyed => true,
                    // The container that wrote the settings is none that a site keeps.
                    SiteStatus::Active => found.what == "container" && found.mark.kind == Kind::Settings,
                    SiteStatus::Created | SiteStatus::Provisioning | SiteStatus::Destroying => false,
                };
                // A job that has ended since may have removed it.
                let was_at_rest = origin.at_rest_since.is_some_and(|since| since < looked_at);
                let is_in_vain = origin.collected_in_vain.is_some_and(|since| looked_at < since.plus(pause));
                if unexplained && was_at_rest && !is_in_vain {
                    verdict.late.entry(origin.site).or_default().push(found);
                }
            }
        }
    }
    verdict
}

/// Whether it has the name that the site's thing of its kind has, and says so.
fn has_its_name(found: &Found, site: &SiteName) -> bool {
    if found.mark.site.name != *site {
        return false;
    }
    match found.what {
        "container" => container_names(site).contains(&found.name),
        "volume" => volume_names(site).contains(&found.name),
        "network" => found.name == naming::network(site),
        "database" => found.name == naming::database(site),
        _ => found.name == naming::snippet_file(site),
    }
}

#[cfg(test)]
mod tests {
    use hostplane_domain::ids::InstanceId;
    use hostplane_domain::mark::{Mark, SiteRef};
    use hostplane_domain::spec_hash::SpecHash;
    use uuid::Uuid;

    use super::*;

    const SITE: SiteId = SiteId::new(Uuid::from_u128(2));
    const PAUSE: Duration = Duration::from_mins(1);
    const JOB: JobId = JobId::new(Uuid::from_u128(3));

    fn found(site: SiteId) -> Found {
        let site = SiteRef { id: site, name: SiteName::parse("hello").unwrap() };
        let instance = InstanceId::new(Uuid::from_u128(1));
        let mark = Mark { instance, site, kind: Kind::FilesVolume, job: JOB, spec: SpecHash::of(&"x") };
        Found { what: "volume", name: "wp_hello".to_owned(), mark }
    }

    fn origin(status: SiteStatus, at_rest_since: Option<i64>) -> BTreeMap<JobId, Origin> {
        let name = SiteName::parse("hello").unwrap();
        let at_rest_since = at_rest_since.map(Timestamp);
        BTreeMap::from([(JOB, Origin { site: SITE, name, status, at_rest_since, collected_in_vain: None })])
    }

    fn judge(found: Vec<Found>, origins: &BTreeMap<JobId, Origin>) -> Verdict {
        super::judge(found, origins, Timestamp(10), PAUSE)
    }

    fn judged(origins: &BTreeMap<JobId, Origin>) -> (usize, usize) {
        let verdict = judge(vec![found(SITE)], origins);
        (verdict.late.len(), verdict.unknown.len())
    }

    #[test]
    fn what_was_seen_after_its_site_was_gone_landed_late() {
        for &status in SiteStatus::ALL {
            let is_gone = matches!(status, SiteStatus::Failed | SiteStatus::Destroyed);
            assert_eq!(judged(&origin(status, Some(9))), (usize::from(is_gone), 0), "{status}");
        }
    }

    #[test]
    fn of_a_site_that_is_there_only_the_writer_is_left_over() {
        let writer = |kind, what| {
            let found = found(SITE);
            let name = if what == "container" { "writer_hello".to_owned() } else { found.name };
            let found = Found { what, name, mark: Mark { kind, ..found.mark } };
            judge(vec![found], &origin(SiteStatus::Active, Some(9))).late.len()
        };
        assert_eq!(writer(Kind::Settings, "container"), 1);
        assert_eq!(writer(Kind::PhpContainer, "container"), 0);
        assert_eq!(writer(Kind::Settings, "volume"), 0, "made in passing by that container");
    }

    #[test]
    fn what_may_have_been_removed_since_is_left_to_the_next_look() {
        for at_rest_since in [Some(10), Some(11), None] {
            assert_eq!(judged(&origin(SiteStatus::Failed, at_rest_since)), (0, 0), "{at_rest_since:?}");
        }
    }

    #[test]
    fn a_site_s_name_is_what_the_journal_says() {
        let mut origins = origin(SiteStatus::Destroyed, Some(9));
        origins.get_mut(&JOB).unwrap().name = SiteName::parse("other").unwrap();
        assert_eq!(judge(vec![found(SITE)], &origins).misnamed.len(), 1);
    }

    #[test]
    fn after_a_removal_in_vain_the_next_one_waits() {
        let late = |in_vain: i64| {
            let mut origins = origin(SiteStatus::Destroyed, Some(in_vain));
            origins.get_mut(&JOB).unwrap().collected_in_vain = Some(Timestamp(in_vain));
            super::judge(vec![found(SITE)], &origins, Timestamp(10).plus(PAUSE), PAUSE).late.len()
        };
        assert_eq!((late(11), late(10)), (0, 1));
    }

    #[test]
    fn each_kind_is_known_by_its_name_and_copied_labels_make_nothing_ours() {
        let judged = |what, name: &str| {
            let found = Found { what, name: name.to_owned(), ..found(SITE) };
            let verdict = judge(vec![found], &origin(SiteStatus::Destroyed, Some(9)));
            (verdict.late.len(), verdict.misnamed.len())
        };
        for (what, name) in [
            ("container", "php_hello"),
            ("container", "nginx_hello"),
            ("container", "writer_hello"),
            ("volume", "wp_hello"),
            ("volume", "php_hello"),
            ("network", "site_hello"),
            ("database", "wp_hello"),
            ("route", "hello.caddy"),
        ] {
            assert_eq!(judged(what, name), (1, 0), "{what} {name}");
            assert_eq!(judged(what, "mine"), (0, 1), "{what}");
        }
    }

    #[test]
    fn what_the_journal_does_not_know_is_never_late() {
        assert_eq!(judged(&BTreeMap::new()), (0, 1));
        let other = SiteId::new(Uuid::from_u128(9));
        let verdict = judge(vec![found(other)], &origin(SiteStatus::Failed, Some(9)));
        assert_eq!((verdict.late.len(), verdict.unknown.len()), (0, 1), "another site's job");
    }
}
