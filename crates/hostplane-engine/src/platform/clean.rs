//! Removes every trace of an installation from the world.

use hostplane_infra::databases::{TenantKey, Tenants};
use hostplane_infra::error::{Effect, absent_is_done};
use tracing::info;

use super::Platform;

impl Platform {
    /// Removes all that carries this installation's mark: containers, networks, volumes, and, where
    /// MariaDB or Caddy are not its own, its tenants and snippets there.
    ///
    /// # Errors
    /// When something could not be removed; calling again goes on.
    pub async fn clean(&self) -> Effect<()> {
        let containers = self.own_containers().await?;
        let own = |name: &str| containers.iter().any(|container| container.name == name);
        if !own(&self.settings.mariadb_container) {
            self.clean_databases().await?;
        }
        if !own(&self.settings.caddy_container) {
            self.clean_routes().await?;
        }
        for container in &containers {
            info!(container = container.name, "removing");
            absent_is_done(self.world.containers.remove_container(&container.id).await)?;
        }
        for network in self.world.containers.networks(&self.own()).await? {
            info!(network = network.name, "removing");
            absent_is_done(self.world.containers.remove_network(&network.id).await)?;
        }
        for volume in self.world.containers.volumes(&self.own()).await? {
            info!(volume = volume.name, "removing");
            absent_is_done(self.world.containers.remove_volume(&volume.name).await)?;
        }
        Ok(())
    }

    async fn clean_databases(&self) -> Effect<()> {
        // A server that was never made, or is gone with its volumes, has nothing of ours.
        if self.world.databases.ping().await.is_err() {
            return Ok(());
        }
        for tenant in self.world.databases.tenants(&Tenants::All).await? {
            let Some(mark) = tenant.ledger.filter(|mark| mark.instance == self.instance) else { continue };
            info!(database = tenant.name, "removing");
            self.world.databases.remove_tenant(&TenantKey { instance: self.instance, site: mark.site }).await?;
        }
        Ok(())
    }

    async fn clean_routes(&self) -> Effect<()> {
        if self.world.proxy.ping().await.is_err() {
            return Ok(());
        }
        for snippet in self.world.proxy.routes().await?.snippets {
            let Some(mark) = snippet.mark.filter(|mark| mark.instance == self.instance) else { continue };
            info!(snippet = snippet.file, "removing");
            self.world.proxy.remove_route(self.instance, &mark.site).await?;
        }
        Ok(())
    }
}
