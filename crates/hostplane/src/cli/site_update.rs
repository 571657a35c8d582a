//! `hostplane site update`.

use clap::Args;
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::job_request::JobRequest;
use super::wait::require_completed;
use crate::api::wire::{ContainerLimits, Limits, Php, UpdateSite};
use crate::config::layers::Layers;

/// Change limits and PHP settings of a site; all others stay
#[derive(Debug, Args)]
pub(super) struct Update {
    /// Name of the site
    name: SiteName,
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    request: JobRequest,
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
    /// memory_limit of PHP, in MiB, for one request
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
    /// Take the editor for the code of plugins and themes out of wp-admin
    #[arg(long, value_name = "BOOL")]
    disallow_file_edit: Option<bool>,
}

impl Update {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let settings = self.settings;
        let limits = Limits {
            php: ContainerLimits {
                memory_mib: settings.php_memory,
                cpu_milli: settings.php_cpu,
                pids: settings.php_pids,
                log_mib: None,
            },
            nginx: ContainerLimits {
                memory_mib: settings.nginx_memory,
                cpu_milli: settings.nginx_cpu,
                ..ContainerLimits::default()
            },
            php_workers: settings.php_workers,
            database_connections: settings.database_connections,
            upload_mib: settings.upload,
        };
        let php = Php {
            memory_mib: settings.memory_limit,
            max_execution_seconds: settings.max_execution_time,
            max_input_vars: settings.max_input_vars,
            opcache_mib: settings.opcache,
            disallow_file_edit: settings.disallow_file_edit,
        };
        let path = format!("/api/v1/sites/{}", self.name);
        self.request.patch(layers, &path, &UpdateSite { limits, php }, require_completed).await
    }
}
