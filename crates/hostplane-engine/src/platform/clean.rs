//! Removes every trace of an installation from the world.

use hostplane_domain::mark::LABEL_INSTANCE;
use hostplane_infra::containers::Scope;
use hostplane_infra::databases::{TenantKey, Tenants};
use hostplane_infra::error::{Effect, absent_is_done};
use tracing::info;

use super::Platform;

impl Platform {
    /// Removes all objects with this installation's mark: containers, networks, volumes, and its tenants and snippets
    /// in a MariaDB or Caddy that are not its own.
    ///
    /// # Errors
    /// When a removal fails; a second call continues.
    pub async fn clean(&self) -> Effect<()> {
        let containers = self.own_containers().await?;
        // Tenants and snippets in the platform's own servers go with those.
        if self.settings.mariadb_elsewhere {
            self.clean_databases().await?;
        }
        if self.is_caddy_foreign().await? {
            self.clean_routes().await?;
        }
        self.remove_rules(&containers).await?;
        for container in &containers {
            info!(container = container.name, "removing");
            absent_is_done(self.world.local().containers.remove_container(&container.id).await)?;
        }
        for network in self.world.local().containers.networks(&self.own()).await? {
            info!(network = network.name, "removing");
            absent_is_done(self.world.local().containers.remove_network(&network.id).await)?;
        }
        for volume in self.world.local().containers.volumes(&self.own()).await? {
            info!(volume = volume.name, "removing");
            absent_is_done(self.world.local().containers.remove_volume(&volume.name).await)?;
        }
        Ok(())
    }

    async fn is_caddy_foreign(&self) -> Effect<bool> {
        let name = Scope::Names(vec![self.settings.caddy_container.clone()]);
        let instance = self.instance.to_string();
        let found = self.world.local().containers.containers(&name).await?;
        Ok(found.iter().any(|container| container.labels.get(LABEL_INSTANCE) != Some(&instance)))
    }

    async fn clean_databases(&self) -> Effect<()> {
        for tenant in self.world.databases.tenants(&Tenants::All).await? {
            let Some(mark) = tenant.ledger.filter(|mark| mark.instance == self.instance) else { continue };
            info!(database = tenant.name, "removing");
            self.world.databases.remove_tenant(&TenantKey { instance: self.instance, site: mark.site }).await?;
        }
        Ok(())
    }

    async fn clean_routes(&self) -> Effect<()> {
        for snippet in self.world.local().proxy.routes().await?.snippets {
            let Some(mark) = snippet.mark.filter(|mark| mark.instance == self.instance) else { continue };
            info!(snippet = snippet.file, "removing");
            self.world.local().proxy.remove_route(self.instance, &mark.site).await?;
        }
        Ok(())
    }
}
