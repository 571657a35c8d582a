//! Specifications of the platform's containers.

use std::net::Ipv4Addr;

use bytes::Bytes;
use hostplane_domain::container::{ContainerSpec, HOST_GATEWAY, HOST_NETWORK, PHP_USER, VolumeMount};
use hostplane_domain::desired::ContainerLimits;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::render;
use hostplane_domain::render::guard::Access;
use hostplane_infra::containers::{ArchiveEntry, EngineFacts};

use super::{MARIADB_ADMIN, MARIADB_EXTRA_PORT, PlatformSettings};

/// A server: its container and the files that are written into it before its first start.
pub(super) struct Server {
    pub spec: ContainerSpec,
    /// Relative to `/`.
    pub files: Vec<ArchiveEntry>,
    /// Each published port with its setting.
    pub ports: Vec<(&'static str, u16)>,
}

/// The network of MariaDB alone: sites reach it through the host, never directly.
pub(super) fn data_network(settings: &PlatformSettings) -> String {
    format!("{}_data", settings.shared_network)
}

fn mount(volume: String, path: &str) -> VolumeMount {
    VolumeMount { volume, path: path.to_owned(), read_only: false }
}

fn dir(path: &str, mode: u32, uid: u32) -> ArchiveEntry {
    ArchiveEntry { path: path.to_owned(), mode, uid, contents: None }
}

fn file(path: String, mode: u32, uid: u32, contents: String) -> ArchiveEntry {
    ArchiveEntry { path, mode, uid, contents: Some(Bytes::from(contents)) }
}

/// The guard. It has the machine's network, because the rules are the machine's, and of root's rights only that
/// of changing them. The rules are arguments: they are no secret, and other rules make another container.
pub(super) fn guard(settings: &PlatformSettings, gateway: Option<Ipv4Addr>, instance: InstanceId) -> Server {
    let access = Access {
        mariadb: gateway.map(|gateway| (gateway, settings.mariadb_port)),
        named: settings.named_servers.clone(),
        caddy: [settings.http_port, settings.https_port],
        port_25: settings.allow_port_25,
        private: settings.allow_private_networks,
    };
    let table = render::guard::table(instance);
    let rules = render::guard::rules(instance, &access);
    Server {
        spec: ContainerSpec {
            name: settings.guard_container(),
            image: settings.guard_image.clone(),
            command: vec!["hostplane-guard".to_owned(), "keep".to_owned(), table, rules],
            user: "0:0".to_owned(),
            network: Some(HOST_NETWORK.to_owned()),
            mounts: Vec::new(),
            tmpfs: vec![("/run".to_owned(), "rw,noexec,nosuid,nodev,size=1m,mode=0755".to_owned())],
            env: Vec::new(),
            extra_hosts: Vec::new(),
            read_only_root: true,
            publish: Vec::new(),
            sysctls: Vec::new(),
            capabilities: vec!["NET_ADMIN".to_owned()],
            limits: ContainerLimits { memory_mib: 64, cpu_milli: 500, pids: 16, log_mib: 10 },
            restart: true,
        },
        files: Vec::new(),
        ports: Vec::new(),
    }
}

/// The probe: a site's PHP without a site, so that its packets go where a site's go.
pub(super) fn probe(settings: &PlatformSettings) -> Server {
    Server {
        spec: ContainerSpec {
            name: settings.probe_container(),
            image: settings.php_image.clone(),
            // As the first process, `sleep` alone would be deaf to the signal that ends it.
            command: ["timeout", "0", "sleep", "infinity"].map(str::to_owned).to_vec(),
            user: PHP_USER.to_owned(),
            network: Some(settings.probe_container()),
            mounts: Vec::new(),
            tmpfs: Vec::new(),
            env: Vec::new(),
            extra_hosts: vec![HOST_GATEWAY.to_owned()],
            read_only_root: true,
            publish: Vec::new(),
            sysctls: Vec::new(),
            capabilities: Vec::new(),
            limits: ContainerLimits { memory_mib: 64, cpu_milli: 500, pids: 16, log_mib: 10 },
            restart: true,
        },
        files: Vec::new(),
        ports: Vec::new(),
    }
}

/// Disk for what one session sorts or keeps in tables that the server makes meanwhile, and for those of all, in MiB.
const SESSION_SPACE_MIB: u32 = 256;
const TOTAL_SPACE_MIB: u32 = 8 * 1024;
/// The file of statements that MariaDB runs at each start. The image's entrypoint leaves it alone.
const START: &str = "start.init";

/// MariaDB's share of its machine. It serves all sites, and none of them may take the whole machine through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MariadbShare {
    memory_mib: u32,
    buffer_pool_mib: u32,
    cpu_milli: u32,
}

