//! Networks, volumes and containers of the platform. The rules are those of sites: foreign objects are never changed,
//! and an object that has an id is removed by the id that was observed.

use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::{LABEL_INSTANCE, LABEL_RESOURCE, LABEL_SPEC, Labels, Mark};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::containers::{ContainerState, NetworkSpec, Scope};
use hostplane_infra::error::{Effect, EffectError, Rejection, absent_is_done};
use hostplane_infra::world::World;
use ipnet::Ipv4Net;
use tracing::info;

use super::MARIADB_GRACE_S;
use super::servers::Server;

/// The resource label of every part. No kind of resource has this name, so no verb of a site takes a part for its own.
const PLATFORM: &str = "platform";

pub(super) struct Parts<'a> {
    pub world: &'a World,
    pub instance: InstanceId,
}

impl Parts<'_> {
    fn labels(&self, spec: &SpecHash) -> Labels {
        Labels::from([
            (LABEL_INSTANCE.to_owned(), self.instance.to_string()),
            (LABEL_RESOURCE.to_owned(), PLATFORM.to_owned()),
            (LABEL_SPEC.to_owned(), spec.to_string()),
        ])
    }

    /// # Errors
    /// `NameTaken` unless the labels say that it is this installation's.
    fn require_own(&self, what: &'static str, name: &str, mark: Option<&Mark>, labels: &Labels) -> Effect<()> {
        let instance = self.instance.to_string();
        let get = |key: &str| labels.get(key).map(String::as_str);
        if get(LABEL_INSTANCE) == Some(instance.as_str()) && get(LABEL_RESOURCE) == Some(PLATFORM) {
            return Ok(());
        }
        let is_hostplane = mark.is_some() || get(LABEL_INSTANCE).is_some();
        let owner = if is_hostplane { "another Hostplane installation" } else { "another owner" }.to_owned();
        Err(Rejection::NameTaken { what, name: name.to_owned(), owner }.into())
    }

    /// Makes a network, in a subnet of the Engine's choice unless there is one.
    pub async fn network(&self, name: &str, subnet: Option<Ipv4Net>) -> Effect<()> {
        let found = self.world.local().containers.networks(&Scope::Names(vec![name.to_owned()])).await?;
        for network in &found {
            self.require_own("network", name, network.mark.as_ref(), &network.labels)?;
        }
        if found.is_empty() {
            let labels = self.labels(&SpecHash::of(&name));
            let spec = NetworkSpec { name: name.to_owned(), subnet, labels };
            self.world.local().containers.create_network(&spec).await?;
            info!(network = name, "made");
        }
        Ok(())
    }

    async fn volume(&self, name: &str) -> Effect<()> {
        let found = self.world.local().containers.create_volume(name, &self.labels(&SpecHash::of(&name))).await?;
        self.require_own("volume", name, found.mark.as_ref(), &found.labels)
    }

    /// Makes a server's container with its volumes and files, and starts it.
    pub async fn server(&self, server: &Server) -> Effect<()> {
        let spec = &server.spec;
        let hash = SpecHash::of(&(spec, server.files.iter().map(hash_of_file).collect::<Vec<_>>()));
        for mount in &spec.mounts {
            self.volume(&mount.volume).await?;
        }
        let found = self.world.local().containers.containers(&Scope::Names(vec![spec.name.clone()])).await?;
        let mut kept = None;
        for container in found {
            self.require_own("container", &spec.name, container.mark.as_ref(), &container.labels)?;
            // A container that was never started may lack its files.
            let same = container.labels.get(LABEL_SPEC) == Some(&hash.to_string());
            if same && matches!(container.state, ContainerState::Running | ContainerState::Exited) {
                kept = Some(container);
                continue;
            }
            if container.state == ContainerState::Running {
                self.world.local().containers.stop_container(&container.id, MARIADB_GRACE_S).await?;
            }
            absent_is_done(self.world.local().containers.remove_container(&container.id).await)?;
            info!(container = spec.name, "removed, to be made anew");
        }
        if let Some(container) = kept {
            if container.state == ContainerState::Running {
                return Ok(());
            }
            match self.world.local().containers.start_container(&container.id).await {
                // Its network is gone, and a new one of the same name doesn't help.
                Err(EffectError::NotFound(what)) => {
                    info!(container = spec.name, missing = what, "can't be started, and is made anew");
                    absent_is_done(self.world.local().containers.remove_container(&container.id).await)?;
                }
                Err(error) => return Err(with_setting(error, &server.ports)),
                Ok(()) => {
                    info!(container = spec.name, "started");
                    return Ok(());
                }
            }
        }
        let id = self.world.local().containers.create_container(spec, &self.labels(&hash)).await?;
        if !server.files.is_empty() {
            self.world.local().containers.upload(&id, "/", &server.files).await?;
        }
        let started = self.world.local().containers.start_container(&id).await;
        started.map_err(|error| with_setting(error, &server.ports))?;
        info!(container = spec.name, "made and started");
        Ok(())
    }
}

/// Names the setting of a taken port: the Engine's message has the address and the port.
fn with_setting(error: EffectError, ports: &[(&'static str, u16)]) -> EffectError {
    let EffectError::Rejected(Rejection::PortTaken(message)) = error else { return error };
    let numbers: Vec<u16> = message
        .split(':')
        .filter_map(|after| after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .collect();
    let taken: Vec<&str> =
        ports.iter().filter(|(_, port)| numbers.contains(port)).map(|(setting, _)| *setting).collect();
    let all = || ports.iter().map(|(setting, _)| *setting).collect();
    let settings = if taken.is_empty() { all() } else { taken }.join(" or ");
    Rejection::PortTaken(format!("{message}; end what has it, or set {settings} to a free one")).into()
}

fn hash_of_file(file: &hostplane_infra::containers::ArchiveEntry) -> (String, u32, u32, Option<Vec<u8>>) {
    (file.path.clone(), file.mode, file.uid, file.contents.as_ref().map(|contents| contents.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_words_name_the_port() {
        let ports = [("HTTP_PORT", 80), ("HTTPS_PORT", 8443)];
        let endpoint = "driver failed programming external connectivity on endpoint caddy (1f80a8443c)";
        for (message, expected) in [
            (format!("{endpoint}: Bind for 0.0.0.0:8443 failed: port is already allocated"), "set HTTPS_PORT to"),
            (
                format!(
                    "{endpoint}: Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use"
                ),
                "set HTTP_PORT to",
            ),
            (
                "failed to bind host port 0.0.0.0:80/tcp: address already in use: bind: address already in use"
                    .to_owned(),
                "set HTTP_PORT to",
            ),
            ("bind: address already in use".to_owned(), "set HTTP_PORT or HTTPS_PORT to"),
        ] {
            let error = with_setting(Rejection::PortTaken(message).into(), &ports).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
