//! `hostplane site update`.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::job_command::JobCommand;
use super::wait::require_completed;
use crate::api::wire::{ContainerLimits, Limits, Php, UpdateSite};
use crate::config::layers::Layers;

/// Change what a site may use and how its PHP runs; what isn't named stays as it is
#[derive(Debug, Args)]
pub(super) struct Update {
    /// Its name
    name: SiteName,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    order: JobCommand,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct SettingArgs {
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
    /// memory_limit of PHP, in MiB: what one request may use
    #[arg(long, value_name = "MIB")]
    memory_limit: Option<u16>,
    /// max_execution_time of PHP
    #[arg(long, value_name = "SECONDS")]
    max_execution_time: Option<u16>,
    /// max_input_vars of PHP: fields of one form
    #[arg(long, value_name = "N")]
    max_input_vars: Option<u16>,
    /// Memory for compiled PHP code, in MiB
    #[arg(long, value_name = "MIB")]
    opcache: Option<u16>,
    /// Whether wp-admin has no editor for the code of plugins and themes
    #[arg(long, value_name = "BOOL")]
    disallow_file_edit: Option<bool>,
}

impl Update {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let asked = self.settings;
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
        let php = Php {
            memory_mib: asked.memory_limit,
            max_execution_seconds: asked.max_execution_time,
            max_input_vars: asked.max_input_vars,
            opcache_mib: asked.opcache,
            disallow_file_edit: asked.disallow_file_edit,
        };
        let path = format!("/api/v1/sites/{}", self.name);
        self.order.patch(layers, &path, &UpdateSite { limits, php }, require_completed).await
    }
}
