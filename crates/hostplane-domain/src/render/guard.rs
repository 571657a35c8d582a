//! Rules of the host's packet filter (nftables): what an installation's containers may send to the machine they
//! run on, and to its metadata service. What they send to each other is the Engine's business.

use std::net::Ipv4Addr;

use crate::bridges;
use crate::ids::InstanceId;

/// What the sites may reach on the host itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAccess {
    /// The address and port on which the installation's own MariaDB is published for sites, if it has one.
    pub mariadb: Option<(Ipv4Addr, u16)>,
    /// The ports of servers that the operator names for the sites, as a MariaDB elsewhere or one that takes their
    /// mail: they may be this machine's, under any of its addresses.
    pub named: Vec<u16>,
    /// Caddy's published ports: a site that is reached under an address of this machine asks itself there, as
    /// WordPress does for its scheduled work. Anybody may reach them.
    pub caddy: [u16; 2],
}

/// The name of the installation's table of rules.
#[must_use]
pub fn table(instance: InstanceId) -> String {
    format!("hostplane_{}", instance.uuid().simple())
}

/// The table. Its chains come before those of the family's usual priority, and what they drop no other chain
/// brings back. What doesn't come from a bridge of the installation passes untouched.
///
/// - Packets of connections that the host began pass; the rest is judged packet by packet, so that a connection
///   that is older than the rules is cut too.
/// - The link-local range is where clouds have their metadata services; some have their name server there as
///   well, so port 53 stays.
#[must_use]
pub fn rules(instance: InstanceId, access: &HostAccess) -> String {
    let (table, prefix) = (table(instance), bridges::bridge_prefix(instance));
    let [http, https] = access.caddy;
    let mariadb = access.mariadb.map(|(address, port)| format!("\t\tip daddr {address} tcp dport {port} accept\n"));
    let named = access.named.iter().map(|port| format!("\t\ttcp dport {port} accept\n"));
    let servers = mariadb.into_iter().chain(named).collect::<String>();
    format!(
        "table inet {table} {{\n\
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
    fn only_the_database_and_the_proxy_are_let_through() {
        let rules = rules(InstanceId::new(Uuid::from_u128(1)), &access());
        let (to_host, onward) = rules.split_once("chain onward").unwrap();
        let verdicts: Vec<&str> = to_host.lines().skip(4).map(str::trim).take_while(|line| *line != "}").collect();
        assert_eq!(
            verdicts,
            [
                "ct direction reply accept",
                "ip daddr 172.17.0.1 tcp dport 3306 accept",
                "meta nfproto ipv4 tcp dport { 8080, 8443 } accept",
                "drop",
            ]
        );
        assert!(onward.contains("ip daddr 169.254.0.0/16 drop"));
    }

    #[test]
    fn servers_that_the_operator_names_may_be_on_the_host() {
        let access = HostAccess { mariadb: None, named: vec![3310, 587], ..access() };
        let rules = rules(InstanceId::new(Uuid::from_u128(1)), &access);
        assert!(
            rules.contains("reply accept\n\t\ttcp dport 3310 accept\n\t\ttcp dport 587 accept\n\t\tmeta"),
            "{rules}"
        );
    }

    #[test]
    fn installations_have_tables_and_bridges_of_their_own() {
        let of = |n| rules(InstanceId::new(Uuid::from_u128(n)), &access());
        let prefix = |n| bridges::bridge_prefix(InstanceId::new(Uuid::from_u128(n)));
        assert!(of(1).contains(&table(InstanceId::new(Uuid::from_u128(1)))));
        assert_eq!(of(1).matches(&prefix(1)).count(), 2, "each chain lets what isn't ours pass first");
        assert!(!of(1).contains(&prefix(2)) && of(1) != of(2));
    }
}
