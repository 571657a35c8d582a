//! A site that a case makes part by part, through the same adapters as the engine above does.

use std::sync::Arc;

use bytes::Bytes;
use hostplane_domain::container;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::details::{AdminEmail, SiteTitle};
use hostplane_domain::health::Health;
use hostplane_domain::ids::{InstanceId, JobId, SiteId};
use hostplane_domain::mark::{Mark, SiteRef};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::probe_key::{ProbeKey, ProbeMode};
use hostplane_domain::render::{self, SettingsSecrets, SettingsVolume};
use hostplane_domain::secret::{MasterSecret, mariadb_hash};
use hostplane_domain::site_kind::KindSpec;
use hostplane_domain::spec_hash::SpecHash;
use hostplane_domain::url::SiteUrl;
use hostplane_domain::wordpress::{SiteImages, WordpressDetails, WordpressSpec};
use hostplane_infra::containers::{ArchiveEntry, Exec};
use hostplane_infra::databases::TenantSpec;
use hostplane_infra::error::Effect;
use hostplane_infra::probe::Page;
use hostplane_infra::proxy::RouteSpec;
use hostplane_infra::wordpress::{EventsLimits, EventsRun, FilesFound, Installation, WordpressFacts};
use hostplane_infra::world::World;
use hostplane_testing::specs;
use secrecy::ExposeSecret;

use crate::containers::harness::{clear, labels_of, make_network};
use crate::sites::Harness;

/// The password of the site's database user.
pub const DATABASE_PASSWORD: &str = "database-s3cret";
/// The password of the site's first administrator.
pub const ADMIN_PASSWORD: &str = "admin-s3cret";
/// The site's title.
pub const TITLE: &str = "It's a \\ \"title\" & <more>";

/// The name of any version of WordPress in these facts.
pub const VERSION: &str = "a version";

/// A site with a name of its own.
pub struct Site {
    pub harness: Arc<dyn Harness>,
    pub want: DesiredSite,
}

/// Another site's id.
pub fn another() -> SiteId {
    "00000000-0000-7000-9000-00000000000b".parse().unwrap()
}

impl Site {
    pub fn new(harness: Arc<dyn Harness>) -> Self {
        let ground = harness.ground();
        let name = format!("t-{:016x}", fastrand::u64(..));
        let id: SiteId = "00000000-0000-7000-9000-00000000000a".parse().unwrap();
        let wordpress = WordpressSpec {
            details: WordpressDetails {
                title: SiteTitle::parse(TITLE).unwrap(),
                admin_email: AdminEmail::parse("admin@example.test").unwrap(),
                ..specs::wordpress().details
            },
            images: SiteImages { php: ground.php_image.clone(), nginx: ground.nginx_image.clone() },
            database_host: ground.database_host.clone(),
            ..specs::wordpress()
        };
        let want = DesiredSite {
            url: SiteUrl { host: format!("{name}.test"), port: 80 },
            site: SiteRef { id, name: SiteName::parse(&name).unwrap() },
            shared_network: ground.shared_network.clone(),
            kind: KindSpec::Wordpress(wordpress),
            ..specs::hello()
        };
        Self { harness, want }
    }

    pub fn world(&self) -> &World {
        self.harness.world()
    }

    pub fn name(&self) -> &SiteName {
        &self.want.site.name
    }

    pub fn database(&self) -> String {
        naming::database(self.name())
    }

    fn mark(&self, kind: ResourceKind) -> Mark {
        let instance: InstanceId = "00000000-0000-7000-8000-000000000001".parse().unwrap();
        let job: JobId = "00000000-0000-7000-a000-000000000001".parse().unwrap();
        Mark { instance, site: self.want.site.clone(), kind, job, spec: SpecHash::of(&"contract") }
    }

    /// Database, user and grants.
    pub async fn tenant(&self) {
        let spec = TenantSpec {
            mark: self.mark(ResourceKind::Database),
            password_hash: mariadb_hash(&DATABASE_PASSWORD.into()),
            max_connections: 20,
            restricted: false,
        };
        self.world().databases.ensure_tenant(&spec).await.unwrap();
    }

    /// The three volumes, with the generated settings in two of them.
    pub async fn settings(&self) {
        self.settings_of(&self.want).await;
    }

    /// The settings of a site that may be another, in this one's volumes.
    pub async fn settings_of(&self, want: &DesiredSite) {
        let secrets = SettingsSecrets {
            database_password: DATABASE_PASSWORD.into(),
            keys: (0..8).map(|n| format!("key-{n}").into()).collect(),
            mail_password: None,
            probe_key: self.probe_key().public(),
        };
        let directory = |path: &str, uid| ArchiveEntry { path: path.to_owned(), mode: 0o755, uid, contents: None };
        let mut entries = vec![directory("files", 33), directory("php", 33), directory("nginx", 101)];
        entries.extend(render::settings(want, &secrets).into_iter().map(|file| ArchiveEntry {
            path: format!("{}/{}", file.volume.writer_subdir(), file.name),
            mode: 0o400,
            uid: file.uid,
            contents: Some(Bytes::copy_from_slice(file.contents.expose_secret().as_bytes())),
        }));
        self.write(&entries).await;
    }

