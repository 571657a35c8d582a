//! The generated files in the two settings volumes.
//!
//! They are written before the serving containers are made, through a container of our own that is never
//! started: none of the site's code runs in it, and the serving containers mount the volumes read-only.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use hostplane_domain::container;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::Owner;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::observed::Reason;
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_domain::render::php::KEY_NAMES;
use hostplane_domain::render::{self, SettingsFile, SettingsSecrets, SettingsVolume};
use hostplane_domain::secret::Purpose;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::containers::{ArchiveEntry, Scope};
use hostplane_infra::error::{Effect, absent_is_done};
use secrecy::ExposeSecret;

use super::container::{Container, require_volumes};
use super::{Resource, taken, wanted_hash, within_ours};
use crate::context::{Intent, SiteCx};
use crate::inventory::snapshot::{Depth, Fact, SettingsFound, Snapshot};
use crate::inventory::{ObjectKind, ScanTargets};

/// Its reader alone may read a file with secrets, and no user may write it.
const FILE_MODE: u32 = 0o400;

/// The files in `php_<site>` and `nginx_<site>`.
pub(crate) struct SettingsFiles {
    readers: &'static [(SettingsVolume, &'static Container)],
}

impl SettingsFiles {
    /// The files of these volumes, with the container that reads each.
    pub const fn read_by(readers: &'static [(SettingsVolume, &'static Container)]) -> Self {
        Self { readers }
    }

    /// True when the container that reads a volume is of another release, and with it the files: they have no mark.
    fn is_of_another_release(
        &self,
        cx: &SiteCx<'_>,
        want: &DesiredSite,
        seen: &Snapshot,
        volume: SettingsVolume,
    ) -> bool {
        self.readers.iter().filter(|(read, _)| *read == volume).any(|(_, reader)| {
            let name = reader.object_name(&cx.site.name);
            let found = seen.containers.iter().find(|container| container.name == name);
            let owner = found.map(|found| cx.owner(found.mark.as_ref()));
            matches!(owner, Some(Owner::Ours(mark)) if mark.spec != wanted_hash(*reader, cx, want))
        })
    }

    fn any_of_another_release(&self, cx: &SiteCx<'_>, want: &DesiredSite, seen: &Snapshot) -> bool {
        self.readers.iter().any(|(volume, _)| self.is_of_another_release(cx, want, seen, *volume))
    }

    /// The differences of the files. Their contents are never shown.
    fn differences(
        &self,
        cx: &SiteCx<'_>,
        want: &DesiredSite,
        seen: &Snapshot,
        found: &SettingsFound,
    ) -> Vec<Difference> {
        let files = files(cx, want);
        let wanted: BTreeMap<_, _> = files.iter().map(|file| ((file.volume, file.name.to_owned()), file)).collect();
        let changed = wanted.iter().filter_map(|(key, file)| {
            let differs = match found.get(key) {
                None => difference(file.name, "present", "absent"),
                Some(contents) if contents != file.contents.expose_secret().as_bytes() => {
                    difference(file.name, "as generated", "changed")
                }
                Some(_) => return None,
            };
            let waits = self.is_of_another_release(cx, want, seen, file.volume);
            Some(if waits { differs.of_another_release() } else { differs })
        });
        changed.collect()
    }
}

#[async_trait]
impl Resource for SettingsFiles {
    fn kind(&self) -> ResourceKind {
        ResourceKind::Settings
    }