impl MariadbShare {
    /// As the operator has set it. The defaults follow the machine: three quarters of its cores, and of its memory the
    /// largest power of two within a quarter, so that another kernel, which reports some MiB more or less, makes no other
    /// container.
    pub fn of(settings: &PlatformSettings, engine: &EngineFacts) -> Self {
        let of_machine = || (engine.memory_mib / 4).checked_ilog2().map_or(0, |bits| 1 << bits);
        let memory_mib = settings.mariadb_memory_mib.unwrap_or_else(|| of_machine().max(MARIADB_MEMORY_MIB));
        // Half of what there is beyond what sessions need.
        let spare = memory_mib.saturating_sub(MARIADB_MEMORY_MIB);
        let pool = || (memory_mib - spare) / 8 + spare / 2;
        Self {
            memory_mib,
            buffer_pool_mib: settings.mariadb_buffer_pool_mib.unwrap_or_else(pool),
            cpu_milli: settings.mariadb_cpu_milli.unwrap_or(engine.cores * 750),
        }
    }
}

/// Least default of MariaDB's memory, in MiB: what some hundred sessions need.
const MARIADB_MEMORY_MIB: u32 = 2048;

/// MariaDB. Only the administrator's hash is written; `root` has no password and no way in from outside.
pub(super) fn mariadb(settings: &PlatformSettings, share: MariadbShare, gateway: &str, admin_hash: &str) -> Server {
    let name = &settings.mariadb_container;
    let init_dir = "docker-entrypoint-initdb.d";
    let command = [
        "mariadbd".to_owned(),
        format!("--extra-port={MARIADB_EXTRA_PORT}"),
        "--extra-max-connections=16".to_owned(),
        "--max-connections=1000".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--local-infile=0".to_owned(),
        // A connection that doesn't say who it is keeps no place.
        "--connect-timeout=3".to_owned(),
        // No table outside of its database's directory.
        "--skip-symbolic-links".to_owned(),
        // Another engine that a plugin or an import names becomes InnoDB: see `start` below.
        format!("--init-file=/{init_dir}/{START}"),
        "--sql-mode=STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER".to_owned(),
        // What a session may take, and no tenant can raise, as all share MariaDB's memory and disk. Versions before
        // 11.5 don't know the loose ones.
        "--maximum-max-heap-table-size=64M".to_owned(),
        "--loose-maximum-tmp-memory-table-size=64M".to_owned(),
        "--maximum-sort-buffer-size=16M".to_owned(),
        "--maximum-join-buffer-size=16M".to_owned(),
        "--maximum-read-buffer-size=16M".to_owned(),
        "--maximum-read-rnd-buffer-size=16M".to_owned(),
        "--max-session-mem-used=256M".to_owned(),
        "--maximum-max-session-mem-used=256M".to_owned(),
        format!("--loose-max-tmp-session-space-usage={SESSION_SPACE_MIB}M"),
        format!("--loose-maximum-max-tmp-session-space-usage={SESSION_SPACE_MIB}M"),
        format!("--loose-max-tmp-total-space-usage={TOTAL_SPACE_MIB}M"),
        "--innodb-temp-data-file-path=ibtmp1:12M:autoextend:max:2G".to_owned(),
        "--lock-wait-timeout=60".to_owned(),
        format!("--innodb-buffer-pool-size={}M", share.buffer_pool_mib),
        "--character-set-server=utf8mb4".to_owned(),
    ];
    let init = format!(
        "CREATE USER '{MARIADB_ADMIN}'@'%' IDENTIFIED VIA mysql_native_password USING '{admin_hash}';\n\
         GRANT ALL PRIVILEGES ON *.* TO '{MARIADB_ADMIN}'@'%' WITH GRANT OPTION;\n"
    );
    // At each start, and not while the data directory is made: its own tables have other engines.
    let start = "SET GLOBAL enforce_storage_engine = 'InnoDB';\n";
    Server {
        spec: ContainerSpec {
            name: name.clone(),
            image: settings.mariadb_image.clone(),
            command: command.to_vec(),
            user: "999:999".to_owned(),
            network: Some(data_network(settings)),
            mounts: vec![
                mount(format!("{name}_data"), "/var/lib/mysql"),
                mount(format!("{name}_init"), &format!("/{init_dir}")),
                // What sorts and changes of tables write would count as memory in a file system of that kind.
                mount(format!("{name}_tmp"), "/tmp"),
            ],
            tmpfs: vec![("/run".to_owned(), "rw,noexec,nosuid,nodev,size=16m,uid=999,gid=999,mode=0755".to_owned())],
            // For the official image, which otherwise makes root@% or prints a password into its log.
            env: vec![
                ("MARIADB_ROOT_HOST".to_owned(), "localhost".to_owned()),
                ("MARIADB_ALLOW_EMPTY_ROOT_PASSWORD".to_owned(), "1".to_owned()),
            ],
            extra_hosts: Vec::new(),
            // The Engine refuses to write files into a container with a read-only root.
            read_only_root: false,
            publish: vec![
                (gateway.to_owned(), settings.mariadb_port, 3306),
                ("127.0.0.1".to_owned(), settings.mariadb_admin_port, MARIADB_EXTRA_PORT),
            ],
            sysctls: Vec::new(),
            capabilities: Vec::new(),
            limits: ContainerLimits {
                memory_mib: share.memory_mib,
                cpu_milli: share.cpu_milli,
                pids: 1024,
                log_mib: 10,
            },
            restart: true,
        },
        files: vec![
            dir("var/lib/mysql", 0o750, 999),
            dir(init_dir, 0o500, 999),
            file(format!("{init_dir}/hostplane.sql"), 0o400, 999, init),
            file(format!("{init_dir}/{START}"), 0o400, 999, start.to_owned()),
            dir("tmp", 0o700, 999),
        ],
        ports: vec![("MARIADB_PORT", settings.mariadb_port), ("MARIADB_ADMIN_PORT", settings.mariadb_admin_port)],
    }
}

