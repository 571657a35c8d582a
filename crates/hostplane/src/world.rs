//! The real outside world: all adapters behind one gate.

use std::sync::Arc;

use hostplane_domain::ids::HostId;
use hostplane_engine::secrets::Secrets;
use hostplane_infra::clock::SystemClock;
use hostplane_infra::containers::{Containers, Docker, GatedContainers};
use hostplane_infra::database_path::ContainerPath;
use hostplane_infra::gate::{Gate, LiveGate};
use hostplane_infra::probe::HttpProbe;
use hostplane_infra::proxy::Caddy;
use hostplane_infra::wordpress::PhpWordpress;
use hostplane_infra::world::{Adapters, World};

use crate::config::Config;

/// Failure to build the adapters. A server that doesn't answer is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldError {
    // Its text names DOCKER_HOST or DOCKER_CERT_DIR.
    #[error(transparent)]
    Docker(Box<dyn std::error::Error + Send + Sync>),
    #[error("the HTTP client can't be set up")]
    Http(#[from] reqwest::Error),
}

/// Builds the adapters. None connects yet.
pub(crate) fn build(config: &Config, secrets: &Secrets) -> Result<World, WorldError> {
    let gate: Arc<dyn Gate> = LiveGate::new();
    let settings = config.settings();
    let docker = Docker::connect(&settings.docker_host, settings.docker_cert_dir.as_deref())
        .map_err(|error| WorldError::Docker(error.into()))?;
    let docker: Arc<dyn Containers> = Arc::new(docker);
    // Caddy and WordPress are reached through containers; those calls too have a deadline.
    let gated: Arc<dyn Containers> =
        Arc::new(GatedContainers::new(Arc::clone(&docker), HostId::LOCAL, Arc::clone(&gate)));
    let adapters = Adapters {
        containers: docker,
        databases: Arc::new(config.mariadb(secrets)),
        proxy: Arc::new(Caddy::new(Arc::clone(&gated), config.caddy())),
        database_path: Arc::new(ContainerPath::new(Arc::clone(&gated), config.database_path())),
        wordpress: Arc::new(PhpWordpress::new(gated)),
        probe: Arc::new(HttpProbe::new(config.probe_address())?),
        clock: Arc::new(SystemClock),
    };
    Ok(World::new(adapters, gate))
}
