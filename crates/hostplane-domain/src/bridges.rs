//! Names of the bridge interfaces of an installation's networks, by which the packet filter knows its packets.

use sha2::{Digest, Sha256};

use crate::ids::InstanceId;
use crate::mark::{LABEL_INSTANCE, LABEL_SITE_ID, Labels};

/// The common prefix of an installation's bridges. Its 25 bits distinguish the installations of one Engine.
#[must_use]
pub fn bridge_prefix(instance: InstanceId) -> String {
    format!("{BRIDGE}{}", short_hash::<5>(&instance.to_string()))
}

/// The bridge interface of a network, by the network's name and labels: none without an installation's mark.
/// The kernel allows 15 characters; 40 bits distinguish the networks of one installation.
#[must_use]
pub fn bridge_of(network: &str, labels: &Labels) -> Option<String> {
    let instance = labels.get(LABEL_INSTANCE)?.parse().ok()?;
    let site = labels.get(LABEL_SITE_ID).map_or("", String::as_str);
    Some(format!("{}{}", bridge_prefix(instance), short_hash::<8>(&format!("{site}/{network}"))))
}

/// True for the bridge of any installation.
#[must_use]
pub fn is_bridge(interface: &str) -> bool {
    let is_ours = |rest: &str| rest.len() == 13 && rest.bytes().all(|byte| BASE32.contains(&byte));
    interface.strip_prefix(BRIDGE).is_some_and(is_ours)
}

const BRIDGE: &str = "hp";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

fn short_hash<const N: usize>(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().take(N).map(|byte| char::from(BASE32[usize::from(byte & 31)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_its_own_bridge_name() {
        let labels = |instance: u128, site: Option<u128>| -> Labels {
            let id = |n| uuid::Uuid::from_u128(n).to_string();
            let mut labels = Labels::from([(LABEL_INSTANCE.to_owned(), id(instance))]);
            labels.extend(site.map(|site| (LABEL_SITE_ID.to_owned(), id(site))));
            labels
        };
        let bridge = |network, instance, site| bridge_of(network, &labels(instance, site)).unwrap();
        let one = bridge("site_a", 1, Some(1));
        assert!(one.len() == 15 && is_bridge(&one), "{one}");
        assert!(one.starts_with(&bridge_prefix(InstanceId::new(uuid::Uuid::from_u128(1)))));
        assert_eq!(one, bridge("site_a", 1, Some(1)));
        let others = [bridge("site_a", 1, Some(2)), bridge("site_b", 1, Some(1)), bridge("site_a", 2, Some(1))];
        let all: std::collections::BTreeSet<&String> = others.iter().chain([&one]).collect();
        assert_eq!(all.len(), 4);
        assert_eq!(bridge_of("theirs", &Labels::new()), None);
        for other in ["hp0", "hpet0", "eth0", "br-0123456789ab", "hp-23456789abcd", "hp01"] {
            assert!(!is_bridge(other), "{other}");
        }
    }
}
