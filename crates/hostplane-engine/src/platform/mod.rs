//! The platform that all sites share: the network, MariaDB, Caddy, and the guard, which keeps sites away from the host.
//! Only this module makes, marks and removes it.

mod clean;
mod guard;
mod parts;
mod servers;

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{ready, try_join_all};
use futures_util::stream;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::{LABEL_INSTANCE, Mark};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::render::guard::NamedServer;
use hostplane_domain::secret::{Keyring, mariadb_hash};
use hostplane_domain::subnet::{SubnetPool, overlap};
use hostplane_infra::containers::{ContainerFacts, ContainerState, NetworkFacts, Scope};
use hostplane_infra::error::{Dependency, Effect, EffectError};
use hostplane_infra::wordpress::UPDATE_PATIENCE;
use hostplane_infra::world::World;
use ipnet::Ipv4Net;
use secrecy::SecretString;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::pace::{Pace, STEP_TRIES};
use crate::resources::Resource;
use crate::secrets::Secrets;
use crate::sites;
use servers::MariadbShare;

/// User of MariaDB as whom the control plane administers it.
pub const MARIADB_ADMIN: &str = "hostplane";
/// MariaDB's administration port inside its container; it has connections of its own, so tenants who use
/// up theirs don't lock the control plane out.
const MARIADB_EXTRA_PORT: u16 = 3307;
/// Longest wait for an answer of a server after its start.
const START_TIMEOUT: Duration = Duration::from_secs(90);
/// Containers of sites that are started concurrently.
const STARTED_AT_ONCE: usize = 8;
/// Sites that are asked at once if they update themselves.
const ASKED_AT_ONCE: usize = 16;
/// Pause until they are asked again.
const UPDATE_PAUSE: Duration = Duration::from_secs(2);
/// Seconds that containers get to end before the Engine kills them.
const SITE_GRACE_S: u16 = 10;
const MARIADB_GRACE_S: u16 = 50;

/// The operator's settings of the platform.
#[derive(Debug, Clone, Default)]
pub struct PlatformSettings {
    /// The network that sites share with Caddy.
    pub shared_network: String,
    /// True if MariaDB is not the platform's own: it is used, and neither made nor removed.
    pub mariadb_elsewhere: bool,
    /// MariaDB's container; its volumes and its network are named after it.
    pub mariadb_container: String,
    /// MariaDB's image.
    pub mariadb_image: String,
    /// The port on Docker's gateway address under which sites reach MariaDB.
    pub mariadb_port: u16,
    /// The port on the loopback address under which the control plane reaches MariaDB.
    pub mariadb_admin_port: u16,
    /// Memory of MariaDB in MiB; by default it follows the machine's, as its buffer pool and its share of the CPU do.
    pub mariadb_memory_mib: Option<u32>,
    /// MariaDB's buffer pool, in MiB.
    pub mariadb_buffer_pool_mib: Option<u32>,
    /// CPU time of MariaDB, in thousandths of a core.
    pub mariadb_cpu_milli: Option<u32>,
    /// Servers that the operator names for the sites, which may be on the host.
    pub named_servers: Vec<NamedServer>,
    /// True if sites may reach port 25 of any machine.
    pub allow_port_25: bool,
    /// True if sites may reach private networks.
    pub allow_private_networks: bool,
    /// The image of the sites' PHP, for the probe.
    pub php_image: String,
    /// The pool of the sites' subnets, of which the probe has one.
    pub subnet_pool: SubnetPool,
    /// The guard's image. Its container is named after the shared network.
    pub guard_image: String,
    /// Caddy's container; its volumes are named after it.
    pub caddy_container: String,
    /// Caddy's image.
    pub caddy_image: String,
    /// Directory of Caddy's configuration in its container.
    pub caddy_conf_dir: String,
    /// The host's port for HTTP.
    pub http_port: u16,
    /// The host's port for HTTPS.
    pub https_port: u16,
}

impl PlatformSettings {
    /// The container that keeps the rules in the host's packet filter.
    #[must_use]
    pub fn guard_container(&self) -> String {
        format!("{}_guard", self.shared_network)
    }

    /// The container that asks on the sites' path for the database server, and the network that it alone is on.
    #[must_use]
    pub fn probe_container(&self) -> String {
        format!("{}_probe", self.shared_network)
    }
}

/// The platform of one installation.
pub struct Platform {
    world: World,
    settings: PlatformSettings,
    instance: InstanceId,
    secrets: Secrets,
}

