use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{Args, Command, FromArgMatches};
use hostplane_domain::secret::{Keyring, MasterSecret};

use super::layers::Layers;
use super::*;

fn layers(environment: &[(&str, &str)], files: &[(&str, &str)]) -> Layers {
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Layers {
        environment: pairs(environment).into_iter().map(|(name, value)| (name, OsString::from(value))).collect(),
        files: pairs(files).into_iter().collect(),
    }
}

fn command() -> Command {
    Settings::augment_args(Command::new("hostplane"))
}

/// Parses flags over env files, without the process's environment, which all tests share.
fn settings(files: &[(&str, &str)], flags: &[&str]) -> Result<Settings, clap::Error> {
    let command = layers(&[], files).apply(command()).mut_args(|argument| argument.env(Resettable::Reset));
    let flags = std::iter::once("hostplane").chain(flags.iter().copied());
    Settings::from_arg_matches(&command.try_get_matches_from(flags)?)
}

fn config(files: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::new(settings(files, &[]).expect("parses"))
}

#[test]
fn flags_win_over_files_and_files_over_defaults() {
    assert_eq!(settings(&[], &[]).unwrap().http_port, 8080);
    assert_eq!(settings(&[("HTTP_PORT", "81")], &[]).unwrap().http_port, 81);
    assert_eq!(settings(&[("HTTP_PORT", "81")], &["--http-port", "82"]).unwrap().http_port, 82);
    assert_eq!(settings(&[("HTTP_PORT", "")], &[]).unwrap().http_port, 8080, "nothing is not a value");
}

#[test]
fn the_environment_wins_over_files() {
    let layers = layers(&[("A", "1"), ("B", "")], &[("A", "2"), ("B", "2"), ("C", "")]);
    assert_eq!(layers.get("A").as_deref(), Some("1"));
    assert_eq!(layers.get("B").as_deref(), Some("2"));
    assert_eq!(layers.get("C"), None);
    let command = self::layers(&[("HTTP_PORT", "")], &[]).apply(command());
    let argument = command.get_arguments().find(|argument| argument.get_id() == "http_port").unwrap();
    assert_eq!(argument.get_env(), None, "clap must not take an empty variable for a value");
}

#[test]
fn flags_and_variables_have_the_same_names() {
    for argument in command().get_arguments() {
        let flag = argument.get_long().unwrap();
        let variable = argument.get_env().and_then(|name| name.to_str());
        assert_eq!(variable, Some(flag.replace('-', "_").to_uppercase().as_str()));
    }
}

#[test]
fn unknown_names_in_files_are_found() {
    let layers = layers(&[], &[("HTTP_PORT", "81"), ("HOSTPLANE_TOKEN", "x"), ("HTTP_PROT", "81")]);
    assert_eq!(layers.unknown(&command(), &["HOSTPLANE_TOKEN"]), ["HTTP_PROT"]);
}

#[test]
fn secrets_are_in_no_help_or_error() {
    let files = [("WP_DSN", "root:s3cret@db"), ("DATABASE_URL", "postgres://x:s3cret@db/x")];
    let help = layers(&[], &files).apply(command()).render_long_help().to_string();
    assert!(help.contains("WP_DSN") && !help.contains("s3cret"), "{help}");
    for file in files {
        let error = config(&[file]).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        let config = config(&[("WP_DSN", "root:s3cret@tcp(db:3306)/")]).unwrap();
        assert!(!format!("{:?}", config.wp_dsn).contains("s3cret"));
    }
}

#[test]
fn unavailable_values_are_refused_with_a_reason() {
    let error = settings(&[("PUBLIC_SCHEME", "https")], &[]).unwrap_err().to_string();
    assert!(error.contains("comes with TLS"), "{error}");
    for url in ["postgres://h/d", "sqlite://", "sqlite:x", "/x.db", "sqlite://x?mode=ro", "sqlite://:memory:"] {
        assert_eq!(config(&[("DATABASE_URL", url)]).unwrap_err(), ConfigError::Database, "{url}");
    }
}

