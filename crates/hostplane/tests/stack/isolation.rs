//! A hostile site reaches nothing. Each probe is made twice, from inside the site and from a place where it
//! has to succeed, so that a network that is down doesn't pass.
//!
//! The Engine is the test's own, in a network namespace of its own: there "the host" can be given listeners on all
//! addresses, a metadata service and an Engine that listens on TCP, and its packet filter is the test's alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::instance::{Instance, images};
use crate::onward;
use crate::own_engine::{DOCKER_PORT, OwnEngine};
use crate::reach::{Place, files_with, php, reached};

/// Answers "reached" to each connection.
const LISTEN: &str = "$s = stream_socket_server('tcp://[::]:PORT') ?: exit(1); \
                      while (true) { if ($c = @stream_socket_accept($s, -1)) { fwrite($c, 'reached'); fclose($c); } }";
const LISTENER_PORT: u16 = 8099;
const METADATA: &str = "169.254.169.254";
/// Two more addresses of the machine beyond the host: one of the Internet, and a private one.
pub const OUTSIDE: &str = "192.0.2.254";
pub const PRIVATE: &str = "192.168.77.254";

/// A forbidden destination: its name, the address that the site tries, and the place from which the same probe has to
/// succeed, with the address that it has there.
struct Target {
    what: &'static str,
    tried: String,
    control: (Place, String),
}

pub struct Harness {
    pub instance: Instance,
    pub attacker: String,
    pub victim: String,
    /// Addresses of the host, IPv4 and IPv6, but for loopback ones.
    host: Vec<String>,
    pub engine: OwnEngine,
}

#[test]
fn a_hostile_site_reaches_nothing() {
    let begun = Instant::now();
    let mut harness = Harness::new();
    println!("isolation: the harness is ready after {:?}", begun.elapsed());
    let targets = harness.targets();
    no_probe_from_a_site_succeeds(&harness, &targets);
    a_site_has_no_ipv6(&harness);
    databases_are_kept_apart_by_their_passwords(&harness);
    files_and_secrets_of_others_are_not_there(&harness);
    onward::mail_goes_through_a_relay_alone(&harness);
    onward::connections_to_caddy_are_counted(&harness);
    onward::flows_between_containers_are_not_counted(&harness);
    onward::new_flows_are_limited(&harness);
    onward::an_operator_closes_private_networks_and_opens_port_25(&mut harness);
    // The control plane was started anew, with another port.
    let targets = harness.targets();
    rules_come_back_and_outlive_the_engine(&mut harness, &targets);
    println!("isolation: {} probes, all in {:?}", targets.len(), begun.elapsed());
    clean_removes_the_rules_and_nothing_of_others(harness);
}

