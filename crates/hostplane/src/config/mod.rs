//! Settings: their sources ([`layers`], [`env_file`]), their syntax ([`settings`]) and their meaning ([`Config`]).

pub(crate) mod env_file;
pub(crate) mod layers;
mod mail;
mod settings;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostplane_domain::desired::SiteLimits;
use hostplane_domain::disk::{DiskLimits, MIB};
use hostplane_domain::render::guard::NamedServer;
use hostplane_domain::subnet::SubnetPool;
use hostplane_domain::wordpress::{PhpSettings, SiteImages};
use hostplane_engine::pace::Pace;
use hostplane_engine::platform::{MARIADB_ADMIN, Platform, PlatformSettings};
use hostplane_engine::secrets::Secrets;
use hostplane_engine::site_settings::{DiskSettings, SiteSettings};
use hostplane_infra::containers::engine_host;
use hostplane_infra::database_path::PathSettings;
use hostplane_infra::databases::{BadAddress, Mariadb, MariadbAddress, Passwords};
use hostplane_infra::proxy::CaddyLocation;
use ipnet::Ipv4Net;
use secrecy::ExposeSecret;

pub(crate) use settings::Settings;

use crate::host_networks;

/// Soft limit of a site's disk space without a hard one, in MiB.
const SITE_DISK_SOFT: u32 = 10 * 1024;
/// Longest pause between two measurements of the Engine's disk: one writer fills 300 MB in it at 20 MB/s.
const DISK_TICK: Duration = Duration::from_secs(15);

/// An invalid setting. No variant holds a value that may be a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(
        "{0} is not set: `images/build FILE` builds the images and writes their names to FILE; start with --env-file \
         FILE, or set {0} to an image of yours (docs/images.md)"
    )]
    ImageMissing(&'static str),
    #[error("WP_DSN: {0}")]
    Dsn(#[from] BadAddress),
    #[error(
        "DOCKER_HOST is on another machine and WP_DSN is not set: the MariaDB of `up` is administered on the Engine's own \
         loopback address; set WP_DSN to a database server that this machine reaches (docs/remote-hosts.md)"
    )]
    DsnMissing,
    #[error(
        "WP_DSN leads to this machine, which sites on another one don't reach under that address; set SITE_DB_HOST to the \
         database server's HOST:PORT as the sites' containers see it"
    )]
    SiteDbMissing,
    #[error("DATABASE_URL is not of the form sqlite://FILE; other databases are not available in this version")]
    Database,
    #[error(
        "SUBNET_POOL {pool} overlaps with {network}, to which this machine's {interface} leads; set it to a free range"
    )]
    PoolInUse { pool: SubnetPool, network: Ipv4Net, interface: String },
    #[error(transparent)]
    Mail(#[from] mail::MailError),
    #[error("{0} and {1} are both {2}; give one of them another port")]
    SamePort(&'static str, &'static str, u16),
    #[error("MARIADB_BUFFER_POOL_MB is set: set MARIADB_MEMORY_MB too, to at least a third more")]
    BufferPool,
}

/// The settings, checked.
#[derive(Debug)]
pub(crate) struct Config {
    settings: Settings,
    wp_dsn: Option<MariadbAddress>,
    database: Option<PathBuf>,
}

