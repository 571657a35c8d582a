//! Floods of datagrams to another machine, and what of them gets there.

use crate::instance::Instance;
use crate::reach::{Place, php};

/// Sends datagrams, each to another port, so that each is a flow of its own.
const TO_MANY_PORTS: &str = "<?php $until = microtime(true) + SECONDS; \
    for ($sent = 0; $sent < MOST && microtime(true) < $until; $sent++) { \
        $socket = stream_socket_client('udp://ADDRESS:' . (10000 + $sent % 50000)); fwrite($socket, 'x'); fclose($socket); \
    } echo $sent;";

/// Sends datagrams to one port, which stay without an answer.
const TO_ONE_PORT: &str = "<?php $until = microtime(true) + SECONDS; $socket = stream_socket_client('udp://ADDRESS:9999'); \
    for ($sent = 0; $sent < MOST && microtime(true) < $until; $sent++) { fwrite($socket, 'x'); } echo $sent;";

/// A flood, as a place sends it.
pub struct Flood<'a> {
    pub address: &'a str,
    /// It ends after so many datagrams or seconds.
    pub most: u32,
    pub seconds: u32,
    pub to_one_port: bool,
}

impl Flood<'_> {
    /// Sends it and answers how many datagrams were sent, and how many arrived by a count of packets.
    pub fn from(&self, instance: &Instance, place: &Place, arrived: impl Fn() -> u32) -> (u32, u32) {
        let program = if self.to_one_port { TO_ONE_PORT } else { TO_MANY_PORTS };
        let program = program.replace("ADDRESS", self.address).replace("MOST", &self.most.to_string());
        let before = arrived();
        let sent = php(instance, place, &program.replace("SECONDS", &self.seconds.to_string()));
        (sent.parse().unwrap_or_else(|_| panic!("a number: {sent}")), arrived() - before)
    }
}

/// The packets that an interface has received and sent, by `/proc/net/dev`.
pub fn packets(table: &str, interface: impl Fn(&str) -> bool) -> (u32, u32) {
    let row = table.lines().filter_map(|line| line.trim().split_once(':')).find(|(name, _)| interface(name));
    let (_, numbers) = row.expect("the interface");
    let numbers: Vec<u32> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    (numbers[1], numbers[9])
}