impl Platform {
    /// Assembles the platform; calls nothing yet.
    #[must_use]
    pub fn new(world: World, settings: PlatformSettings, instance: InstanceId, secrets: Secrets) -> Self {
        Self { world, settings, instance, secrets }
    }

    /// The passwords that [`MARIADB_ADMIN`] may have, the one that it should have first.
    #[must_use]
    pub fn mariadb_passwords(secrets: &Keyring) -> Vec<SecretString> {
        secrets.newest_first().map(|(_, secret)| secret.platform_password("mariadb")).collect()
    }

    /// Makes missing parts, starts stopped ones, replaces those made from other settings, and waits until both servers
    /// answer. A second call changes nothing.
    ///
    /// # Errors
    /// `Rejected` when a name has another owner, a port is taken or an image is missing; else an error that may pass.
    pub async fn up(&self) -> Effect<()> {
        let parts = parts::Parts { world: &self.world, instance: self.instance };
        let network = parts.network(&self.settings.shared_network, None);
        let (network, engine) = futures_util::join!(network, self.world.local().containers.about());
        network?;
        let engine = engine?;
        // A MariaDB elsewhere is neither made nor published here.
        let gateway = if self.settings.mariadb_elsewhere {
            None
        } else {
            parts.network(&servers::data_network(&self.settings), None).await?;
            Some(self.docker_gateway().await?)
        };
        // The guard comes first, so that no site serves without its rules.
        parts.server(&servers::guard(&self.settings, gateway, self.instance)).await?;
        self.guard_has_its_rules().await?;
        // The oldest password: its hash is part of the container's spec, so another one would replace the container.
        // The first connection renews the password.
        let hash = Self::mariadb_passwords(&self.secrets.now()).last().map(mariadb_hash).unwrap_or_default();
        let share = MariadbShare::of(&self.settings, &engine);
        let mariadb = gateway.map(|gateway| servers::mariadb(&self.settings, share, &gateway.to_string(), &hash));
        let caddy = servers::caddy(&self.settings, &engine.kernel);
        // Waits for all even if one fails: a dropped call has its effect all the same.
        let mariadb = async {
            match &mariadb {
                Some(mariadb) => parts.server(mariadb).await,
                None => Ok(()),
            }
        };
        let (mariadb, caddy, ()) = futures_util::join!(mariadb, parts.server(&caddy), self.probe(&parts));
        mariadb.and(caddy)?;
        futures_util::try_join!(self.answers(Dependency::Mariadb), self.answers(Dependency::CADDY))?;
        Ok(())
    }

    /// Starts stopped containers of sites for whose mark `is_active` holds, and answers how many started. A container
    /// that can't be started is logged, and hinders no other site.
    ///
    /// # Errors
    /// When the Engine can't list the containers.
    pub async fn start_sites(&self, is_active: impl Fn(&Mark) -> bool) -> Effect<usize> {
        let stopped: Vec<ContainerFacts> = self
            .own_containers()
            .await?
            .into_iter()
            .filter(|container| container.state != ContainerState::Running)
            .filter_map(|container| Some((container.mark.clone()?, container)))
            .filter(|(mark, _)| sites::resource(mark.kind).is_some_and(Resource::runs) && is_active(mark))
            .map(|(_, container)| container)
            .collect();
        let starts = stream::iter(&stopped).map(|container| self.start_site(container));
        Ok(starts.buffer_unordered(STARTED_AT_ONCE).filter(|started| ready(*started)).count().await)
    }

    /// Starts one container, with retries: after a boot everything starts at once.
    async fn start_site(&self, container: &ContainerFacts) -> bool {
        for tried in 1..=STEP_TRIES {
            match self.world.local().containers.start_container(&container.id).await {
                Ok(()) => {
                    info!(container = container.name, "started");
                    return true;
                }
                Err(EffectError::Transient { .. } | EffectError::OutcomeUnknown { .. }) if tried < STEP_TRIES => {
                    sleep(self.world.clock.jitter(Pace::default().backoff(tried + 3))).await;
                }
                Err(error) => {
                    warn!(container = container.name, error = %error.chain(), "container can't be started");
                    return false;
                }
            }
        }
        false
    }

