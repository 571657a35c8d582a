//! `hostplane site update`.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::order::Order;
use super::wait::require_completed;
use crate::api::wire::{ContainerLimits, Limits, UpdateSite};
use crate::config::layers::Layers;

/// Change what a site may use; what isn't named stays as it is
#[derive(Debug, Args)]
pub(super) struct Update {
    /// Its name
    name: SiteName,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    order: Order,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct LimitArgs {
    /// PHP-FPM worker processes
    #[arg(long, value_name = "N")]
    php_workers: Option<u16>,
    /// Memory of the PHP container, in MiB
    #[arg(long, value_name = "MIB")]
    php_memory: Option<u32>,
    /// CPU of the PHP container, in thousandths of a core; 0 is no limit
    #[arg(long, value_name = "MILLI")]
    php_cpu: Option<u32>,
    /// Processes and threads of the PHP container
    #[arg(long, value_name = "N")]
    php_pids: Option<u32>,
    /// Memory of the nginx container, in MiB
    #[arg(long, value_name = "MIB")]
    nginx_memory: Option<u32>,
    /// CPU of the nginx container, in thousandths of a core; 0 is no limit
    #[arg(long, value_name = "MILLI")]
    nginx_cpu: Option<u32>,
    /// Connections of the database user
    #[arg(long, value_name = "N")]
    database_connections: Option<u16>,
    /// Largest uploaded file, in MiB
    #[arg(long, value_name = "MIB")]
    upload: Option<u16>,
}

impl Update {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let asked = self.limits;
        let limits = Limits {
            php: ContainerLimits {
                memory_mib: asked.php_memory,
                cpu_milli: asked.php_cpu,
                pids: asked.php_pids,
                log_mib: None,
            },
            nginx: ContainerLimits {
                memory_mib: asked.nginx_memory,
                cpu_milli: asked.nginx_cpu,
                ..ContainerLimits::default()
            },
            php_workers: asked.php_workers,
            database_connections: asked.database_connections,
            upload_mib: asked.upload,
        };
        let path = format!("/api/v1/sites/{}", self.name);
        self.order.patch(layers, &path, &UpdateSite { limits }, require_completed).await
    }
}