#[test]
fn bad_values_are_usage_errors() {
    for (name, value) in [
        ("HTTP_PORT", "0"),
        ("HTTP_PORT", "99999"),
        ("API_PORT", "x"),
        ("BASE_DOMAIN", "a b"),
        ("SUBNET_POOL", "8.8.8.0/24"),
        ("SITE_DB_HOST", "db"),
        ("SITE_DB_HOST", "d'b:3306"),
        ("PROBE_ADDRESS", "host:0"),
        ("CADDY_CONTAINER", "a b"),
        ("CADDY_CONF_DIR", "etc/caddy"),
        ("CADDY_CONF_DIR", "/etc/../caddy"),
        ("PHP_IMAGE", "a b"),
        ("CONCURRENCY", "0"),
        ("REPAIR_CONCURRENCY", "0"),
        ("LOG_LEVEL", "loud"),
        ("API_ADDRESS", "localhost"),
        ("STATEMENT_SECONDS", "-1"),
        ("ALLOW_PORT_25", "x"),
        ("MARIADB_CPUS", "0.05"),
        ("MARIADB_CPUS", "1e3"),
        ("MARIADB_CPUS", "1.2345"),
        ("MARIADB_CPUS", ".5"),
        ("MARIADB_MEMORY_MB", "511"),
    ] {
        let error = settings(&[(name, value)], &[]).expect_err(name);
        assert_eq!(error.exit_code(), 2, "{name}={value}");
    }
}

#[test]
fn a_missing_image_is_named_with_a_remedy() {
    let config = config(&[("NGINX_IMAGE", "n:1")]).unwrap();
    let error = config.sites().unwrap_err();
    assert_eq!(error, ConfigError::ImageMissing("PHP_IMAGE"));
    assert!(error.to_string().contains("images/build"), "{error}");
    assert_eq!(config.platform().unwrap_err(), ConfigError::ImageMissing("MARIADB_IMAGE"));
}

#[test]
fn repairs_have_half_of_the_jobs_by_default() {
    let images = [("PHP_IMAGE", "p:1"), ("NGINX_IMAGE", "n:1")];
    let of = |more: &[_]| config(&[&images[..], more].concat()).unwrap().sites().unwrap().repair_concurrency;
    assert_eq!(of(&[]), 10);
    assert_eq!(of(&[("CONCURRENCY", "1")]), 1, "at least one");
    assert_eq!(of(&[("CONCURRENCY", "8"), ("REPAIR_CONCURRENCY", "3")]), 3);
}

#[test]
fn defaults_follow_the_settings_that_they_depend_on() {
    let files = [
        ("HTTP_PORT", "81"),
        ("MARIADB_PORT", "3316"),
        ("MARIADB_ADMIN_PORT", "3317"),
        ("APP_SERVER_IP", "::1"),
        ("PHP_IMAGE", "p:1"),
        ("NGINX_IMAGE", "n:1"),
    ];
    let config = config(&files).unwrap();
    let sites = config.sites().unwrap();
    assert_eq!((sites.public_port, sites.database_host.as_str()), (81, "host.docker.internal:3316"));
    assert_eq!(config.probe_address(), "[::1]:81");
    let secrets = Secrets::new(Keyring::new(MasterSecret::new([7; 32])), Arc::new(|ring: &Keyring| Ok(ring.clone())));
    let mariadb = format!("{:?}", config.mariadb(&secrets));
    assert!(mariadb.contains("mysql://hostplane@127.0.0.1:3317"), "{mariadb}");
}

#[test]
fn two_servers_cannot_have_one_port() {
    let error = config(&[("API_PORT", "8080")]).unwrap_err();
    assert_eq!(error, ConfigError::SamePort("HTTP_PORT", "API_PORT", 8080));
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let docs = include_str!("../../../../docs/cli.md");
    for argument in command().get_arguments() {
        let name = argument.get_env().and_then(|name| name.to_str()).unwrap();
        let row = docs.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/cli.md lacks {name}"));
        for default in argument.get_default_values() {
            let default = format!("`{}`", default.to_str().unwrap());
            assert!(row.contains(&default), "{row} lacks {default}");
        }
    }
}