    /// The key that signs questions to this site.
    pub fn probe_key(&self) -> ProbeKey {
        MasterSecret::new([7; 32]).probe_key(self.want.site.id, 1)
    }

    /// WordPress's answer to a question.
    pub async fn ask(&self, mode: ProbeMode, path: &str) -> Option<Health> {
        self.world().probe.ask(&self.want.url, mode, path, &self.probe_key()).await.unwrap()
    }

    /// A file in the volume of WordPress's files.
    pub async fn write_file(&self, path: &str, contents: &str) {
        let contents = Some(Bytes::copy_from_slice(contents.as_bytes()));
        self.write(&[ArchiveEntry { path: format!("files/{path}"), mode: 0o644, uid: 33, contents }]).await;
    }

    /// Gives the root of WordPress's files these permission bits.
    pub async fn permit_root(&self, mode: u32) {
        self.write(&[ArchiveEntry { path: "files".to_owned(), mode, uid: 33, contents: None }]).await;
    }

    /// Takes a generated file for PHP away, by an empty one in its place.
    pub async fn empty_settings(&self) {
        let contents = Some(Bytes::new());
        let path = format!("{}/wp-config.php", SettingsVolume::Php.writer_subdir());
        self.write(&[ArchiveEntry { path, mode: 0o400, uid: 33, contents }]).await;
    }

    async fn write(&self, entries: &[ArchiveEntry]) {
        let engine = &self.world().local().containers;
        let labels = labels_of(self.name().as_str());
        let writer = engine.create_container(&container::writer(&self.want), &labels).await.unwrap();
        engine.upload(&writer, naming::WRITER_DIR, entries).await.unwrap();
        engine.remove_container(&writer).await.unwrap();
    }

    /// A file of the volume of WordPress's files, as text. All of them are too many to be downloaded.
    pub async fn read_file(&self, php: &str, path: &str) -> Option<String> {
        let argv = vec!["cat".to_owned(), format!("{}/{path}", naming::DOCROOT)];
        let exec = Exec { argv, user: None, stdin: Bytes::new() };
        let output = self.world().local().containers.exec(php, &exec).await.unwrap();
        (output.code == 0).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The PHP container, running; on the shared network too, where this harness's database server is.
    pub async fn php(&self) -> String {
        let engine = &self.world().local().containers;
        let labels = labels_of(self.name().as_str());
        make_network(&**engine, &naming::network(self.name()), &labels, 29).await;
        let id = engine.create_container(&container::php(&self.want), &labels).await.unwrap();
        engine.connect(&self.harness.ground().shared_network_id, &id).await.unwrap();
        engine.start_container(&id).await.unwrap();
        id
    }

    /// The nginx container, running; the site's own network must be there.
    pub async fn nginx(&self) -> String {
        let engine = &self.world().local().containers;
        let labels = labels_of(self.name().as_str());
        let id = engine.create_container(&container::nginx(&self.want), &labels).await.unwrap();
        engine.connect(&naming::network(self.name()), &id).await.unwrap();
        engine.start_container(&id).await.unwrap();
        id
    }

    /// The proxy's route.
    pub async fn route(&self) {
        let mark = self.mark(ResourceKind::Route);
        let contents = render::caddy::snippet(&self.want, &mark);
        let spec = RouteSpec { mark, hosts: vec![self.want.url.host.clone()], contents };
        self.world().local().proxy.put_route(&spec).await.unwrap();
    }

    /// Everything that PHP needs, and PHP.
    pub async fn ready(&self) -> String {
        self.tenant().await;
        self.settings().await;
        self.php().await
    }

    pub async fn facts(&self, php: &str) -> WordpressFacts {
        let mut facts = self.world().local().wordpress.facts(php).await.unwrap();
        if let FilesFound::Wordpress(version) = &mut facts.files {
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{version}");
            VERSION.clone_into(version);
        }
        facts
    }

    pub async fn mark_files(&self, php: &str) -> Effect<()> {
        self.world().local().wordpress.mark_files(php, self.want.site.id).await
    }

    pub async fn mark_tables(&self, php: &str) -> Effect<()> {
        self.world().local().wordpress.mark_tables(php, self.want.site.id).await
    }

    pub async fn unpack(&self, php: &str) -> Effect<()> {
        self.world().local().wordpress.unpack(php, self.want.site.id).await
    }

    pub fn installation(&self) -> Installation {
        Installation {
            site: self.want.site.id,
            url: self.want.url.clone(),
            details: self.want.wordpress().details.clone(),
            admin_password: ADMIN_PASSWORD.into(),
        }
    }

    pub async fn install(&self, php: &str) -> Effect<()> {
        self.world().local().wordpress.install(php, &self.installation()).await
    }

    pub async fn run_events(&self, php: &str) -> Effect<()> {
        let run = EventsRun { url: self.want.url.clone(), memory_mib: 256, limits: EventsLimits::default() };
        self.world().local().wordpress.run_events(php, &run).await
    }

    pub async fn get(&self, path: &str) -> Page {
        self.world().probe.get(&self.want.url, path).await.unwrap()
    }

    /// Removes all of it that the Engine has. Databases and routes go with their servers.
    pub async fn clear(&self) {
        clear(&*self.world().local().containers, self.name().as_str()).await;
    }
}