    /// Stops every container of this installation: Caddy, then the sites, then MariaDB and the guard, whose rules
    /// stay until [`clean`](Self::clean) or the machine's restart. Updates that sites' own WordPress runs come to their
    /// end before, for at most [`UPDATE_PATIENCE`].
    ///
    /// # Errors
    /// When the Engine fails.
    pub async fn down(&self) -> Effect<()> {
        let mut running = self.own_containers().await?;
        running.retain(|container| container.state == ContainerState::Running);
        let guard = self.settings.guard_container();
        let rank = |container: &ContainerFacts| match container.name.as_str() {
            name if name == self.settings.caddy_container => 0,
            name if name == self.settings.mariadb_container || name == guard => 2,
            _ => 1,
        };
        for (at, grace) in [(0, SITE_GRACE_S), (1, SITE_GRACE_S), (2, MARIADB_GRACE_S)] {
            // No visitor begins one any more.
            if at == 1 {
                self.wait_for_updates(&running).await;
            }
            let group = running.iter().filter(|container| rank(container) == at);
            try_join_all(group.map(|container| {
                info!(container = container.name, "stopping");
                self.world.local().containers.stop_container(&container.id, grace)
            }))
            .await?;
        }
        Ok(())
    }

    async fn wait_for_updates(&self, running: &[ContainerFacts]) {
        let is_php = |container: &&ContainerFacts| {
            container.mark.as_ref().is_some_and(|mark| mark.kind == ResourceKind::PhpContainer)
        };
        let php: Vec<&ContainerFacts> = running.iter().filter(is_php).collect();
        let deadline = Instant::now() + UPDATE_PATIENCE;
        loop {
            let wordpress = &self.world.local().wordpress;
            // Each time all of them: an event may have begun one.
            let asked = php
                .iter()
                .map(|php| async move { (!wordpress.hold_updates(&php.id).await.unwrap_or(false)).then_some(*php) });
            let updating: Vec<&ContainerFacts> =
                stream::iter(asked).buffer_unordered(ASKED_AT_ONCE).filter_map(ready).collect().await;
            if updating.is_empty() || Instant::now() >= deadline {
                return;
            }
            let names: Vec<&str> = updating.iter().map(|php| php.name.as_str()).collect();
            info!(containers = names.join(", "), "WordPress updates itself in these; waiting, at most 15 minutes");
            sleep(UPDATE_PAUSE).await;
        }
    }

    async fn own_containers(&self) -> Effect<Vec<ContainerFacts>> {
        self.world.local().containers.containers(&self.own()).await
    }

    fn own(&self) -> Scope {
        Scope::Label(LABEL_INSTANCE.to_owned(), self.instance.to_string())
    }

    /// Makes the probe. No site needs it, so without it the platform is up all the same.
    async fn probe(&self, parts: &parts::Parts<'_>) {
        let made = async {
            parts.network(&self.settings.probe_container(), self.probe_subnet().await?).await?;
            parts.server(&servers::probe(&self.settings)).await
        };
        if let Err(error) = made.await {
            warn!(error = %error.chain(), "the probe can't be made, so the sites' path to MariaDB is not watched");
        }
    }

    /// The subnet of the probe: the last free one of the sites' pool, as a firewall may know the sites by it. The only
    /// free one stays a site's.
    async fn probe_subnet(&self) -> Effect<Option<Ipv4Net>> {
        let networks = self.world.local().containers.networks(&Scope::All).await?;
        let used: Vec<_> = networks.iter().flat_map(|network| &network.subnets).collect();
        let is_free = |subnet: &Ipv4Net| !used.iter().any(|used| overlap(used, subnet));
        let mut free = self.settings.subnet_pool.subnets().filter(is_free);
        Ok(free.next().and_then(|first| free.last().filter(|last| *last != first)))
    }

    /// The address under which containers of any network reach the host.
    async fn docker_gateway(&self) -> Effect<Ipv4Addr> {
        let found = self.world.local().containers.networks(&Scope::Names(vec!["bridge".to_owned()])).await?;
        // Until its first restart an Engine doesn't list the gateway; then the gateway is the first address.
        let first = |network: &NetworkFacts| network.subnets.first().and_then(|subnet| subnet.hosts().next());
        let gateway = found.first().and_then(|network| network.gateway.or_else(|| first(network)));
        gateway.ok_or_else(|| EffectError::NotFound("the gateway of Docker's network `bridge`".to_owned()))
    }

    /// Asks whether the sites reach MariaDB.
    ///
    /// # Errors
    /// A [`ClosedPath`](hostplane_infra::database_path::ClosedPath), when they don't.
    pub async fn sites_reach_mariadb(&self) -> Effect<()> {
        self.world.ping(Dependency::DATABASE_PATH).await
    }

    async fn answers(&self, dependency: Dependency) -> Effect<()> {
        let begun = Instant::now();
        loop {
            match self.world.ping(dependency).await {
                Err(EffectError::Transient { .. }) if begun.elapsed() < START_TIMEOUT => {
                    sleep(Duration::from_millis(100)).await;
                }
                other => return other,
            }
        }
    }
}
