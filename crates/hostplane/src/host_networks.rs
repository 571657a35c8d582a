//! The networks of this machine beside Docker's. A site's subnet that overlaps with one would hide it from the
//! machine's own routes, and the Engine doesn't check.

use std::net::Ipv4Addr;

use hostplane_domain::bridges;
use hostplane_domain::subnet::{SubnetPool, overlap};
use ipnet::Ipv4Net;

const ROUTES: &str = "/proc/net/route";

/// A network of this machine that overlaps with the pool, and its interface. Interfaces of Docker's bridges are
/// left out: the Engine itself keeps those apart.
pub(crate) fn overlapping(pool: SubnetPool) -> Option<(String, Ipv4Net)> {
    // A machine that isn't Linux has no such file.
    let table = std::fs::read_to_string(ROUTES).unwrap_or_default();
    networks(&table).find(|(interface, network)| !is_bridge(interface) && overlap(network, &pool.range()))
}

fn is_bridge(interface: &str) -> bool {
    interface == "docker0"
        || interface.starts_with("br-")
        || interface.starts_with("veth")
        || bridges::is_bridge(interface)
}

/// Interface and destination of each route but the default one, which contains everything.
fn networks(table: &str) -> impl Iterator<Item = (String, Ipv4Net)> {
    let hex = |word: &str| u32::from_str_radix(word, 16).ok().map(|number| Ipv4Addr::from(number.swap_bytes()));
    table.lines().skip(1).filter_map(move |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (interface, destination, mask) = (*words.first()?, hex(words.get(1)?)?, hex(words.get(7)?)?);
        let network = Ipv4Net::with_netmask(destination, mask).ok()?;
        (network.prefix_len() > 0).then(|| (interface.to_owned(), network))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t0000D50A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        nonsense\n";

    #[test]
    fn all_routes_but_the_default_are_read() {
        let found: Vec<String> = networks(TABLE).map(|(name, network)| format!("{name} {network}")).collect();
        assert_eq!(found, ["eth0 10.213.0.0/24", "docker0 172.17.0.0/16"]);
    }
}