    fn needs(&self) -> &'static [ResourceKind] {
        &[ResourceKind::FilesVolume, ResourceKind::PhpVolume, ResourceKind::NginxVolume]
    }

    /// The container through which the files are written. It exists only meanwhile.
    fn object(&self) -> Option<ObjectKind> {
        Some(ObjectKind::Container)
    }

    fn object_name(&self, site: &SiteName) -> String {
        naming::writer_container(site)
    }

    fn shown_by(&self) -> Depth {
        Depth::Deep
    }

    fn scan_targets(&self, site: &SiteName, targets: &mut ScanTargets) {
        targets.add(ObjectKind::Container, self.object_name(site));
        targets.settings = self.readers.iter().map(|(volume, reader)| (*volume, reader.object_name(site))).collect();
    }

    fn spec_hash(&self, want: &DesiredSite) -> SpecHash {
        SpecHash::of(&(files_of(want, SettingsVolume::ALL), want.secret_version))
    }

    /// Without `want` only the writer container counts: the files go with their volumes.
    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let writer = naming::writer_container(&cx.site.name);
        if let Some(left) = seen.containers.iter().find(|container| container.name == writer) {
            let differs = vec![Difference { reason: Reason::LeftOver, ..difference("writer", "absent", "present") }];
            return Observed::Present { owner: cx.owner(left.mark.as_ref()), differs };
        }
        let Some(want) = want else { return Observed::Absent };
        let volume = naming::php_volume(&cx.site.name);
        let Some(volume) = seen.volumes.iter().find(|found| found.name == volume) else { return Observed::Absent };
        match (&seen.settings, &volume.mark) {
            (Fact::NotObserved, _) => Observed::NotObserved,
            // Another release's container may have no such directory.
            (Fact::Unknown(why), Some(mark)) if self.any_of_another_release(cx, want, seen) => {
                let differs = difference("files", "readable", why).of_another_release();
                within_ours(mark.clone(), vec![differs])
            }
            (Fact::Unknown(why), _) => Observed::Unknown(why.clone()),
            (Fact::Known(_), None) => Observed::Absent,
            (Fact::Known(found), Some(mark)) => within_ours(mark.clone(), self.differences(cx, want, seen, found)),
        }
    }

    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let spec = container::writer(want);
        require_volumes(cx, &spec).await?;
        self.remove(cx).await?;
        let writer = cx.host.containers.create_container(&spec, &self.mark(cx, want).to_labels()).await?;
        cx.host.containers.upload(&writer, naming::WRITER_DIR, &entries(cx.intent, files(cx, want))).await?;
        absent_is_done(cx.host.containers.remove_container(&writer).await)
    }

    async fn remove(&self, cx: &SiteCx<'_>) -> Effect<()> {
        let name = naming::writer_container(&cx.site.name);
        for left in cx.host.containers.containers(&Scope::Names(vec![name.clone()])).await? {
            match cx.owner(left.mark.as_ref()) {
                Owner::Ours(_) => absent_is_done(cx.host.containers.remove_container(&left.id).await)?,
                owner => return Err(taken(ObjectKind::Container, &name, &owner)),
            }
        }
        Ok(())
    }
}

/// The generated files of some volumes without their secrets: the part of a desired state that they are.
pub(crate) fn files_of(want: &DesiredSite, volumes: &[SettingsVolume]) -> Vec<(&'static str, String)> {
    let none = SettingsSecrets {
        database_password: "".into(),
        keys: Vec::new(),
        mail_password: None,
        probe_key: String::new(),
    };
    let files = render::settings(want, &none).into_iter().filter(|file| volumes.contains(&file.volume));
    files.map(|file| (file.name, file.contents.expose_secret().to_owned())).collect()
}

fn files(cx: &SiteCx<'_>, want: &DesiredSite) -> Vec<SettingsFile> {
    let (site, version) = (cx.site.id, want.secret_version);
    let keys = u8::try_from(KEY_NAMES.len()).expect("eight keys");
    let secrets = SettingsSecrets {
        database_password: cx.secret(want).site_password(Purpose::SiteDatabase, site, version),
        keys: cx.secret(want).site_keys(site, version, keys),
        mail_password: cx.mail_password(want).cloned(),
        probe_key: cx.probe_key(want).public(),
    };
    render::settings(want, &secrets)
}

fn difference(field: &'static str, wanted: &str, found: &str) -> Difference {
    let (wanted, found) = (wanted.to_owned(), found.to_owned());
    Difference { reason: Reason::Configuration, field, wanted, found, remedy: Remedy::InPlace }
}

/// The archive below the writer's directory: the owners of the volumes' roots, then the files. The root of WordPress's
/// files is given once, to a new site.
fn entries(intent: Intent, files: Vec<SettingsFile>) -> Vec<ArchiveEntry> {
    let dir = |path: &str, mode, uid| ArchiveEntry { path: path.to_owned(), mode, uid, contents: None };
    let mut entries = vec![dir("php", 0o500, 33), dir("nginx", 0o500, 101)];
    if intent == Intent::New {
        entries.push(dir("files", 0o755, 33));
    }
    entries.extend(files.into_iter().map(|file| ArchiveEntry {
        path: format!("{}/{}", file.volume.writer_subdir(), file.name),
        mode: FILE_MODE,
        uid: file.uid,
        contents: Some(Bytes::copy_from_slice(file.contents.expose_secret().as_bytes())),
    }));
    entries
}
