//! Containers from their creation to their removal.

use std::collections::BTreeMap;

use hostplane_domain::container::{ContainerSpec, HOST_NETWORK};
use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{ContainerState, Tuning};
use hostplane_infra::error::{Effect, EffectError, Rejection};

use super::{ContainersState, FakeContainer, check_name, invalid, owner};
use crate::fake::injected::Parts;

impl ContainersState {
    pub(super) fn create_container(
        &mut self,
        spec: &ContainerSpec,
        labels: &Labels,
        parts: &mut Parts,
    ) -> Effect<String> {
        if let Some(network) = spec.network.as_deref().filter(|network| *network != HOST_NETWORK) {
            self.resolve_network(network)?;
        }
        if !self.images.contains(&spec.image) {
            return Err(Rejection::ImageMissing(spec.image.clone()).into());
        }
        check_name("container", &spec.name)?;
        if spec.limits.memory_mib < 6 {
            return Err(invalid("Minimum memory limit allowed is 6MB"));
        }
        if let Some((id, holder)) = self.containers.named(&spec.name).next() {
            if holder.state == ContainerState::Removing {
                let message = format!("the container {} is being removed", spec.name);
                return Err(EffectError::transient_message("docker.create_container", message));
            }
            let owner = owner(&holder.labels, "container", id);
            return Err(Rejection::NameTaken { what: "container", name: spec.name.clone(), owner }.into());
        }
        parts.next()?;
        for mount in &spec.mounts {
            check_name("volume", &mount.volume)?;
        }
        if let Some(mount) = spec.mounts.iter().find(|mount| !mount.path.starts_with('/')) {
            return Err(invalid(format!("invalid mount path: '{}' mount path must be absolute", mount.path)));
        }
        for mount in &spec.mounts {
            self.create_volume(&mount.volume, labels)?;
        }
        parts.next()?;
        let id = self.next_id();
        let container = FakeContainer {
            spec: spec.clone(),
            labels: labels.clone(),
            state: ContainerState::Created,
            networks: spec.network.iter().map(|network| (network.clone(), None)).collect(),
            files: BTreeMap::new(),
            log: Vec::new(),
            unhealthy: false,
            tuning: Tuning::of(spec),
        };
        self.containers.insert(id.clone(), container);
        Ok(id)
    }

    pub(super) fn start_container(&mut self, id: &str) -> Effect<()> {
        let (id, container) = self.existing(id)?;
        match container.state {
            ContainerState::Running => return Ok(()),
            ContainerState::Removing => {
                let message = "container is marked for removal and cannot be started";
                return Err(EffectError::transient_message("docker.start_container", message));
            }
            ContainerState::Paused => {
                return Err(invalid("cannot start a paused container, try unpause instead"));
            }
            ContainerState::Created | ContainerState::Exited | ContainerState::Restarting | ContainerState::Dead => {}
        }
        let mut networks = BTreeMap::new();
        for (name, bound) in container.networks.iter().filter(|(name, _)| *name != HOST_NETWORK) {
            let network = self.resolve_network(bound.as_deref().unwrap_or(name))?.to_owned();
            self.check_room(&network)?;
            networks.insert(name.clone(), Some(network));
        }
        self.check_ports(container)?;
        let id = id.to_owned();
        let container = self.existing_mut(&id)?;
        container.networks = networks;
        container.state = ContainerState::Running;
        Ok(())
    }

    fn check_ports(&self, starting: &FakeContainer) -> Effect<()> {
        let running = self.containers.values().filter(|other| other.state == ContainerState::Running);
        for (address, port, _) in running.flat_map(|other| &other.spec.publish) {
            let clash = |(wanted, wanted_port, _): &&(String, u16, u16)| {
                let is_any = |address: &String| matches!(address.as_str(), "" | "0.0.0.0");
                wanted_port == port && (wanted == address || is_any(wanted) || is_any(address))
            };
            if let Some((wanted, ..)) = starting.spec.publish.iter().find(clash) {
                let message = format!("Bind for {wanted}:{port} failed: port is already allocated");
                return Err(Rejection::PortTaken(message).into());
            }
        }
        Ok(())
    }

    pub(super) fn stop_container(&mut self, id: &str) -> Effect<()> {
        let container = self.existing_mut(id)?;
        if container.state == ContainerState::Running {
            container.state = ContainerState::Exited;
        }
        Ok(())
    }

    pub(super) fn remove_container(&mut self, id: &str) -> Effect<()> {
        let (id, container) = self.existing(id)?;
        if container.state == ContainerState::Removing {
            let message = format!("removal of container {id} is already in progress");
            return Err(EffectError::transient_message("docker.remove_container", message));
        }
        let id = id.to_owned();
        self.containers.remove(&id);
        Ok(())
    }
}