/// From this kernel on, connections that wait for a listener can go over to another one of the same port.
const MIGRATES: (u32, u32) = (5, 14);

/// Settings of Caddy's network. At each reload it listens anew and then closes the old listener, and with that the
/// kernel closes the connections that wait there, which visitors see as an empty answer. Kernels that can hand
/// them to the new listener do so by a setting.
fn caddy_sysctls(kernel: &str) -> Vec<(String, String)> {
    let mut numbers = kernel.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let mut sysctls = vec![("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())];
    if version >= MIGRATES {
        sysctls.push(("net.ipv4.tcp_migrate_req".to_owned(), "1".to_owned()));
    }
    sysctls
}

/// Caddy, with the directory of sites that its main configuration imports, for an Engine with a kernel.
pub(super) fn caddy(settings: &PlatformSettings, kernel: &str) -> Server {
    let name = &settings.caddy_container;
    let conf_dir = settings.caddy_conf_dir.trim_end_matches('/');
    let relative = conf_dir.trim_start_matches('/');
    let main = format!("{conf_dir}/Caddyfile");
    let command = ["caddy", "run", "--config", &main, "--adapter", "caddyfile"];
    Server {
        spec: ContainerSpec {
            name: name.clone(),
            image: settings.caddy_image.clone(),
            command: command.map(str::to_owned).to_vec(),
            user: "1000:1000".to_owned(),
            network: Some(settings.shared_network.clone()),
            mounts: vec![mount(format!("{name}_config"), conf_dir), mount(format!("{name}_data"), "/data")],
            tmpfs: vec![("/tmp".to_owned(), "rw,noexec,nosuid,nodev,size=64m,mode=1777".to_owned())],
            env: Vec::new(),
            extra_hosts: Vec::new(),
            read_only_root: false,
            // Without an address the Engine publishes on all, those of IPv6 among them where its host has any.
            publish: vec![(String::new(), settings.http_port, 80), (String::new(), settings.https_port, 443)],
            sysctls: caddy_sysctls(kernel),
            capabilities: Vec::new(),
            limits: ContainerLimits { memory_mib: 1024, cpu_milli: 0, pids: 512, log_mib: 10 },
            restart: true,
        },
        files: vec![
            dir(relative, 0o755, 1000),
            dir(&format!("{relative}/sites"), 0o755, 1000),
            file(format!("{relative}/Caddyfile"), 0o644, 1000, render::caddy::main_config("sites")),
            dir("data", 0o700, 1000),
        ],
        ports: vec![("HTTP_PORT", settings.http_port), ("HTTPS_PORT", settings.https_port)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostplane_domain::desired::SiteLimits;

    #[test]
    fn a_site_s_sessions_never_use_up_what_all_may_sort() {
        let sessions = u32::from(SiteLimits::default().database_connections);
        assert!(sessions * SESSION_SPACE_MIB <= TOTAL_SPACE_MIB * 2 / 3, "a third is left for the others");
    }

    fn share(memory_mib: u32, set: impl FnOnce(&mut PlatformSettings)) -> (u32, u32, u32) {
        let mut settings = PlatformSettings::default();
        set(&mut settings);
        let engine = EngineFacts { memory_mib, cores: 4, ..EngineFacts::default() };
        let share = MariadbShare::of(&settings, &engine);
        (share.memory_mib, share.buffer_pool_mib, share.cpu_milli)
    }

    #[test]
    fn mariadb_s_share_follows_the_machine() {
        for (machine, memory, pool) in [
            (0, 2048, 256),
            (2000, 2048, 256),
            (15_990, 2048, 256),
            (24_105, 4096, 1280),
            (32_000, 4096, 1280),
            (64_200, 8192, 3328),
        ] {
            assert_eq!(share(machine, |_| ()), (memory, pool, 3000), "{machine}");
        }
    }

    #[test]
    fn mariadb_s_share_is_the_operator_s() {
        let small = |settings: &mut PlatformSettings| settings.mariadb_memory_mib = Some(1024);
        assert_eq!(share(64_200, small), (1024, 128, 3000));
        let set = |settings: &mut PlatformSettings| {
            settings.mariadb_memory_mib = Some(6000);
            settings.mariadb_buffer_pool_mib = Some(4000);
            settings.mariadb_cpu_milli = Some(1500);
        };
        assert_eq!(share(64_200, set), (6000, 4000, 1500));
    }

    #[test]
    fn connections_migrate_where_the_kernel_can() {
        for (kernel, can) in [
            ("6.18.44-fc-v595", true),
            ("6.1.0-44-amd64", true),
            ("5.14", true),
            ("5.14.0-503.el9", true),
            ("5.10.0-35-amd64", false),
            ("4.18.0", false),
            ("5", false),
            ("", false),
            ("linux", false),
        ] {
            let migrates =
                caddy_sysctls(kernel).iter().any(|(name, value)| name.ends_with("tcp_migrate_req") && value == "1");
            assert_eq!(migrates, can, "{kernel}");
        }
    }
}
