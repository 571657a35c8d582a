//! The settings of `serve`, `up`, `down` and `clean`, as they are written.
//!
//! A setting that may hold a password takes any text here, because clap quotes values that it refuses;
//! [`super::Config`] checks it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use hostplane_domain::desired::UPLOAD_MIB;
use hostplane_domain::details::AdminEmail;
use hostplane_domain::subnet::SubnetPool;
use hostplane_domain::url::BaseDomain;
use hostplane_domain::wordpress::{MailTls, PhpSettings};
use secrecy::SecretString;

use crate::logging::{Format, Level};

/// Every setting is a flag, an environment variable and a line of an env file.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// Directory with everything of this installation that must not be lost.
    #[arg(long, env = "HOSTPLANE_HOME", value_name = "DIR", default_value = "./.hostplane")]
    pub hostplane_home: PathBuf,
    /// The control database: sqlite://FILE. Default: hostplane.db in the home.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, value_parser = secret)]
    pub database_url: Option<SecretString>,
    /// Address on which the API listens.
    #[arg(long, env = "API_ADDRESS", value_name = "IP", default_value = "127.0.0.1")]
    pub api_address: IpAddr,
    /// Port on which the API listens; 0 takes a free one.
    #[arg(long, env = "API_PORT", value_name = "PORT", default_value_t = 7070)]
    pub api_port: u16,
    /// Jobs that run at once. Most of a job is unpacking and installing, and many jobs at once end sooner.
    #[arg(long, env = "CONCURRENCY", value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,
    /// Repairs, and other jobs of the control plane itself, that run at once. Default: half of the jobs.
    #[arg(long, env = "REPAIR_CONCURRENCY", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub repair_concurrency: Option<u16>,
    /// Seconds between two full scans. Changes that the Engine reports are scanned at once.
    #[arg(long, env = "RECONCILE_INTERVAL", value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub reconcile_interval: u32,
    /// Seconds before an orphan without data is deleted automatically.
    #[arg(long, env = "ORPHAN_GRACE", value_name = "SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u32).range(0..=31_536_000))]
    pub orphan_grace: u32,
    /// Seconds between two measurements of a site's disk usage. One that is near a limit is measured 15 times as often.
    #[arg(long, env = "DISK_INTERVAL", value_name = "SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub disk_interval: u32,
    /// Free space of the Engine's disk, in MB (MiB), below which no site is made and sites that grow are restricted.
    #[arg(long, env = "DISK_RESERVE", value_name = "MB", default_value_t = 2048,
          value_parser = clap::value_parser!(u32).range(0..=1 << 30))]
    pub disk_reserve: u32,
    /// Format of log lines.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    pub log_format: Format,
    /// Lowest level of the log lines that are written.
    #[arg(long, env = "LOG_LEVEL", value_enum, default_value_t = Level::Info)]
    pub log_level: Level,

    /// Sites are reached at <site>.<base domain>.
    #[arg(long, env = "BASE_DOMAIN", value_name = "DOMAIN", default_value = "localhost", help_heading = "Sites")]
    pub base_domain: BaseDomain,
    /// Scheme of the sites' addresses; only http until TLS is available.
    #[arg(long, env = "PUBLIC_SCHEME", value_name = "SCHEME", default_value = "http", value_parser = scheme,
          help_heading = "Sites")]
    pub public_scheme: String,
    /// Port that visitors use. Default: the HTTP port.
    #[arg(long, env = "PUBLIC_PORT", value_name = "PORT", value_parser = port(), help_heading = "Sites")]
    pub public_port: Option<u16>,
    /// Range from which each site's network gets a subnet.
    #[arg(long, env = "SUBNET_POOL", value_name = "RANGE", default_value = "10.213.0.0/16", help_heading = "Sites")]
    pub subnet_pool: SubnetPool,
    /// MariaDB as the sites' containers see it. Default: that of the DSN, or host.docker.internal and the MariaDB
    /// port if that is of this machine.
    #[arg(long, env = "SITE_DB_HOST", value_name = "HOST:PORT", value_parser = host_and_port, help_heading = "Sites")]
    pub site_db_host: Option<String>,
    /// Largest uploaded file, in MB (MiB).
    #[arg(long, env = "UPLOAD_MB", value_name = "MB", default_value_t = 64,
          value_parser = bounded(&UPLOAD_MIB), help_heading = "Sites")]
    pub upload_mb: u16,
    /// Disk space of a site's files and database, in MB (MiB), from which operators are warned; 0 is no limit. Default:
    /// four fifths of the hard limit, or 10240.
    #[arg(long, env = "SITE_DISK_SOFT", value_name = "MB",
          value_parser = clap::value_parser!(u32).range(0..=1 << 30), help_heading = "Sites")]
    pub site_disk_soft: Option<u32>,
    /// Disk space of a site, in MB (MiB), from which it takes no uploads and no new posts until something is deleted; 0
    /// is no limit.
    #[arg(long, env = "SITE_DISK_HARD", value_name = "MB", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=1 << 30), help_heading = "Sites")]
    pub site_disk_hard: u32,
    /// memory_limit of PHP, in MB (MiB).
    #[arg(long, env = "PHP_MEMORY_MB", value_name = "MB", default_value_t = PhpSettings::default().memory_mib,
          value_parser = bounded(&PhpSettings::MEMORY_MIB), help_heading = "Sites")]
    pub php_memory_mb: u16,
    /// max_execution_time of PHP, in seconds.
    #[arg(long, env = "PHP_MAX_EXECUTION_TIME", value_name = "SECONDS",
          default_value_t = PhpSettings::default().max_execution_seconds,
          value_parser = bounded(&PhpSettings::EXECUTION_SECONDS), help_heading = "Sites")]
    pub php_max_execution_time: u16,
    /// max_input_vars of PHP: fields of one form.
    #[arg(long, env = "PHP_MAX_INPUT_VARS", value_name = "N",
          default_value_t = PhpSettings::default().max_input_vars,
          value_parser = bounded(&PhpSettings::INPUT_VARS), help_heading = "Sites")]
    pub php_max_input_vars: u16,
    /// Memory for a site's compiled PHP code, in MB (MiB).
    #[arg(long, env = "PHP_OPCACHE_MB", value_name = "MB", default_value_t = PhpSettings::default().opcache_mib,
          value_parser = bounded(&PhpSettings::OPCACHE_MIB), help_heading = "Sites")]
    pub php_opcache_mb: u16,
    /// Take the editor for the code of plugins and themes out of wp-admin.
    #[arg(long, env = "DISALLOW_FILE_EDIT", value_name = "BOOL", action = ArgAction::Set,
          default_value_t = PhpSettings::default().disallow_file_edit, help_heading = "Sites")]
    pub disallow_file_edit: bool,
    /// Server that takes the sites' mail, as their containers see it. Without it sites send none.
    #[arg(long, env = "SMTP_HOST", value_name = "HOST", value_parser = host, help_heading = "Sites")]
    pub smtp_host: Option<String>,
    /// Port of the mail server.
    #[arg(long, env = "SMTP_PORT", value_name = "PORT", default_value_t = 587, value_parser = port(),
          help_heading = "Sites")]
    pub smtp_port: u16,
    /// Encryption of connections to the mail server.
    #[arg(long, env = "SMTP_TLS", value_enum, default_value_t = SmtpTls::Starttls, help_heading = "Sites")]
    pub smtp_tls: SmtpTls,
    /// User of the mail server; needs the password's file.
    #[arg(long, env = "SMTP_USER", value_name = "NAME", help_heading = "Sites")]
    pub smtp_user: Option<String>,
    /// File with the password, which only its owner can read. Every site that is given it can read it.
    #[arg(long, env = "SMTP_PASSWORD_FILE", value_name = "FILE", help_heading = "Sites")]
    pub smtp_password_file: Option<PathBuf>,
    /// Sender of mail for which a site names none.
    #[arg(long, env = "MAIL_FROM", value_name = "ADDRESS", value_parser = AdminEmail::parse, help_heading = "Sites")]
    pub mail_from: Option<AdminEmail>,
    /// Seconds after which a site's statement in the database is ended; 0 is no limit.
    #[arg(long, env = "STATEMENT_SECONDS", value_name = "SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u32).range(0..=86_400), help_heading = "Sites")]
    pub statement_seconds: u32,
    /// Let sites reach port 25 of other machines, on which mail is delivered without a relay (of `up`).
    #[arg(long, env = "ALLOW_PORT_25", value_name = "BOOL", action = ArgAction::Set, default_value_t = false,
          help_heading = "Sites")]
    pub allow_port_25: bool,
    /// Let sites reach private networks, such as 10.0.0.0/8 (of `up`).
    #[arg(long, env = "ALLOW_PRIVATE_NETWORKS", value_name = "BOOL", action = ArgAction::Set, default_value_t = true,
          help_heading = "Sites")]
    pub allow_private_networks: bool,
    /// Image with PHP-FPM and WordPress.
    #[arg(long, env = "PHP_IMAGE", value_name = "IMAGE", value_parser = image, help_heading = "Sites")]
    pub php_image: Option<String>,
    /// Image with nginx.
    #[arg(long, env = "NGINX_IMAGE", value_name = "IMAGE", value_parser = image, help_heading = "Sites")]
    pub nginx_image: Option<String>,

    /// The Docker Engine: unix:///PATH, or tcp://HOST:2376 for one on another machine, with client certificates.
    #[arg(
        long,
        env = "DOCKER_HOST",
        value_name = "URL",
        default_value = "unix:///var/run/docker.sock",
        help_heading = "Platform"
    )]
    pub docker_host: String,
    /// Directory with ca.pem, cert.pem and key.pem, for an Engine on another machine.
    #[arg(long, env = "DOCKER_CERT_DIR", value_name = "DIR", help_heading = "Platform")]
    pub docker_cert_dir: Option<PathBuf>,
    /// Network that sites share with Caddy.
    #[arg(long, env = "DOCKER_NETWORK", value_name = "NAME", default_value = "hostplane", value_parser = docker_name,
          help_heading = "Platform")]
    pub docker_network: String,
    /// Address under which the app host's published ports are reached. Default: the Docker Engine's.
    #[arg(long, env = "APP_SERVER_IP", value_name = "IP", help_heading = "Platform")]
    pub app_server_ip: Option<IpAddr>,
    /// Address of Caddy for checks that a site answers. Default: the app server's address and the HTTP port.
    #[arg(long, env = "PROBE_ADDRESS", value_name = "HOST:PORT", value_parser = host_and_port,
          help_heading = "Platform")]
    pub probe_address: Option<String>,
    /// Caddy's container.
    #[arg(long, env = "CADDY_CONTAINER", value_name = "NAME", default_value = "caddy", value_parser = docker_name,
          help_heading = "Platform")]
    pub caddy_container: String,
    /// Directory of Caddy's configuration, in its container.
    #[arg(long, env = "CADDY_CONF_DIR", value_name = "DIR", default_value = "/etc/caddy", value_parser = container_dir,
          help_heading = "Platform")]
    pub caddy_conf_dir: String,
    /// Caddy's image (of `up`).
    #[arg(long, env = "CADDY_IMAGE", value_name = "IMAGE", value_parser = image, help_heading = "Platform")]
    pub caddy_image: Option<String>,
    /// Image of the guard, which keeps sites away from the host (of `up`).
    #[arg(long, env = "GUARD_IMAGE", value_name = "IMAGE", value_parser = image, help_heading = "Platform")]
    pub guard_image: Option<String>,
    /// Host port for HTTP (of `up`).
    #[arg(long, env = "HTTP_PORT", value_name = "PORT", default_value_t = 8080, value_parser = port(),
          help_heading = "Platform")]
    pub http_port: u16,
    /// Host port for HTTPS (of `up`).
    #[arg(long, env = "HTTPS_PORT", value_name = "PORT", default_value_t = 8443, value_parser = port(),
          help_heading = "Platform")]
    pub https_port: u16,
    /// MariaDB as the control plane sees it: mysql://USER:PASSWORD@HOST:PORT, or USER:PASSWORD@tcp(HOST:PORT)/; with
    /// ?ssl-mode=… over TLS.
    /// Better in an env file or the environment than as a flag, which others can see. Default: the MariaDB of `up`.
    #[arg(long, env = "WP_DSN", value_name = "DSN", hide_env_values = true, value_parser = secret,
          help_heading = "Platform")]
    pub wp_dsn: Option<SecretString>,
    /// MariaDB's container (of `up`).
    #[arg(long, env = "MARIADB_CONTAINER", value_name = "NAME", default_value = "mariadb", value_parser = docker_name,
          help_heading = "Platform")]
    pub mariadb_container: String,
    /// MariaDB's image (of `up`).
    #[arg(long, env = "MARIADB_IMAGE", value_name = "IMAGE", value_parser = image, help_heading = "Platform")]
    pub mariadb_image: Option<String>,
    /// Port of MariaDB on Docker's gateway address, for the sites.
    #[arg(long, env = "MARIADB_PORT", value_name = "PORT", default_value_t = 3306, value_parser = port(),
          help_heading = "Platform")]
    pub mariadb_port: u16,
    /// Port of MariaDB on the loopback address, for the control plane.
    #[arg(long, env = "MARIADB_ADMIN_PORT", value_name = "PORT", default_value_t = 3307, value_parser = port(),
          help_heading = "Platform")]
    pub mariadb_admin_port: u16,
    /// Memory of MariaDB, in MB (MiB; of `up`). Default: 2048, and more on a machine with more than 16 GiB.
    #[arg(long, env = "MARIADB_MEMORY_MB", value_name = "MB", value_parser = clap::value_parser!(u32).range(512..=4_194_304),
          help_heading = "Platform")]
    pub mariadb_memory_mb: Option<u32>,
    /// MariaDB's buffer pool, in MB (MiB; of `up`): at most three quarters of its memory. Default: an eighth of 2048, and
    /// half of what there is beyond.
    #[arg(long, env = "MARIADB_BUFFER_POOL_MB", value_name = "MB",
          value_parser = clap::value_parser!(u32).range(32..=3_145_728), help_heading = "Platform")]
    pub mariadb_buffer_pool_mb: Option<u32>,
    /// Cores that MariaDB may use at most (of `up`). Default: three quarters of the machine's.
    #[arg(long, env = "MARIADB_CPUS", value_name = "CORES", value_parser = cores, help_heading = "Platform")]
    pub mariadb_cpus: Option<u32>,
}

