//! Desired containers: every field that Hostplane decides, and none that it leaves to the Engine.

use serde::{Deserialize, Serialize};

use crate::desired::{ContainerLimits, DesiredSite};
use crate::naming;

/// A container to be made. Its hash is the container's spec label, so a field that is added here makes
/// every container made before it "different": bump with care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The container's name.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// The argument vector; empty for a container that is never started.
    pub command: Vec<String>,
    /// `uid:gid`.
    pub user: String,
    /// The first network, by name; others are connected before the start. `None` is no network at all,
    /// [`HOST_NETWORK`] the host's own.
    pub network: Option<String>,
    /// Volumes.
    pub mounts: Vec<VolumeMount>,
    /// Directories in memory: path and options.
    pub tmpfs: Vec<(String, String)>,
    /// Environment: never a secret.
    pub env: Vec<(String, String)>,
    /// Additional `name:address` lines for the container's hosts file.
    pub extra_hosts: Vec<String>,
    /// The root file system is read-only.
    pub read_only_root: bool,
    /// Ports published on the host: address, host port, container port.
    pub publish: Vec<(String, u16, u16)>,
    /// Kernel settings of the container's own namespaces.
    pub sysctls: Vec<(String, String)>,
    /// Capabilities that it keeps; all others are dropped. An empty list isn't serialised, so that hashes of specs
    /// from before the field was added stay the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Resource limits.
    pub limits: ContainerLimits,
    /// Comes back after a crash and after the Engine's restart.
    pub restart: bool,
}

/// The network name with which a container shares the host's network.
pub const HOST_NETWORK: &str = "host";

/// A named volume in a container. The image's content is never copied into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// The volume's name.
    pub volume: String,
    /// The path in the container.
    pub path: String,
    /// Mounted read-only.
    pub read_only: bool,
}

fn mount(volume: String, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount { volume, path: path.to_owned(), read_only }
}

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Room for two of the largest uploads, in MiB.
fn uploads_mib(want: &DesiredSite) -> u32 {
    2 * u32::from(want.limits.upload_mib)
}

/// `uid:gid` of PHP: that of Debian's `www-data` and of the official image.
pub const PHP_USER: &str = "33:33";
/// `uid:gid` of nginx: that of the official image.
pub const NGINX_USER: &str = "101:101";
/// The entry in a site's hosts file for the host, on which MariaDB is published.
pub const HOST_GATEWAY: &str = "host.docker.internal:host-gateway";

/// The PHP-FPM container of a site.
#[must_use]
pub fn php(want: &DesiredSite) -> ContainerSpec {
    let site = &want.site.name;
    ContainerSpec {
        name: naming::php_container(site),
        image: want.wordpress().images.php.clone(),
        command: argv(&["php-fpm", "--nodaemonize", "--fpm-config", "/etc/hostplane/php-fpm.conf"]),
        user: PHP_USER.to_owned(),
        network: Some(naming::network(site)),
        mounts: vec![
            mount(naming::files_volume(site), naming::DOCROOT, false),
            mount(naming::php_volume(site), naming::PHP_SETTINGS_DIR, true),
        ],
        tmpfs: vec![
            // Its content counts as memory: two of the largest uploads fit.
            ("/tmp".to_owned(), format!("rw,noexec,nosuid,nodev,size={}m,mode=1777", uploads_mib(want).max(128))),
            ("/run".to_owned(), "rw,noexec,nosuid,nodev,size=1m,uid=33,gid=33,mode=0755".to_owned()),
        ],
        // The image's own directory and then ours, with settings that PHP reads before the pool's.
        env: vec![("PHP_INI_SCAN_DIR".to_owned(), format!(":{}", naming::PHP_SETTINGS_DIR))],
        extra_hosts: vec![HOST_GATEWAY.to_owned()],
        read_only_root: true,
        publish: Vec::new(),
        sysctls: Vec::new(),
        capabilities: Vec::new(),
        limits: want.limits.php,
        restart: true,
    }
}

/// The nginx container of a site. It is made on the shared network and connected to the site's own
/// before its start.
#[must_use]
pub fn nginx(want: &DesiredSite) -> ContainerSpec {
    let site = &want.site.name;
    ContainerSpec {
        name: naming::nginx_container(site),
        image: want.wordpress().images.nginx.clone(),
        command: argv(&["nginx", "-g", "daemon off;"]),
        user: NGINX_USER.to_owned(),
        network: Some(want.shared_network.clone()),
        mounts: vec![
            mount(naming::files_volume(site), naming::DOCROOT, true),
            mount(naming::nginx_volume(site), naming::NGINX_SETTINGS_DIR, true),
        ],
        // Their content counts as memory. Request bodies are buffered in the cache: two of the largest fit, and a
        // further one is answered with an error instead of ending every request of the site.
        tmpfs: [("/tmp", 1), ("/run", 1), ("/var/cache/nginx", uploads_mib(want))]
            .map(|(path, mib)| {
                (path.to_owned(), format!("rw,noexec,nosuid,nodev,size={mib}m,uid=101,gid=101,mode=0755"))
            })
            .to_vec(),
        env: Vec::new(),
        extra_hosts: Vec::new(),
        read_only_root: true,
        publish: Vec::new(),
        // The official image runs as root to bind port 80; ours and a rootless run of it need this.
        sysctls: vec![("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())],
        capabilities: Vec::new(),
        limits: want.limits.nginx,
        restart: true,
    }
}

/// The container through which a site's volumes are filled before their first use. It is made, written
/// into and removed, but never started, so none of the site's code ever runs in it.
#[must_use]
pub fn writer(want: &DesiredSite) -> ContainerSpec {
    let site = &want.site.name;
    let at = |name: &str| format!("{}/{name}", naming::WRITER_DIR);
    ContainerSpec {
        name: naming::writer_container(site),
        image: want.wordpress().images.php.clone(),
        command: argv(&["php", "--version"]),
        user: PHP_USER.to_owned(),
        network: None,
        mounts: vec![
            mount(naming::files_volume(site), &at("files"), false),
            mount(naming::php_volume(site), &at("php"), false),
            mount(naming::nginx_volume(site), &at("nginx"), false),
        ],
        tmpfs: Vec::new(),
        env: Vec::new(),
        extra_hosts: Vec::new(),
        read_only_root: false,
        publish: Vec::new(),
        sysctls: Vec::new(),
        capabilities: Vec::new(),
        limits: want.limits.php,
        restart: false,
    }
}