/// Settings for an Engine on another machine.
fn remote(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut files = vec![("DOCKER_HOST", "tcp://app1.example.com:2376"), ("PHP_IMAGE", "p:1"), ("NGINX_IMAGE", "n:1")];
    files.extend(more);
    config(&files)
}

#[test]
fn a_remote_engine_s_ports_are_remote() {
    let config = remote(&[("WP_DSN", "mysql://root:x@10.0.0.3:3310")]).unwrap();
    assert_eq!(config.probe_address(), "app1.example.com:8080");
    assert_eq!(config.sites().unwrap().database_host, "10.0.0.3:3310");
    assert!(config.check_pool().is_ok());
    // The control plane's own port and those of another machine don't meet.
    let dsn = ("WP_DSN", "mysql://root:x@10.0.0.3:3310");
    assert!(remote(&[dsn, ("API_PORT", "8080")]).is_ok());
    let config = remote(&[dsn, ("APP_SERVER_IP", "10.0.0.2"), ("SITE_DB_HOST", "db:1")]).unwrap();
    assert_eq!(
        (config.probe_address().as_str(), config.sites().unwrap().database_host.as_str()),
        ("10.0.0.2:8080", "db:1")
    );
    assert_eq!(remote(&[dsn, ("PROBE_ADDRESS", "edge:80")]).unwrap().probe_address(), "edge:80");
    let config = self::config(&[dsn, ("DOCKER_HOST", "tcp://[fd00::2]:2376")]).unwrap();
    assert_eq!(config.probe_address(), "[fd00::2]:8080");
}

#[test]
fn a_database_that_sites_cannot_reach_is_refused() {
    assert_eq!(remote(&[]).unwrap_err(), ConfigError::DsnMissing);
    let dsn = ("WP_DSN", "mysql://root:s3cret@127.0.0.1:3306");
    let error = remote(&[dsn]).unwrap_err();
    assert_eq!(error, ConfigError::SiteDbMissing);
    assert!(!error.to_string().contains("s3cret"));
    assert!(remote(&[dsn, ("SITE_DB_HOST", "10.0.0.3:3306")]).is_ok());
}

#[test]
fn a_database_server_elsewhere_is_the_sites_too() {
    let of = |dsn: &str| {
        let config = config(&[("WP_DSN", dsn), ("PHP_IMAGE", "p:1"), ("NGINX_IMAGE", "n:1")]).unwrap();
        config.sites().unwrap().database_host
    };
    assert_eq!(of("root:p@ss@tcp(db.example.com:3310)/"), "db.example.com:3310");
    assert_eq!(of("mysql://root:x@[fd00::3]"), "[fd00::3]:3306");
    assert_eq!(of("mysql://root:x@127.0.0.1:3310"), "host.docker.internal:3310");
}

#[test]
fn servers_named_for_sites_are_known_by_address_where_they_have_one() {
    let of = |files: &[(&str, &str)]| config(files).unwrap().platform_that_exists().named_servers;
    let server = |address: Option<&str>, port| NamedServer { address: address.map(|text| text.parse().unwrap()), port };
    assert_eq!(of(&[]), []);
    let relay = [("SITE_DB_HOST", "10.0.0.3:3310"), ("SMTP_HOST", "mail.example.com"), ("SMTP_PORT", "25")];
    assert_eq!(of(&relay), [server(Some("10.0.0.3"), 3310), server(None, 25)]);
    // Sites have no IPv6.
    assert_eq!(of(&[("SITE_DB_HOST", "[fd00::3]:3310")]), [server(None, 3310)]);
}

