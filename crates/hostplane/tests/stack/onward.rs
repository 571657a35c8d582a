//! The way from a site to other machines, in the harness of `isolation.rs`: what is closed, what is counted, and what
//! an operator opens and closes. Each probe is made from a place, too, where it has to succeed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::datagrams::{Flood, packets};
use crate::isolation::{Harness, OUTSIDE, PRIVATE};
use crate::reach::{Place, php, reached};

/// Opens connections until one is refused, and keeps them all.
const OPEN: &str = "<?php for ($open = []; count($open) < MOST; ) { \
    if (!($stream = @stream_socket_client('tcp://ADDRESS', $code, $words, 2))) { break; } $open[] = $stream; } \
    echo count($open);";

/// Opens connections one after the other until one is refused.
const OPEN_AND_CLOSE: &str = "<?php for ($opened = 0; $opened < MOST; $opened++) { \
    if (!($stream = @stream_socket_client('tcp://ADDRESS', $code, $words, 1))) { break; } fclose($stream); } \
    echo $opened;";

/// A foreign container's network.
fn elsewhere() -> Place {
    Place::Network("bridge".to_owned())
}

fn php_of(site: &str) -> Place {
    Place::Container(format!("php_{site}"))
}

fn count(harness: &Harness, place: &Place, program: &str, address: &str, most: u32) -> u32 {
    let program = program.replace("ADDRESS", address).replace("MOST", &most.to_string());
    let said = php(&harness.instance, place, &program);
    said.parse().unwrap_or_else(|_| panic!("a number: {said}"))
}

/// The part of these addresses that a place reaches. A foreign container reaches all.
fn reached_by_site(harness: &Harness, addresses: &[String]) -> BTreeMap<String, bool> {
    harness.instance.until("the listeners", Duration::from_secs(30), |instance| {
        reached(instance, &elsewhere(), addresses).values().all(|reached| *reached)
    });
    reached(&harness.instance, &php_of(&harness.attacker), addresses)
}

pub fn mail_goes_through_a_relay_alone(harness: &Harness) {
    let at = |address: &str, port: u16| format!("{address}:{port}");
    let ports = [25, 53, 80, 587];
    let addresses = [OUTSIDE, PRIVATE].map(|address| ports.map(|port| at(address, port))).concat();
    let seen = reached_by_site(harness, &addresses);
    for (address, reached) in seen {
        assert_eq!(reached, !address.ends_with(":25"), "{address}");
    }
}

/// Sites connect to Caddy as visitors do.
pub fn connections_to_caddy_are_counted(harness: &Harness) {
    let caddy = format!("172.17.0.1:{}", harness.instance.setting("HTTP_PORT"));
    let of_site = count(harness, &php_of(&harness.attacker), OPEN, &caddy, 500);
    assert!((250..=300).contains(&of_site), "{of_site} connections of one site");
    assert_eq!(count(harness, &elsewhere(), OPEN, &caddy, 500), 500, "others are visitors");
}

pub fn new_flows_are_limited(harness: &Harness) {
    let flood = Flood { address: OUTSIDE, most: 6000, seconds: 5, to_one_port: true };
    let passed = || packets(&harness.engine.run(&["cat", "/proc/net/dev"]), |name| name == "cable").1;
    let (sent, of_site) = flood.from(&harness.instance, &php_of(&harness.attacker), passed);
    println!("isolation: {of_site} of {sent} datagrams left a site");
    assert!((1500..=3100).contains(&of_site), "of {sent} datagrams {of_site} passed");
    let (sent, of_others) = flood.from(&harness.instance, &elsewhere(), passed);
    assert!(sent == 6000 && of_others > 5500, "of {sent} datagrams {of_others} passed");
}

/// A site has as many flows from Caddy as there are visitors, which some hosts lead through the packet filter.
pub fn flows_between_containers_are_not_counted(harness: &Harness) {
    let caddy = Place::Network(format!("container:{}-caddy", harness.instance.tag));
    let nginx = format!("nginx_{}:80", harness.victim);
    let bridged = harness.engine.run(&["cat", "/proc/sys/net/bridge/bridge-nf-call-iptables"]);
    println!("isolation: bridged packets pass the packet filter: {}", bridged.trim());
    assert_eq!(count(harness, &caddy, OPEN_AND_CLOSE, &nginx, 4000), 4000);
}

/// An operator's choices hold: opened ports are open, closed networks closed but for the servers that sites need.
pub fn an_operator_closes_private_networks_and_opens_port_25(harness: &mut Harness) {
    let at = |address: &str, port: u16| format!("{address}:{port}");
    harness.instance.stop();
    for (setting, value) in
        [("ALLOW_PRIVATE_NETWORKS", "false"), ("ALLOW_PORT_25", "true"), ("SMTP_HOST", PRIVATE), ("SMTP_PORT", "587")]
    {
        harness.instance.set(setting, value);
    }
    harness.instance.start();
    let addresses =
        [at(OUTSIDE, 25), at(OUTSIDE, 80), at(PRIVATE, 25), at(PRIVATE, 53), at(PRIVATE, 80), at(PRIVATE, 587)];
    let seen = reached_by_site(harness, &addresses);
    for (address, reached) in seen {
        // A name server, and the relay that is named.
        let is_open = address.starts_with(OUTSIDE) || address.ends_with(":53") || address.ends_with(":587");
        assert_eq!(reached, is_open, "{address}");
    }
    let own = [
        format!("host.docker.internal:{}", harness.instance.setting("MARIADB_PORT")),
        format!("172.17.0.1:{}", harness.instance.setting("HTTP_PORT")),
    ];
    let seen = reached(&harness.instance, &php_of(&harness.attacker), &own);
    assert!(seen.values().all(|reached| *reached), "{seen:?}");
    harness.instance.expect_front_page(&harness.attacker);
}
