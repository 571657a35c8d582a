//! Packet filter rules (nftables) for the traffic of an installation's containers to their host, to its metadata service
//! and to elsewhere. The Engine filters traffic between containers.

use std::net::Ipv4Addr;

use crate::bridges;
use crate::ids::InstanceId;

/// Servers and networks that the sites may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The address and port on which the installation's own MariaDB is published for sites, if it has one.
    pub mariadb: Option<(Ipv4Addr, u16)>,
    /// Servers that the operator names for the sites.
    pub named: Vec<NamedServer>,
    /// Caddy's published ports, which are public: WordPress requests its own site there, for wp-cron among others.
    pub caddy: [u16; 2],
    /// True if sites may reach port 25 of any machine.
    pub port_25: bool,
    /// True if sites may reach [`PRIVATE`] networks.
    pub private: bool,
}

/// Server that the operator names for the sites, such as another MariaDB or a mail relay. It may be on this host, under
/// any of the host's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedServer {
    /// The address; `None` for a server that is named otherwise, whose port is open everywhere then.
    pub address: Option<Ipv4Addr>,
    /// The port.
    pub port: u16,
}

/// Most connections of one container to the installation's MariaDB, and to its Caddy. A site has at most 250 connections
/// to its database, and at most 240 workers of PHP, each of which waits for one request to itself. The rest is for
/// connections that never say who they are, of which MariaDB ends each after three seconds.
pub const SERVER_CONNECTIONS: u32 = 300;
/// Most flows of one container to elsewhere, of the 65,536 or 262,144 that the kernel keeps for all. A request of PHP takes
/// one, and two that stay for 30 s to ask for the name: fifty requests a second are as many as this.
pub const FLOWS: u32 = 3_000;
/// Most new flows of one container to elsewhere within a second, once it has begun [`FLOW_BURST`]: those of sixty-six
/// requests of PHP. Packets without an answer count each.
pub const FLOW_RATE: u32 = 200;
/// New flows that one container may begin at once.
pub const FLOW_BURST: u32 = 2_000;
/// Networks that aren't part of the Internet (RFC 1918 and 6598). Those of IPv6 are closed with all of IPv6.
pub const PRIVATE: &str = "10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16";

/// Name of the installation's nftables table.
#[must_use]
pub fn table(instance: InstanceId) -> String {
    format!("hostplane_{}", instance.uuid().simple())
}

/// Renders the table. Its chains run before those of the usual priority, and no other chain can accept a packet that
/// they drop. Packets from elsewhere than the installation's bridges pass.
///
/// - Replies pass. Every other packet is judged alone, so connections older than the rules are cut too.
/// - Clouds serve metadata from the link-local range. Some have their name server there, so port 53 stays open, as it
///   does in private networks that are closed.
/// - Packets between containers of one bridge come by here on some hosts. They aren't counted: Caddy has as many
///   connections to sites as there are visitors.
/// - What is refused is answered where a site may ask for it unknowingly, so that PHP's workers don't wait.
#[must_use]
pub fn rules(instance: InstanceId, access: &Access) -> String {
    let (table, prefix) = (table(instance), bridges::bridge_prefix(instance));
    let set = |name: &str, more: &str| {
        format!("\tset {name} {{\n\t\ttype ipv4_addr; size 65535; flags dynamic{more};\n\t}}\n")
    };
    let sets = [
        set("mariadb_sources", ""),
        set("caddy_sources", ""),
        set("flow_sources", ""),
        set("flow_rates", ",timeout; timeout 1m"),
    ];
    let (sets, to_host, onward) = (sets.concat(), indented(&to_host(access)), indented(&onward(access, &prefix)));
    format!(
        "table inet {table} {{\n\
         {sets}\
         \tchain to_host {{\n\
         \t\ttype filter hook input priority -10; policy accept;\n\
         \t\tiifname != \"{prefix}*\" accept\n\
         {to_host}\
         \t}}\n\
         \tchain onward {{\n\
         \t\ttype filter hook forward priority -10; policy accept;\n\
         \t\tiifname != \"{prefix}*\" accept\n\
         {onward}\
         \t}}\n\
         \tchain flows {{\n\
         \t\tct state != new accept\n\
         \t\tupdate @flow_rates {{ ip saddr limit rate over {FLOW_RATE}/second burst {FLOW_BURST} packets }} drop\n\
         \t\tadd @flow_sources {{ ip saddr ct count over {FLOWS} }} drop\n\
         \t}}\n\
         }}\n"
    )
}

fn to_host(access: &Access) -> Vec<String> {
    let counted = |to: &str, set: &str| {
        let count = format!("add @{set} {{ ip saddr ct count over {SERVER_CONNECTIONS} }}");
        [format!("{to} ct state new {count} reject with tcp reset"), format!("{to} accept")]
    };
    let mut rules = vec!["ct direction reply accept".to_owned()];
    if let Some((address, port)) = access.mariadb {
        rules.extend(counted(&format!("ip daddr {address} tcp dport {port}"), "mariadb_sources"));
    }
    rules.extend(access.named.iter().map(|server| format!("tcp dport {} accept", server.port)));
    let [http, https] = access.caddy;
    rules.extend(counted(&format!("meta nfproto ipv4 tcp dport {{ {http}, {https} }}"), "caddy_sources"));
    rules.push("drop".to_owned());
    rules
}