#[test]
fn mariadb_s_memory_cpus_and_statements_are_settings() {
    let platform = |files: &[(&str, &str)]| config(files).map(|config| config.platform_that_exists());
    let unset = platform(&[]).unwrap();
    assert_eq!((unset.mariadb_memory_mib, unset.mariadb_buffer_pool_mib, unset.mariadb_cpu_milli), (None, None, None));
    let (memory, pool) = (("MARIADB_MEMORY_MB", "4096"), ("MARIADB_BUFFER_POOL_MB", "3072"));
    let set = platform(&[memory, pool, ("MARIADB_CPUS", "1.5")]).unwrap();
    assert_eq!(
        (set.mariadb_memory_mib, set.mariadb_buffer_pool_mib, set.mariadb_cpu_milli),
        (Some(4096), Some(3072), Some(1500))
    );
    assert_eq!(platform(&[pool]).unwrap_err(), ConfigError::BufferPool);
    assert_eq!(platform(&[memory, ("MARIADB_BUFFER_POOL_MB", "3073")]).unwrap_err(), ConfigError::BufferPool);
    assert_eq!(platform(&[("MARIADB_CPUS", "12")]).unwrap().mariadb_cpu_milli, Some(12_000));
    let images = [("PHP_IMAGE", "p:1"), ("NGINX_IMAGE", "n:1")];
    let limit = |more: &[(&str, &str)]| config(&[&images, more].concat()).unwrap().sites().unwrap().statement_limit;
    assert_eq!((limit(&[]), limit(&[("STATEMENT_SECONDS", "0")])), (Duration::from_mins(5), Duration::ZERO));
}

#[test]
fn port_25_is_closed_and_private_networks_are_open_unless_set() {
    let of = |files: &[(&str, &str)]| config(files).unwrap().platform_that_exists();
    assert_eq!((of(&[]).allow_port_25, of(&[]).allow_private_networks), (false, true));
    let other = of(&[("ALLOW_PORT_25", "true"), ("ALLOW_PRIVATE_NETWORKS", "false")]);
    assert_eq!((other.allow_port_25, other.allow_private_networks), (true, false));
}

#[test]
fn limits_of_sites_follow_php_s_settings() {
    let images = [("PHP_IMAGE", "p:1"), ("NGINX_IMAGE", "n:1")];
    let sites = |more: &[(&str, &str)]| config(&[&images, more].concat()).unwrap().sites().unwrap();
    let default = sites(&[]);
    assert_eq!((default.php, default.limits), (PhpSettings::default(), SiteLimits::default()));
    let set = sites(&[
        ("UPLOAD_MB", "128"),
        ("PHP_MEMORY_MB", "512"),
        ("PHP_MAX_EXECUTION_TIME", "30"),
        ("PHP_MAX_INPUT_VARS", "5000"),
        ("PHP_OPCACHE_MB", "96"),
        ("DISALLOW_FILE_EDIT", "false"),
    ]);
    let php = PhpSettings {
        memory_mib: 512,
        max_execution_seconds: 30,
        max_input_vars: 5000,
        opcache_mib: 96,
        disallow_file_edit: false,
    };
    assert_eq!((set.php, set.limits), (php, SiteLimits::fitting(128, &php)));
    for (name, value) in
        [("UPLOAD_MB", "0"), ("UPLOAD_MB", "4096"), ("PHP_MEMORY_MB", "8"), ("DISALLOW_FILE_EDIT", "x")]
    {
        assert!(settings(&[(name, value)], &[]).is_err(), "{name}={value}");
    }
}

#[test]
fn limits_of_disk_space_follow_one_another() {
    let limits = |files: &[(&str, &str)]| {
        let limits = config(files).unwrap().disk().limits;
        [limits.soft, limits.hard, Some(limits.reserve)].map(|bytes| bytes.map(|bytes| bytes / MIB))
    };
    assert_eq!(limits(&[]), [Some(10_240), None, Some(2048)], "no site is restricted unless that is asked for");
    assert_eq!(limits(&[("SITE_DISK_HARD", "5000")]), [Some(4000), Some(5000), Some(2048)]);
    assert_eq!(limits(&[("SITE_DISK_SOFT", "0"), ("DISK_RESERVE", "0")]), [None, None, Some(0)]);
}