impl Harness {
    fn new() -> Self {
        let images: Vec<String> = images().into_values().collect();
        let engine = OwnEngine::with(&images);
        // Only the packet filter keeps sites away from an API that listens everywhere.
        let mut instance = Instance::on(&engine, &[("API_ADDRESS", "0.0.0.0")]);
        instance.start();
        let (attacker, victim) = (instance.site("attacker"), instance.site("victim"));
        instance.create(&attacker);
        instance.create(&victim);
        let php = images_of("PHP_IMAGE");
        let listen = |port: u16| LISTEN.replace("PORT", &port.to_string());
        let listener = ["run", "--detach", "--name=listener", "--network=host", &php, "php", "-r"];
        instance.docker(&[&listener[..], &[&listen(LISTENER_PORT)]].concat());
        // A metadata service beyond the host: in a network namespace of its own, behind a cable.
        let unprivileged = "--sysctl=net.ipv4.ip_unprivileged_port_start=0";
        let metadata = ["run", "--detach", "--name=metadata", "--network=none", unprivileged, &php, "php", "-r"];
        instance.docker(&[&metadata[..], &[&listen(80)]].concat());
        let process = instance.docker(&["inspect", "--format", "{{.State.Pid}}", "metadata"]);
        engine.run(&["ip", "link", "add", "cable", "type", "veth", "peer", "name", "eth0", "netns", &process]);
        for address in ["169.254.169.1", "192.0.2.1", "192.168.77.1"] {
            engine.run(&["ip", "address", "add", &format!("{address}/24"), "dev", "cable"]);
        }
        engine.run(&["ip", "link", "set", "cable", "up"]);
        let inside = format!("--net=/proc/{process}/ns/net");
        for address in [METADATA, OUTSIDE, PRIVATE] {
            engine.run(&["nsenter", &inside, "ip", "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        }
        for port in [25, 53, 587] {
            instance.docker(&["exec", "--detach", "metadata", "php", "-r", &listen(port)]);
        }
        let sink = "$s = stream_socket_server('udp://0.0.0.0:9999', $c, $w, STREAM_SERVER_BIND); fgets($s);";
        instance.docker(&["exec", "--detach", "metadata", "php", "-r", &format!("{sink} sleep(9999);")]);
        engine.run(&["nsenter", &inside, "ip", "link", "set", "eth0", "up"]);
        engine.run(&["ip", "address", "add", "198.51.100.7/32", "dev", "lo"]);
        engine.run(&["ip", "address", "add", "2001:db8::7/128", "dev", "lo"]);
        let host = engine.run(&["ip", "-oneline", "address"]);
        let host = host.lines().filter_map(|line| line.split_whitespace().nth(3)?.split('/').next());
        let host: BTreeSet<String> = host.map(str::to_owned).collect();
        let host = host.into_iter().filter(|address| {
            // Those of the link need an interface, which a site doesn't have.
            !address.starts_with("127.") && address != "::1" && !address.starts_with("fe80:")
        });
        let host: Vec<String> = host.collect();
        assert!(host.len() > 6, "Docker's gateway, four bridges, two addresses of its own: {host:?}");
        Self { instance, attacker, victim, host, engine }
    }

    /// The address of a container on a network.
    fn address(&self, container: &str, network: &str) -> String {
        let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
        let address = self.instance.docker(&["inspect", "--format", &format, container]);
        assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{container} on {network}: {address}");
        address
    }

    fn setting(&self, name: &str) -> String {
        self.instance.setting(name)
    }

    fn targets(&self) -> Vec<Target> {
        let (tag, victim) = (&self.instance.tag, &self.victim);
        let (php, nginx) = (format!("php_{victim}"), format!("nginx_{victim}"));
        let (own, shared, data) = (format!("site_{victim}"), tag.clone(), format!("{tag}_data"));
        let (caddy, mariadb) = (format!("{tag}-caddy"), format!("{tag}-mariadb"));
        let mut targets = Vec::new();
        let mut from_network = |what, network: &str, address: &str, port: &str| {
            let address = format!("{address}:{port}");
            targets.push(Target {
                what,
                tried: address.clone(),
                control: (Place::Network(network.to_owned()), address),
            });
        };
        from_network("another site's PHP, by name", &own, &php, "9000");
        from_network("another site's PHP, by address", &own, &self.address(&php, &own), "9000");
        from_network("another site's nginx, by name", &own, &nginx, "80");
        from_network("another site's nginx, by address", &own, &self.address(&nginx, &own), "80");
        from_network("another site's nginx, through the shared network", &shared, &self.address(&nginx, &shared), "80");
        from_network("Caddy, through the shared network", &shared, &self.address(&caddy, &shared), "80");
        from_network("MariaDB's container", &data, &self.address(&mariadb, &data), "3306");
        from_network("MariaDB's container, its administration", &data, &self.address(&mariadb, &data), "3307");
        from_network("a metadata service", "bridge", METADATA, "80");

        let inside_caddy = || (Place::Network(format!("container:{caddy}")), "localhost:2019".to_owned());
        for address in [self.address(&caddy, &shared), caddy.clone()] {
            targets.push(Target {
                what: "Caddy's administration",
                tried: format!("{address}:2019"),
                control: inside_caddy(),
            });
        }
        let on_host = || Place::Network("host".to_owned());
        let api = self.instance.api().expect("it serves");
        let api = api.rsplit_once(':').expect("a port").1.to_owned();
        let ports = [
            ("a listener of the host", LISTENER_PORT.to_string(), None),
            ("the control plane", api, None),
            ("the Docker Engine, by TCP", DOCKER_PORT.to_string(), None),
            ("MariaDB's administration", self.setting("MARIADB_ADMIN_PORT"), Some("127.0.0.1")),
        ];
        for address in &self.host {
            let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
            for (what, port, only_at) in &ports {
                // The API and the Engine listen on IPv4 alone; the test's own listener on both.
                if address.starts_with('[') && *what != "a listener of the host" {
                    continue;
                }
                let tried = format!("{address}:{port}");
                let there = only_at.map_or_else(|| tried.clone(), |only| format!("{only}:{port}"));
                targets.push(Target { what, tried, control: (on_host(), there) });
            }
        }
        targets
    }

    /// A foreign container reaches the host and the metadata service: the guard touches no foreign traffic.
    fn others_pass(&self) {
        let listener = format!("172.17.0.1:{LISTENER_PORT}");
        let metadata = format!("{METADATA}:80");
        let seen = reached(&self.instance, &Place::Network("bridge".to_owned()), &[listener, metadata]);
        assert!(seen.values().all(|reached| *reached), "{seen:?}");
    }

    /// The rules of the packet filter, without counters.
    fn rules(&self) -> String {
        let guard = images_of("GUARD_IMAGE");
        let run = ["run", "--rm", "--network=host", "--cap-drop=ALL", "--cap-add=NET_ADMIN", &guard];
        self.instance.docker(&[&run[..], &["nft", "--stateless", "list", "ruleset"]].concat())
    }

    fn nft(&self, statement: &str) {
        let guard = images_of("GUARD_IMAGE");
        let run = ["run", "--rm", "--network=host", "--cap-drop=ALL", "--cap-add=NET_ADMIN", &guard];
        self.instance.docker(&[&run[..], &["nft", statement]].concat());
    }
}

fn images_of(name: &str) -> String {
    images()[name].clone()
}

/// From the site's PHP container, as its own user, and from the network of its nginx.
fn no_probe_from_a_site_succeeds(harness: &Harness, targets: &[Target]) {
    let mut controls: BTreeMap<&Place, Vec<String>> = BTreeMap::new();
    for target in targets {
        controls.entry(&target.control.0).or_default().push(target.control.1.clone());
    }
    let open: BTreeMap<&Place, _> =
        controls.iter().map(|(place, addresses)| (*place, reached(&harness.instance, place, addresses))).collect();
    for target in targets {
        let (place, address) = &target.control;
        assert!(open[place][address], "{} can't be reached at all: {address} from {place:?}", target.what);
    }
    harness.others_pass();

    // What a site may reach, by the same probe: its own nginx, its database, and Caddy as any visitor does.
    let inside = Place::Container(format!("php_{}", harness.attacker));
    let allowed = [
        format!("nginx_{}:80", harness.attacker),
        format!("host.docker.internal:{}", harness.setting("MARIADB_PORT")),
        format!("172.17.0.1:{}", harness.setting("HTTP_PORT")),
    ];
    let seen = reached(&harness.instance, &inside, &allowed);
    assert!(seen.values().all(|reached| *reached), "{seen:?}");

    nothing_is_reached(harness, &inside, targets, |_| true);
    // Its nginx shares a network with the other sites' and with Caddy; all else is closed to it as well.
    let beside_nginx = Place::Network(format!("container:nginx_{}", harness.attacker));
    nothing_is_reached(harness, &beside_nginx, targets, |target| {
        !target.what.starts_with("another site's nginx") && target.what != "Caddy, through the shared network"
    });
    let program = "<?php echo json_encode([file_exists('/var/run/docker.sock'), file_exists('/run/docker.sock')]);";
    assert_eq!(php(&harness.instance, &inside, program), "[false,false]");
}

fn nothing_is_reached(harness: &Harness, from: &Place, targets: &[Target], counts: impl Fn(&Target) -> bool) {
    let tried: Vec<String> =
        targets.iter().filter(|target| counts(target)).map(|target| target.tried.clone()).collect();
    assert!(tried.len() > 20, "{tried:?}");
    let seen = reached(&harness.instance, from, &tried);
    let open: Vec<_> = targets
        .iter()
        .filter(|target| counts(target) && seen[&target.tried])
        .map(|target| format!("{}: {}", target.what, target.tried))
        .collect();
    assert_eq!(open, Vec::<String>::new(), "reached from {from:?}");
}

/// Without an address of IPv6 nothing can be sent by it, whatever the packet filter of a host says.
fn a_site_has_no_ipv6(harness: &Harness) {
    let program = "<?php echo file_get_contents('/proc/net/if_inet6');";
    for place in ["php", "nginx"].map(|name| Place::Network(format!("container:{name}_{}", harness.attacker))) {
        let interfaces = php(&harness.instance, &place, program);
        assert!(interfaces.lines().all(|line| line.trim_end().ends_with(" lo")), "{interfaces}");
    }
    let on_host = php(&harness.instance, &Place::Network("host".to_owned()), program);
    assert!(on_host.lines().any(|line| !line.trim_end().ends_with(" lo")), "the host has it: {on_host}");
}

/// MariaDB sees every site under one address, so the password alone separates them.
fn databases_are_kept_apart_by_their_passwords(harness: &Harness) {
    let password_of = |site: &str| {
        let program = "<?php require '/etc/hostplane/wp-config.php'; echo DB_PASSWORD;";
        php(&harness.instance, &Place::Container(format!("php_{site}")), program)
    };
    let (own, victim) = (password_of(&harness.attacker), password_of(&harness.victim));
    let inside = Place::Container(format!("php_{}", harness.attacker));
    let log_in = |user: &str, password: &str, database: &str| {
        let port = harness.setting("MARIADB_PORT");
        let program = format!(
            "<?php mysqli_report(MYSQLI_REPORT_OFF); $db = @mysqli_connect('host.docker.internal', '{user}', \
             '{password}', '{database}', {port}); echo $db ? 'in' : mysqli_connect_errno();"
        );
        php(&harness.instance, &inside, &program)
    };
    let (me, other) = (format!("wp_{}", harness.attacker), format!("wp_{}", harness.victim));
    assert_eq!(log_in(&me, &own, &me), "in");
    assert_eq!(log_in(&other, &victim, &other), "in", "the probe reaches it, given the password");
    // 1045: access denied; 1044: to this database.
    for (user, password, database) in [
        (other.as_str(), own.as_str(), other.as_str()),
        (&other, "", &other),
        ("hostplane", &own, ""),
        ("hostplane", "", "mysql"),
        ("root", "", "mysql"),
        ("root", &own, ""),
        ("", "", ""),
        ("mariadb.sys", "", ""),
    ] {
        assert_eq!(log_in(user, password, database), "1045", "{user} {database}");
    }
    assert_eq!(log_in(&me, &own, &other), "1044");
    assert_eq!(log_in(&me, &own, "wp__hostplane"), "1044");
    assert_eq!(log_in(&me, &own, "mysql"), "1044");
}

fn files_and_secrets_of_others_are_not_there(harness: &Harness) {
    let program = "<?php require '/etc/hostplane/wp-config.php'; echo AUTH_KEY;";
    let key_of = |site: &str| php(&harness.instance, &Place::Container(format!("php_{site}")), program);
    let attacker = format!("php_{}", harness.attacker);
    let own = files_with(&harness.instance, &attacker, &key_of(&harness.attacker));
    assert_eq!(own, ["/etc/hostplane/wp-config.php"]);
    assert_eq!(files_with(&harness.instance, &attacker, &key_of(&harness.victim)), Vec::<String>::new());
    // Nor what names the other site: a volume, a mount, a process.
    assert_eq!(files_with(&harness.instance, &attacker, &harness.victim), Vec::<String>::new());
    assert!(!files_with(&harness.instance, &attacker, &format!("wp_{}", harness.attacker)).is_empty());
}

/// The rules come back after a flush of the packet filter, and after a kill of the Engine.
fn rules_come_back_and_outlive_the_engine(harness: &mut Harness, targets: &[Target]) {
    let rules = harness.rules();
    let table = rules.lines().find(|line| line.starts_with("table inet hostplane_")).expect("a table of its own");
    let table = table.trim_end_matches(" {").to_owned();
    harness.nft(&format!("delete {table}"));
    let inside = Place::Container(format!("php_{}", harness.attacker));
    harness.instance.until("the rules", Duration::from_secs(30), |_| harness.rules().contains(&table));
    nothing_is_reached(harness, &inside, targets, |_| true);

    harness.engine.end("KILL");
    harness.engine.start();
    assert!(harness.rules().contains(&table), "the kernel keeps them");
    harness.instance.until("the site's container", Duration::from_mins(1), |instance| {
        instance.docker(&["ps", "--format", "{{.Names}}"]).contains(&format!("php_{}", harness.attacker))
    });
    let gateway = "172.17.0.1:";
    let is_api = |target: &&Target| target.what == "the control plane" && target.tried.starts_with(gateway);
    let api = targets.iter().find(is_api).expect("one of them");
    let tried = std::slice::from_ref(&api.tried);
    let (seen, there) = (reached(&harness.instance, &inside, tried), reached(&harness.instance, &api.control.0, tried));
    assert!(
        !seen[&api.tried] && there[&api.tried],
        "{seen:?} {there:?} {}",
        harness.engine.run(&["ip", "-brief", "address"])
    );
}

fn clean_removes_the_rules_and_nothing_of_others(mut harness: Harness) {
    harness.nft("add table inet theirs; add chain inet theirs input { type filter hook input priority 0; }; add rule inet theirs input tcp dport 1 drop");
    harness.instance.stop();
    for container in ["listener", "metadata"] {
        harness.instance.docker(&["rm", "--force", container]);
    }
    let theirs = |rules: &str| {
        let begin = rules.find("table inet theirs {").expect("their table");
        rules[begin..].split_inclusive("\n}").next().expect("its end").to_owned()
    };
    let before = harness.rules();
    harness.instance.done(&["clean", "--yes"]);
    let after = harness.rules();
    assert!(before.contains("hostplane_") && !after.contains("hostplane_"), "{after}");
    assert_eq!(theirs(&before), theirs(&after));
    assert!(after.contains("chain DOCKER-USER"), "Docker's own stay: {after}");
}
