//! Packet filter rules (nftables) for the traffic of an installation's containers to their host and to its metadata
//! service. The Engine filters traffic between containers.

use std::net::Ipv4Addr;

use crate::bridges;
use crate::ids::InstanceId;

/// Servers on the host that the sites may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAccess {
    /// The address and port on which the installation's own MariaDB is published for sites, if it has one.
    pub mariadb: Option<(Ipv4Addr, u16)>,
    /// Ports of servers that the operator names for the sites, such as another MariaDB or a mail relay: they may be on
    /// this host, under any of its addresses.
    pub named: Vec<u16>,
    /// Caddy's published ports, which are public: WordPress requests its own site there, for wp-cron among others.
    pub caddy: [u16; 2],
}

/// Most connections of one container to the installation's MariaDB. A site's own limit, which its user has, is lower: the
/// rest is for connections that never say who they are, of which MariaDB ends each after three seconds.
pub const MARIADB_CONNECTIONS: u32 = 300;

/// Name of the installation's nftables table.
#[must_use]
pub fn table(instance: InstanceId) -> String {
    format!("hostplane_{}", instance.uuid().simple())
}

/// Renders the table. Its chains run before those of the usual priority, and no other chain can accept a packet that
/// they drop. Packets from elsewhere than the installation's bridges pass.
///
/// - Replies to the host's own connections pass. Every other packet is judged alone, so connections older than the
///   rules are cut too.
/// - Clouds serve metadata from the link-local range. Some have their name server there, so port 53 stays open.
#[must_use]
pub fn rules(instance: InstanceId, access: &HostAccess) -> String {
    let (table, prefix) = (table(instance), bridges::bridge_prefix(instance));
    let [http, https] = access.caddy;
    let mariadb = access.mariadb.map(|(address, port)| {
        let to = format!("ip daddr {address} tcp dport {port}");
        let count = format!("add @mariadb_sources {{ ip saddr ct count over {MARIADB_CONNECTIONS} }}");
        format!("\t\t{to} ct state new {count} reject with tcp reset\n\t\t{to} accept\n")
    });
    let named = access.named.iter().map(|port| format!("\t\ttcp dport {port} accept\n"));
    let servers = mariadb.into_iter().chain(named).collect::<String>();
    format!(
        "table inet {table} {{\n\
         \tset mariadb_sources {{\n\
         \t\ttype ipv4_addr; size 65535; flags dynamic;\n\
         \t}}\n\
         \tchain to_host {{\n\
         \t\ttype filter hook input priority -10; policy accept;\n\
         \t\tiifname != \"{prefix}*\" accept\n\
         \t\tct direction reply accept\n\
         {servers}\
         \t\tmeta nfproto ipv4 tcp dport {{ {http}, {https} }} accept\n\
         \t\tdrop\n\
         \t}}\n\
         \tchain onward {{\n\
         \t\ttype filter hook forward priority -10; policy accept;\n\
         \t\tiifname != \"{prefix}*\" accept\n\
         \t\tip daddr 169.254.0.0/16 meta l4proto {{ tcp, udp }} th dport 53 accept\n\
         \t\tip daddr 169.254.0.0/16 drop\n\
         \t\tmeta nfproto ipv6 drop\n\
         \t}}\n\
         }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn access() -> HostAccess {
        HostAccess { mariadb: Some((Ipv4Addr::new(172, 17, 0, 1), 3306)), named: Vec::new(), caddy: [8080, 8443] }
    }

    #[test]
    fn only_the_database_and_the_proxy_are_reachable() {
        let rules = rules(InstanceId::new(Uuid::from_u128(1)), &access());
        let (to_host, onward) = rules.split_once("chain onward").unwrap();
        let verdicts: Vec<&str> = to_host
            .lines()
            .skip_while(|line| !line.contains("iifname"))
            .skip(1)
            .map(str::trim)
            .take_while(|line| *line != "}")
            .collect();
        assert_eq!(
            verdicts,
            [
                "ct direction reply accept",
                "ip daddr 172.17.0.1 tcp dport 3306 ct state new \
                 add @mariadb_sources { ip saddr ct count over 300 } reject with tcp reset",
                "ip daddr 172.17.0.1 tcp dport 3306 accept",
                "meta nfproto ipv4 tcp dport { 8080, 8443 } accept",
                "drop",
            ]
        );
        assert!(onward.contains("ip daddr 169.254.0.0/16 drop"));
    }

    #[test]
    fn servers_named_by_the_operator_are_reachable() {
        let access = HostAccess { mariadb: None, named: vec![3310, 587], ..access() };
        let rules = rules(InstanceId::new(Uuid::from_u128(1)), &access);
        assert!(
            rules.contains("reply accept\n\t\ttcp dport 3310 accept\n\t\ttcp dport 587 accept\n\t\tmeta"),
            "{rules}"
        );
    }

    #[test]
    fn installations_have_their_own_table_and_bridges() {
        let of = |n| rules(InstanceId::new(Uuid::from_u128(n)), &access());
        let prefix = |n| bridges::bridge_prefix(InstanceId::new(Uuid::from_u128(n)));
        assert!(of(1).contains(&table(InstanceId::new(Uuid::from_u128(1)))));
        assert_eq!(of(1).matches(&prefix(1)).count(), 2, "each chain first accepts what isn't ours");
        assert!(!of(1).contains(&prefix(2)) && of(1) != of(2));
    }
}