/// Encryption of connections to the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SmtpTls {
    /// Not at all.
    None,
    /// After a greeting in the clear.
    Starttls,
    /// From the first byte.
    Tls,
}

impl From<SmtpTls> for MailTls {
    fn from(tls: SmtpTls) -> Self {
        match tls {
            SmtpTls::None => Self::None,
            SmtpTls::Starttls => Self::Starttls,
            SmtpTls::Tls => Self::Tls,
        }
    }
}

fn host(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let well_formed = (1..=253).contains(&text.len()) && text.bytes().all(plain);
    if well_formed { Ok(text.to_owned()) } else { Err("expected a host name or an address, without a port") }
}

fn bounded(bounds: &RangeInclusive<u16>) -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(i64::from(*bounds.start())..=i64::from(*bounds.end()))
}

fn port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

#[expect(clippy::unnecessary_wraps, reason = "clap's form of a parser")]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(text.into())
}

fn scheme(text: &str) -> Result<String, &'static str> {
    match text {
        "http" => Ok(text.to_owned()),
        "https" => Err("only http is available in this version; https comes with TLS"),
        _ => Err("expected http"),
    }
}

/// Reads a number of cores, in thousandths.
fn cores(text: &str) -> Result<u32, &'static str> {
    let expected = "expected a number of cores from 0.1 to 1024, such as 1.5";
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole, 4) || !is_number(part, 3) {
        return Err(expected);
    }
    let milli = format!("{whole}{part:0<3}").parse().map_err(|_| expected)?;
    if (100..=1_024_000).contains(&milli) { Ok(milli) } else { Err(expected) }
}

/// The Engine's rule for names.
fn docker_name(text: &str) -> Result<String, &'static str> {
    let well_formed = text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if well_formed { Ok(text.to_owned()) } else { Err("expected letters, digits, _ . and -, a letter or digit first") }
}

fn image(text: &str) -> Result<String, &'static str> {
    let well_formed = !text.is_empty() && text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if well_formed { Ok(text.to_owned()) } else { Err("expected an image such as hostplane/php:1") }
}

fn container_dir(text: &str) -> Result<String, &'static str> {
    let well_formed = text.len() > 1
        && text.starts_with('/')
        && text.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'.' | b'-'));
    if well_formed { Ok(text.to_owned()) } else { Err("expected a directory such as /etc/caddy") }
}

fn host_and_port(text: &str) -> Result<String, &'static str> {
    let expected = "expected HOST:PORT, such as db.example.com:3306 or [::1]:3306";
    let (host, port) = text.rsplit_once(':').ok_or(expected)?;
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    if (is_v6 || is_name) && is_port { Ok(text.to_owned()) } else { Err(expected) }
}
