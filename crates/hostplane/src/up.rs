//! Makes the platform at the start of `hostplane up`, and retries until it is up.

use std::collections::BTreeSet;
use std::time::Duration;

use hostplane_domain::ids::SiteId;
use hostplane_domain::status::SiteStatus;
use hostplane_engine::platform::Platform;
use hostplane_engine::store::{SiteFilter, Store, StoreError};
use hostplane_infra::database_path::ClosedPath;
use hostplane_infra::error::{Effect, EffectError, Rejection};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

/// First pause between two attempts; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Sites that are read at once.
const PAGE: u32 = 500;

/// Failure that no retry overcomes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    #[error("the platform can't be made: {error}{hint}", error = .0, hint = hint(.0))]
    Refused(EffectError),
    #[error("the control database can't be used")]
    Store(#[from] StoreError),
}

/// Names the settings to change if a name is taken.
fn hint(error: &EffectError) -> &'static str {
    match error {
        EffectError::Rejected(Rejection::NameTaken { .. }) => {
            "\nThe platform's names are settings: DOCKER_NETWORK, MARIADB_CONTAINER, CADDY_CONTAINER"
        }
        _ => "",
    }
}

/// Makes the platform.
pub(crate) struct Up {
    platform: Platform,
    store: Store,
    progress: watch::Sender<Option<String>>,
}

impl Up {
    pub fn new(platform: Platform, store: Store) -> Self {
        let (progress, _) = watch::channel(Some("is being made".to_owned()));
        Self { platform, store, progress }
    }

    /// The last obstacle; `None` once the platform is up.
    pub fn progress(&self) -> watch::Receiver<Option<String>> {
        self.progress.subscribe()
    }

    /// Returns once the platform is up and the sites' containers were started, or if the platform can't be made.
    pub async fn run(&self) -> Result<(), UpError> {
        info!("making the platform: network, guard, MariaDB, Caddy");
        self.until_done(async || self.platform.up().await).await?;
        self.progress.send_replace(None);
        info!("the platform is up");
        if let Err(error) = self.platform.sites_reach_mariadb().await {
            // Not a reason to keep the sites down; readiness and `doctor` go on asking.
            let repair = ClosedPath::of(&error).map(ClosedPath::repair);
            error!(error = %error.chain(), repair, "the sites don't reach MariaDB");
        }
        let active = self.active_sites().await?;
        // A site that doesn't start must not stop the others; the log names it.
        match self.platform.start_sites(|mark| active.contains(&mark.site.id)).await {
            Ok(0) => {}
            Ok(started) => info!(containers = started, "started stopped containers of sites"),
            Err(error) => warn!(error = %error.chain(), "can't list the stopped containers of sites"),
        }
        Ok(())
    }

