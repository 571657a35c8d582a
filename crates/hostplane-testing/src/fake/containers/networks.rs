//! Networks: names, subnets and room.

use hostplane_domain::mark::Mark;
use ipnet::Ipv4Net;

use super::{ContainersState, FakeContainer, FakeNetwork, absent, in_scope, invalid, owner};
use hostplane_infra::containers::{ContainerState, NetworkFacts, NetworkSpec, Scope, paths};
use hostplane_infra::error::{Effect, EffectError, Rejection};

/// Ports of a Linux bridge.
const BRIDGE_PORTS: usize = 1023;

/// The Engine's default pools, in its order.
fn default_pools() -> impl Iterator<Item = Ipv4Net> {
    let large = (17..32).map(|second| ([172, second, 0, 0], 16));
    let small = (0..16).map(|third| ([192, 168, third * 16, 0], 20));
    large.chain(small).filter_map(|(address, length)| Ipv4Net::new(address.into(), length).ok())
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

impl ContainersState {
    pub(super) fn network_facts(&self, scope: &Scope) -> Vec<NetworkFacts> {
        let facts = |(id, network): (&String, &FakeNetwork)| {
            let (mark, labels) = Mark::split(&network.labels);
            NetworkFacts {
                id: id.clone(),
                name: network.name.clone(),
                mark,
                labels,
                subnets: vec![network.subnet],
                gateway: network.subnet.hosts().next(),
            }
        };
        in_scope(&self.networks, scope, |network| &network.labels).map(facts).collect()
    }

    /// The id of the network of an id or, if it is the only one, a name.
    pub(super) fn resolve_network(&self, id_or_name: &str) -> Effect<&str> {
        if let Some((id, _)) = self.networks.get_key_value(paths::segment(id_or_name)?) {
            return Ok(id);
        }
        let mut named = self.networks.named(id_or_name);
        match (named.next(), named.count()) {
            (None, _) => Err(absent("network", id_or_name)),
            (Some((id, _)), 0) => Ok(id),
            (Some(_), more) => {
                Err(invalid(format!("network {id_or_name} is ambiguous ({} matches found on name)", more + 1)))
            }
        }
    }

    pub(super) fn create_network(&mut self, spec: &NetworkSpec) -> Effect<String> {
        paths::segment(&spec.name)?;
        if let Some((id, holder)) = self.networks.named(&spec.name).next() {
            let owner = owner(&holder.labels, "network", id);
            return Err(Rejection::NameTaken { what: "network", name: spec.name.clone(), owner }.into());
        }
        let free = |subnet: Ipv4Net| !self.networks.values().any(|network| overlap(network.subnet, subnet));
        let subnet = match spec.subnet {
            Some(subnet) if !free(subnet.trunc()) => return Err(Rejection::SubnetOverlap(subnet).into()),
            Some(subnet) => subnet.trunc(),
            None => default_pools()
                .find(|&pool| free(pool))
                .ok_or_else(|| Rejection::Capacity("no free subnet; remove unused networks".to_owned()))?,
        };
        let id = self.next_id();
        let network = FakeNetwork { name: spec.name.clone(), labels: spec.labels.clone(), subnet };
        self.networks.insert(id.clone(), network);
        Ok(id)
    }

    pub(super) fn remove_network(&mut self, id: &str) -> Effect<()> {
        let id = self.resolve_network(id)?.to_owned();
        if self.endpoints(&id) > 0 {
            let message = format!("error while removing network: network id {id} has active endpoints");
            return Err(EffectError::transient_message("docker.remove_network", message));
        }
        self.networks.remove(&id);
        Ok(())
    }

    pub(super) fn connect(&mut self, network_id: &str, container_id: &str) -> Effect<()> {
        let network_id = self.resolve_network(network_id)?.to_owned();
        let name = self.networks.get(&network_id).map(|network| network.name.clone()).unwrap_or_default();
        let (id, container) = self.existing(container_id)?;
        if container.spec.network.is_none() {
            return Err(invalid(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode",
            ));
        }
        if container.networks.contains_key(&name) {
            return Ok(());
        }
        let running = container.state == ContainerState::Running;
        if running {
            self.check_room(&network_id)?;
        }
        let id = id.to_owned();
        // The name of a stopped container's network is resolved when it starts.
        self.existing_mut(&id)?.networks.insert(name, running.then_some(network_id));
        Ok(())
    }

    /// Running containers on a network.
    fn endpoints(&self, id: &str) -> usize {
        let on = |container: &&FakeContainer| {
            container.state == ContainerState::Running
                && container.networks.values().any(|bound| bound.as_deref() == Some(id))
        };
        self.containers.values().filter(on).count()
    }

    /// Checks that one more container can run on a network.
    pub(super) fn check_room(&self, id: &str) -> Effect<()> {
        let Some(network) = self.networks.get(id) else { return Err(absent("network", id)) };
        if self.has_endless_networks {
            return Ok(());
        }
        let used = self.endpoints(id);
        // The gateway has the first address.
        let addresses = network.subnet.hosts().take(BRIDGE_PORTS + 2).count().saturating_sub(1);
        if used >= addresses {
            let message =
                format!("no available IPv4 addresses on this network's address pools: {} ({id})", network.name);
            return Err(Rejection::Capacity(message).into());
        }
        if used >= BRIDGE_PORTS {
            let message = format!("adding interface to bridge br-{} failed: exchange full", id.get(..12).unwrap_or(id));
            return Err(Rejection::Capacity(message).into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostplane_domain::mark::Labels;

    #[test]
    fn the_default_pools_hold_31_networks() {
        let mut state = ContainersState::default();
        let spec = |number| NetworkSpec { name: format!("net-{number}"), subnet: None, labels: Labels::new() };
        for number in 0..31 {
            state.create_network(&spec(number)).unwrap();
        }
        let error = state.create_network(&spec(31)).unwrap_err();
        assert!(matches!(error, EffectError::Rejected(Rejection::Capacity(_))), "{error:?}");
    }

    #[test]
    fn a_planted_second_network_of_a_name_makes_it_ambiguous() {
        let mut state = ContainersState::default();
        let network = |third| FakeNetwork {
            name: "twice".into(),
            labels: Labels::new(),
            subnet: Ipv4Net::new([10, 1, third, 0].into(), 24).unwrap(),
        };
        state.networks.insert("one".into(), network(1));
        assert_eq!(state.resolve_network("twice").unwrap(), "one");
        state.networks.insert("two".into(), network(2));
        assert!(matches!(state.resolve_network("twice"), Err(EffectError::Rejected(Rejection::Invalid { .. }))));
        assert_eq!(state.resolve_network("two").unwrap(), "two");
    }
}