fn onward(access: &Access, prefix: &str) -> Vec<String> {
    const NAME_SERVER: &str = "meta l4proto { tcp, udp } th dport 53";
    let mut rules = vec![
        "meta nfproto ipv6 drop".to_owned(),
        "ct direction reply accept".to_owned(),
        format!("oifname \"{prefix}*\" accept"),
        format!("ip daddr 169.254.0.0/16 {NAME_SERVER} goto flows"),
        "ip daddr 169.254.0.0/16 drop".to_owned(),
    ];
    rules.extend(access.named.iter().map(|server| {
        let to = server.address.map_or_else(String::new, |address| format!("ip daddr {address} "));
        format!("{to}tcp dport {} goto flows", server.port)
    }));
    if !access.port_25 {
        rules.push("tcp dport 25 reject with tcp reset".to_owned());
    }
    if !access.private {
        rules.push(format!("ip daddr {{ {PRIVATE} }} {NAME_SERVER} goto flows"));
        rules.push(format!("ip daddr {{ {PRIVATE} }} reject with icmpx admin-prohibited"));
    }
    rules.push("goto flows".to_owned());
    rules
}

fn indented(rules: &[String]) -> String {
    rules.iter().flat_map(|rule| ["\t\t", rule, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn access() -> Access {
        Access {
            mariadb: Some((Ipv4Addr::new(172, 17, 0, 1), 3306)),
            named: Vec::new(),
            caddy: [8080, 8443],
            port_25: false,
            private: true,
        }
    }

    /// The rules of a chain for packets of our own bridges.
    fn chain(access: &Access, name: &str) -> Vec<String> {
        let rules = rules(InstanceId::new(Uuid::from_u128(1)), access);
        let (_, rest) = rules.split_once(&format!("chain {name} {{\n")).unwrap();
        let lines = rest.lines().map(str::trim).take_while(|line| *line != "}");
        lines.filter(|line| !line.starts_with("type ") && !line.starts_with("iifname")).map(str::to_owned).collect()
    }

    #[test]
    fn only_the_database_and_the_proxy_are_reachable() {
        assert_eq!(
            chain(&access(), "to_host"),
            [
                "ct direction reply accept",
                "ip daddr 172.17.0.1 tcp dport 3306 ct state new \
                 add @mariadb_sources { ip saddr ct count over 300 } reject with tcp reset",
                "ip daddr 172.17.0.1 tcp dport 3306 accept",
                "meta nfproto ipv4 tcp dport { 8080, 8443 } ct state new \
                 add @caddy_sources { ip saddr ct count over 300 } reject with tcp reset",
                "meta nfproto ipv4 tcp dport { 8080, 8443 } accept",
                "drop",
            ]
        );
    }

    #[test]
    fn elsewhere_is_open_but_for_metadata_and_port_25() {
        let bridges = bridges::bridge_prefix(InstanceId::new(Uuid::from_u128(1)));
        assert_eq!(
            chain(&access(), "onward"),
            [
                "meta nfproto ipv6 drop",
                "ct direction reply accept",
                &format!("oifname \"{bridges}*\" accept"),
                "ip daddr 169.254.0.0/16 meta l4proto { tcp, udp } th dport 53 goto flows",
                "ip daddr 169.254.0.0/16 drop",
                "tcp dport 25 reject with tcp reset",
                "goto flows",
            ]
        );
        assert_eq!(
            chain(&access(), "flows"),
            [
                "ct state != new accept",
                "update @flow_rates { ip saddr limit rate over 200/second burst 2000 packets } drop",
                "add @flow_sources { ip saddr ct count over 3000 } drop",
            ]
        );
        let all = chain(&Access { port_25: true, ..access() }, "onward");
        assert!(!all.iter().any(|rule| rule.contains("dport 25")), "{all:?}");
    }

    #[test]
    fn private_networks_are_closed_on_request_but_for_names_and_named_servers() {
        let named = vec![NamedServer { address: Some(Ipv4Addr::new(10, 0, 0, 3)), port: 25 }];
        let rules = chain(&Access { private: false, named, ..access() }, "onward");
        assert_eq!(
            rules[5..],
            [
                "ip daddr 10.0.0.3 tcp dport 25 goto flows",
                "tcp dport 25 reject with tcp reset",
                &format!("ip daddr {{ {PRIVATE} }} meta l4proto {{ tcp, udp }} th dport 53 goto flows"),
                &format!("ip daddr {{ {PRIVATE} }} reject with icmpx admin-prohibited"),
                "goto flows",
            ]
        );
    }

    #[test]
    fn servers_named_by_the_operator_are_reachable() {
        let named = vec![
            NamedServer { address: None, port: 3310 },
            NamedServer { address: Some(Ipv4Addr::new(10, 0, 0, 3)), port: 587 },
        ];
        let access = Access { mariadb: None, named, ..access() };
        assert_eq!(chain(&access, "to_host")[1..3], ["tcp dport 3310 accept", "tcp dport 587 accept"]);
        let onward = chain(&access, "onward");
        assert_eq!(onward[5..7], ["tcp dport 3310 goto flows", "ip daddr 10.0.0.3 tcp dport 587 goto flows"]);
    }

    #[test]
    fn installations_have_their_own_table_and_bridges() {
        let of = |n| rules(InstanceId::new(Uuid::from_u128(n)), &access());
        let prefix = |n| bridges::bridge_prefix(InstanceId::new(Uuid::from_u128(n)));
        assert!(of(1).contains(&table(InstanceId::new(Uuid::from_u128(1)))));
        let foreign = format!("iifname != \"{}*\" accept", prefix(1));
        assert_eq!(of(1).matches(&foreign).count(), 2, "each chain first accepts what isn't ours");
        assert!(!of(1).contains(&prefix(2)) && of(1) != of(2));
    }
}