impl Config {
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let wp_dsn = settings.wp_dsn.as_ref().map(|dsn| MariadbAddress::parse(dsn.expose_secret())).transpose()?;
        let database = settings.database_url.as_ref().map(|url| database_file(url.expose_secret())).transpose()?;
        let config = Self { settings, wp_dsn, database };
        config.check_ports()?;
        config.check_buffer_pool()?;
        config.check_machines()?;
        Ok(config)
    }

    /// True if the Engine runs on this machine.
    fn is_local(&self) -> bool {
        self.engine_host().is_none()
    }

    fn engine_host(&self) -> Option<String> {
        engine_host(&self.settings.docker_host)
    }

    /// Refuses addresses of this machine if the Engine, and with it every published port, is on another.
    fn check_machines(&self) -> Result<(), ConfigError> {
        match &self.wp_dsn {
            _ if self.is_local() => Ok(()),
            None => Err(ConfigError::DsnMissing),
            Some(dsn) if dsn.is_loopback() && self.settings.site_db_host.is_none() => Err(ConfigError::SiteDbMissing),
            Some(_) => Ok(()),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn home(&self) -> &Path {
        &self.settings.hostplane_home
    }

    /// The control database's file, given that of the home.
    pub fn database(&self, default: PathBuf) -> PathBuf {
        self.database.clone().unwrap_or(default)
    }

    pub fn api(&self) -> SocketAddr {
        SocketAddr::new(self.settings.api_address, self.settings.api_port)
    }

    /// MariaDB as the control plane reaches it. The password of the one that `up` makes follows the secret.
    pub fn mariadb(&self, secrets: &Secrets) -> Mariadb {
        if let Some(dsn) = &self.wp_dsn {
            return Mariadb::new(dsn.clone());
        }
        let secrets = secrets.clone();
        let passwords: Passwords = Arc::new(move || Platform::mariadb_passwords(&secrets.now()));
        let newest = passwords().swap_remove(0);
        let address = MariadbAddress::new("127.0.0.1", self.settings.mariadb_admin_port, MARIADB_ADMIN, newest);
        Mariadb::with_passwords(address, passwords)
    }

    pub fn caddy(&self) -> CaddyLocation {
        let settings = &self.settings;
        CaddyLocation { container: settings.caddy_container.clone(), conf_dir: settings.caddy_conf_dir.clone() }
    }

    /// The path on which sites reach MariaDB, with the containers of the platform that know it.
    pub fn database_path(&self) -> PathSettings {
        let platform = self.platform_that_exists();
        PathSettings {
            container: platform.probe_container(),
            guard: platform.guard_container(),
            server: self.site_db_host(),
        }
    }

    pub fn probe_address(&self) -> String {
        let settings = &self.settings;
        let port = settings.http_port;
        let default = || match (settings.app_server_ip, self.engine_host()) {
            (Some(ip), _) => SocketAddr::new(ip, port).to_string(),
            (None, Some(host)) if host.contains(':') => format!("[{host}]:{port}"),
            (None, Some(host)) => format!("{host}:{port}"),
            (None, None) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string(),
        };
        settings.probe_address.clone().unwrap_or_else(default)
    }

    pub fn sites(&self) -> Result<SiteSettings, ConfigError> {
        let settings = &self.settings;
        let php = PhpSettings {
            memory_mib: settings.php_memory_mb,
            max_execution_seconds: settings.php_max_execution_time,
            max_input_vars: settings.php_max_input_vars,
            opcache_mib: settings.php_opcache_mb,
            disallow_file_edit: settings.disallow_file_edit,
        };
        Ok(SiteSettings {
            base_domain: settings.base_domain.clone(),
            public_port: settings.public_port.unwrap_or(settings.http_port),
            images: SiteImages {
                php: required(settings.php_image.as_ref(), "PHP_IMAGE")?,
                nginx: required(settings.nginx_image.as_ref(), "NGINX_IMAGE")?,
            },
            platform_images: self.platform_images(),
            limits: SiteLimits::fitting(settings.upload_mb, &php),
            php,
            mail_password: mail::password(settings)?,
            mail: mail::relay(settings),
            shared_network: settings.docker_network.clone(),
            database_host: self.site_db_host(),
            subnet_pool: settings.subnet_pool,
            concurrency: usize::from(settings.concurrency),
            repair_concurrency: usize::from(settings.repair_concurrency.unwrap_or(settings.concurrency / 2).max(1)),
            statement_limit: Duration::from_secs(settings.statement_seconds.into()),
            disk: self.disk(),
            pace: Pace {
                scan_interval: Duration::from_secs(settings.reconcile_interval.into()),
                orphan_grace: Duration::from_secs(settings.orphan_grace.into()),
                ..Pace::default()
            },
        })
    }

    /// The images that are set of what sites share.
    fn platform_images(&self) -> Vec<String> {
        let settings = &self.settings;
        let mariadb = settings.mariadb_image.as_ref().filter(|_| self.wp_dsn.is_none());
        [mariadb, settings.caddy_image.as_ref(), settings.guard_image.as_ref()].into_iter().flatten().cloned().collect()
    }

    fn disk(&self) -> DiskSettings {
        let settings = &self.settings;
        let bytes = |mib: u32| u64::from(mib) * MIB;
        let limit = |mib: u32| (mib > 0).then(|| bytes(mib));
        let hard = settings.site_disk_hard;
        let soft = settings.site_disk_soft.unwrap_or(if hard > 0 { hard - hard / 5 } else { SITE_DISK_SOFT });
        let interval = Duration::from_secs(settings.disk_interval.into());
        DiskSettings {
            limits: DiskLimits { soft: limit(soft), hard: limit(hard), reserve: bytes(settings.disk_reserve) },
            seen_from: settings.caddy_container.clone(),
            interval,
            tick: interval.min(DISK_TICK),
        }
    }

    /// MariaDB as the sites' containers see it.
    fn site_db_host(&self) -> String {
        let default = || match &self.wp_dsn {
            Some(dsn) if !dsn.is_loopback() => dsn.authority(),
            // Inside a site's container the loopback address is the container's own.
            Some(dsn) => format!("host.docker.internal:{}", dsn.port()),
            None => format!("host.docker.internal:{}", self.settings.mariadb_port),
        };
        self.settings.site_db_host.clone().unwrap_or_else(default)
    }

    /// Servers that the settings name for the sites, which may be on the sites' machine.
    fn named_servers(&self) -> Vec<NamedServer> {
        let settings = &self.settings;
        let is_named = settings.site_db_host.is_some() || self.wp_dsn.is_some();
        let database = is_named.then(|| self.site_db_host());
        let mail = settings.smtp_host.as_ref().map(|host| format!("{host}:{}", settings.smtp_port));
        database.into_iter().chain(mail).filter_map(|server| named_server(&server)).collect()
    }

    /// Settings to make the platform.
    pub fn platform(&self) -> Result<PlatformSettings, ConfigError> {
        let settings = &self.settings;
        Ok(PlatformSettings {
            mariadb_image: match &self.wp_dsn {
                // `up` makes no MariaDB.
                Some(_) => String::new(),
                None => required(settings.mariadb_image.as_ref(), "MARIADB_IMAGE")?,
            },
            caddy_image: required(settings.caddy_image.as_ref(), "CADDY_IMAGE")?,
            php_image: required(settings.php_image.as_ref(), "PHP_IMAGE")?,
            guard_image: required(settings.guard_image.as_ref(), "GUARD_IMAGE")?,
            ..self.platform_that_exists()
        })
    }

    /// Settings to stop or remove the platform, which need no image.
    pub fn platform_that_exists(&self) -> PlatformSettings {
        let settings = &self.settings;
        PlatformSettings {
            shared_network: settings.docker_network.clone(),
            mariadb_elsewhere: self.wp_dsn.is_some(),
            mariadb_container: settings.mariadb_container.clone(),
            mariadb_image: String::new(),
            mariadb_port: settings.mariadb_port,
            mariadb_admin_port: settings.mariadb_admin_port,
            named_servers: self.named_servers(),
            allow_port_25: settings.allow_port_25,
            allow_private_networks: settings.allow_private_networks,
            mariadb_memory_mib: settings.mariadb_memory_mb,
            mariadb_buffer_pool_mib: settings.mariadb_buffer_pool_mb,
            mariadb_cpu_milli: settings.mariadb_cpus,
            php_image: String::new(),
            subnet_pool: settings.subnet_pool,
            guard_image: String::new(),
            caddy_container: settings.caddy_container.clone(),
            caddy_image: String::new(),
            caddy_conf_dir: settings.caddy_conf_dir.clone(),
            http_port: settings.http_port,
            https_port: settings.https_port,
        }
    }

    /// Refuses a pool that would hide a network from this machine's routes, if the Engine runs on it.
    pub fn check_pool(&self) -> Result<(), ConfigError> {
        let pool = self.settings.subnet_pool;
        match host_networks::overlapping(pool).filter(|_| self.is_local()) {
            Some((interface, network)) => Err(ConfigError::PoolInUse { pool, network, interface }),
            None => Ok(()),
        }
    }

    /// Refuses a buffer pool that leaves no memory for sessions.
    fn check_buffer_pool(&self) -> Result<(), ConfigError> {
        let Some(pool) = self.settings.mariadb_buffer_pool_mb else { return Ok(()) };
        let memory = self.settings.mariadb_memory_mb.unwrap_or_default();
        if pool <= memory / 4 * 3 { Ok(()) } else { Err(ConfigError::BufferPool) }
    }

    fn check_ports(&self) -> Result<(), ConfigError> {
        let settings = &self.settings;
        let mut ports = vec![("HTTP_PORT", settings.http_port), ("HTTPS_PORT", settings.https_port)];
        if self.wp_dsn.is_none() {
            ports
                .extend([("MARIADB_PORT", settings.mariadb_port), ("MARIADB_ADMIN_PORT", settings.mariadb_admin_port)]);
        }
        // The Engine publishes the other ports on its own machine.
        if self.is_local() {
            ports.push(("API_PORT", settings.api_port));
        }
        for (at, (name, port)) in ports.iter().enumerate() {
            if let Some((other, _)) = ports[..at].iter().find(|(_, other)| other == port) {
                return Err(ConfigError::SamePort(other, name, *port));
            }
        }
        Ok(())
    }
}

/// The server at `HOST:PORT`.
fn named_server(server: &str) -> Option<NamedServer> {
    let (host, port) = server.rsplit_once(':')?;
    Some(NamedServer { address: host.parse().ok(), port: port.parse().ok()? })
}

fn required(image: Option<&String>, name: &'static str) -> Result<String, ConfigError> {
    image.cloned().ok_or(ConfigError::ImageMissing(name))
}

fn database_file(url: &str) -> Result<PathBuf, ConfigError> {
    let file = url.strip_prefix("sqlite://").ok_or(ConfigError::Database)?;
    // A query would ask for an option that is not supported.
    if file.is_empty() || file.contains('?') || file.starts_with(":memory:") {
        return Err(ConfigError::Database);
    }
    Ok(PathBuf::from(file))
}

#[cfg(test)]
mod tests;