    /// Retries until it succeeds or is rejected, which no retry overcomes.
    async fn until_done(&self, attempt: impl AsyncFn() -> Effect<()>) -> Result<(), UpError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match attempt().await {
                Ok(()) => return Ok(()),
                Err(error @ EffectError::Rejected(_)) => return Err(UpError::Refused(error)),
                Err(error) => {
                    warn!(error = %error.chain(), "the platform is not up yet; trying again");
                    self.progress.send_replace(Some(error.to_string()));
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn active_sites(&self) -> Result<BTreeSet<SiteId>, StoreError> {
        let mut active = BTreeSet::new();
        let mut filter = SiteFilter { status: Some(SiteStatus::Active), limit: PAGE, ..SiteFilter::default() };
        loop {
            let page = self.store.sites(&filter).await?;
            // A row that can't be read is still a site in service.
            active.extend(page.unreadable.iter().filter_map(|row| row.id.parse::<SiteId>().ok()));
            let page = page.reported();
            let Some(last) = page.last() else { return Ok(active) };
            filter.after = Some(last.site.site.id);
            active.extend(page.iter().map(|entry| entry.site.site.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hostplane_domain::secret::{Keyring, MasterSecret};
    use hostplane_engine::pace::Pace;
    use hostplane_engine::platform::PlatformSettings;
    use hostplane_engine::secrets::Secrets;
    use hostplane_infra::clock::{Clock, SystemClock};
    use hostplane_infra::containers::{Containers, NetworkSpec};
    use hostplane_infra::error::Dependency;
    use hostplane_testing::fake::{FakeWorld, ScriptedGate};
    use sqlx::Connection;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;

    struct Harness {
        up: Up,
        world: FakeWorld,
        gate: Arc<ScriptedGate>,
        dir: TempDir,
    }

    async fn new_harness() -> Harness {
        let settings = PlatformSettings {
            mariadb_elsewhere: false,
            shared_network: "hostplane".into(),
            mariadb_container: "mariadb".into(),
            mariadb_image: "m:1".into(),
            mariadb_port: 3306,
            mariadb_admin_port: 3307,
            php_image: "p:1".into(),
            subnet_pool: "10.213.0.0/16".parse().unwrap(),
            guard_image: "g:1".into(),
            caddy_container: "caddy".into(),
            caddy_image: "c:1".into(),
            caddy_conf_dir: "/etc/caddy".into(),
            http_port: 8080,
            https_port: 8443,
            ..PlatformSettings::default()
        };
        let (dir, world, gate) = (TempDir::new().unwrap(), FakeWorld::default(), ScriptedGate::new());
        world.state().containers.images.extend(["m:1", "c:1", "g:1", "p:1"].map(str::to_owned));
        // The Engine's own network, whose gateway MariaDB listens on.
        let subnet = Some("172.17.0.0/16".parse().unwrap());
        let bridge = NetworkSpec { name: "bridge".into(), subnet, labels: std::collections::BTreeMap::new() };
        world.create_network(&bridge).await.unwrap();
        let file = dir.path().join("hostplane.db");
        let store = Store::open(&file, Pace::default().settle, SystemClock.now()).await.unwrap();
        let instance = store.instance().await.unwrap();
        let keep = |ring: &Keyring| Ok(ring.clone());
        let secret = Secrets::new(Keyring::new(MasterSecret::new([7; 32])), Arc::new(keep));
        let platform = Platform::new(world.behind(gate.clone()), settings, instance, secret);
        Harness { up: Up::new(platform, store), world, gate, dir }
    }

    #[tokio::test]
    async fn it_waits_for_the_engine() {
        let harness = new_harness().await;
        harness.gate.cut_off(Dependency::DOCKER);
        let mut progress = harness.up.progress();
        let reconnect = async {
            progress.wait_for(|error| error.as_ref().is_some_and(|error| error.contains("refused"))).await.unwrap();
            harness.gate.reconnect(Dependency::DOCKER);
        };
        let (made, ()) = tokio::join!(harness.up.run(), reconnect);
        made.unwrap();
        assert_eq!(*harness.up.progress().borrow(), None);
        assert!(harness.world.state().containers.container("caddy").is_some());
    }

    #[tokio::test]
    async fn a_site_whose_row_cannot_be_read_is_in_service() {
        let harness = new_harness().await;
        let file = SqliteConnectOptions::new().filename(harness.dir.path().join("hostplane.db"));
        let mut database = SqliteConnection::connect_with(&file).await.unwrap();
        let mut expected = BTreeSet::new();
        for nth in 1..=3_u128 {
            let id = Uuid::from_u128(nth);
            expected.insert(SiteId::new(id));
            sqlx::query(
                "INSERT INTO sites (id, name, kind, status, details, spec, secret_version, created_at, updated_at)
                 VALUES ($1, 's' || $2, 'wordpress', 'ACTIVE', '{}', '{', 1, 1, 1)",
            )
            .bind(id.to_string())
            .bind(i64::try_from(nth).unwrap())
            .execute(&mut database)
            .await
            .unwrap();
        }
        assert_eq!(harness.up.active_sites().await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_rejection_ends_it() {
        let harness = new_harness().await;
        harness.world.state().containers.images.clear();
        let error = harness.up.run().await.unwrap_err();
        assert!(matches!(error, UpError::Refused(_)) && error.to_string().contains("image"), "{error}");
        assert!(harness.up.progress().borrow().is_some(), "never ready");
    }

    #[tokio::test]
    async fn a_taken_name_is_reported_with_its_settings() {
        let harness = new_harness().await;
        harness.world.create_volume("caddy_data", &std::collections::BTreeMap::new()).await.unwrap();
        let error = harness.up.run().await.unwrap_err().to_string();
        assert!(error.contains("caddy_data") && error.contains("CADDY_CONTAINER"), "{error}");
    }
}
