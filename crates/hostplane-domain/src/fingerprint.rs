//! What each resource of a site is made from, as a hash: what its mark carries and drift is told by.

use std::array;

use secrecy::ExposeSecret;

use crate::container;
use crate::desired::DesiredSite;
use crate::naming;
use crate::render::{self, SettingsSecrets, SettingsVolume};
use crate::resource_kind::ResourceKind;
use crate::spec_hash::SpecHash;

impl DesiredSite {
    /// The hash of what one of the site's resources is made from.
    #[must_use]
    pub fn spec_hash(&self, kind: ResourceKind) -> SpecHash {
        let name = naming::of(kind, &self.site.name);
        match kind {
            ResourceKind::Network => SpecHash::of(&(name, self.subnet)),
            ResourceKind::FilesVolume | ResourceKind::PhpVolume | ResourceKind::NginxVolume => SpecHash::of(&name),
            ResourceKind::Database => SpecHash::of(&(name, self.limits.database_connections, self.secret_version)),
            ResourceKind::Settings => SpecHash::of(&(self.files_of(SettingsVolume::ALL), self.secret_version)),
            // Both read their settings only when they start, so they are made anew when those change.
            ResourceKind::PhpContainer => {
                SpecHash::of(&(container::php(self), self.files_of(&[SettingsVolume::Php]), self.secret_version))
            }
            ResourceKind::NginxContainer => {
                SpecHash::of(&(container::nginx(self), self.files_of(&[SettingsVolume::Nginx])))
            }
            ResourceKind::WordpressFiles => SpecHash::of(&(name, self.site.id)),
            ResourceKind::WordpressInstall => SpecHash::of(&(name, self.site.id, self.url.to_string())),
            ResourceKind::Route => SpecHash::of(&render::caddy::route(self)),
            ResourceKind::Serving if self.suspended => SpecHash::of(&(self.url.to_string(), "suspended")),
            ResourceKind::Serving => SpecHash::of(&self.url.to_string()),
        }
    }

    fn files_of(&self, volumes: &[SettingsVolume]) -> Vec<(&'static str, String)> {
        let none = SettingsSecrets { database_password: "".into(), keys: Vec::new(), mail_password: None };
        let files = render::settings(self, &none).into_iter().filter(|file| volumes.contains(&file.volume));
        files.map(|file| (file.name, file.contents.expose_secret().to_owned())).collect()
    }
}

/// The hashes of all of a site's resources. They take longer to make than anything takes that is done with them, and
/// stay the same as long as the site does.
#[derive(Debug, Clone)]
pub struct SpecHashes {
    site: SpecHash,
    /// In the order of [`ResourceKind::ALL`].
    resources: [SpecHash; ResourceKind::ALL.len()],
}

impl SpecHashes {
    /// Those of a site.
    #[must_use]
    pub fn of(want: &DesiredSite) -> Self {
        let resources = array::from_fn(|nth| want.spec_hash(ResourceKind::ALL[nth]));
        Self { site: SpecHash::of(want), resources }
    }

    /// Whether they are of the site as it is to be now.
    #[must_use]
    pub fn are_of(&self, want: &DesiredSite) -> bool {
        self.site == SpecHash::of(want)
    }

    /// That of one resource.
    #[must_use]
    pub const fn get(&self, kind: ResourceKind) -> SpecHash {
        self.resources[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::hello;
    use crate::desired::{MailRelay, MailTls};
    use crate::details::SiteTitle;

    /// A changed hash makes every existing site differ from what is wanted: change it knowingly.
    #[test]
    fn golden_hashes() {
        let want = hello();
        let hashes: Vec<String> =
            ResourceKind::ALL.iter().map(|kind| format!("{kind} {}", want.spec_hash(*kind))).collect();
        assert_eq!(hashes.join("\n"), include_str!("spec_hash.golden").trim_end());
    }

    #[test]
    fn kept_hashes_are_those_of_one_site_as_it_was() {
        let (want, kept) = (hello(), SpecHashes::of(&hello()));
        assert!(ResourceKind::ALL.iter().all(|kind| kept.get(*kind) == want.spec_hash(*kind)));
        assert!(kept.are_of(&want));
        assert!(!kept.are_of(&DesiredSite { suspended: true, ..hello() }));
    }

    #[test]
    fn a_hash_changes_with_what_the_resource_is_made_from_and_with_nothing_else() {
        let changed = |change: fn(&mut DesiredSite)| -> Vec<ResourceKind> {
            let mut want = hello();
            change(&mut want);
            ResourceKind::ALL.iter().copied().filter(|kind| want.spec_hash(*kind) != hello().spec_hash(*kind)).collect()
        };
        assert_eq!(changed(|w| w.subnet = "10.213.0.8/29".parse().unwrap()), [ResourceKind::Network]);
        assert_eq!(changed(|w| w.images.php = "other".into()), [ResourceKind::PhpContainer]);
        assert_eq!(changed(|w| w.limits.nginx.memory_mib = 1), [ResourceKind::NginxContainer]);
        let read_at_start = [ResourceKind::Settings, ResourceKind::PhpContainer, ResourceKind::NginxContainer];
        assert_eq!(changed(|w| w.limits.upload_mib = 1), read_at_start);
        assert_eq!(changed(|w| w.suspended = true), [ResourceKind::Route, ResourceKind::Serving]);
        assert_eq!(
            changed(|w| w.secret_version = 2),
            [ResourceKind::Database, ResourceKind::Settings, ResourceKind::PhpContainer]
        );
        // The room for uploads is a part of both containers, and so are all PHP settings but this one of nginx.
        assert_eq!(changed(|w| w.php.max_execution_seconds = 1), read_at_start);
        let of_php = [ResourceKind::Settings, ResourceKind::PhpContainer];
        assert_eq!(changed(|w| w.php.memory_mib = 1), of_php);
        assert_eq!(changed(|w| w.php.max_input_vars = 1), of_php);
        assert_eq!(changed(|w| w.php.opcache_mib = 1), of_php);
        assert_eq!(changed(|w| w.php.disallow_file_edit = false), of_php);
        let relay = |w: &mut DesiredSite| {
            w.mail = Some(MailRelay { host: "mail".into(), port: 25, tls: MailTls::None, user: None, from: None });
        };
        assert_eq!(changed(relay), of_php);
        assert_eq!(changed(|w| w.wordpress.title = SiteTitle::parse("x").unwrap()), []);
    }
}
