//! Sites, their limits and settings, and the requests that create and change them.

use hostplane_domain::desired::{self, SiteLimits};
use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::status::SiteStatus;
use hostplane_domain::wordpress::PhpSettings;
use hostplane_engine::app::{Credentials as AppCredentials, MeasuredUsage, ResourceView, SiteDetail, SiteView};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::drift::{Drift, drifts_of};
use super::time::time;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Site {
    pub id: SiteId,
    pub name: String,
    pub kind: String,
    pub status: SiteStatus,
    pub url: String,
    pub domains: Vec<String>,
    pub created_at: String,
    pub updated_at: String,
    pub active_job: Option<JobId>,
    /// Visitors get a maintenance page.
    pub suspended: bool,
    /// Its disk space is used up: it takes no uploads and no new posts.
    #[serde(default)]
    pub restricted: bool,
    /// Its disk usage; `null` until it was measured.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// Its images or its mail server differ from those of new sites.
    pub upgrade_pending: bool,
    /// `null` while nothing of the site exists.
    pub limits: Option<Limits>,
    /// `null` while nothing of the site exists.
    pub php: Option<Php>,
    /// Left out in lists, which observe nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<Resource>>,
    /// Drift, as last scanned; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Vec<Drift>>,
}

/// Disk usage of a site, in bytes. What could not be measured is `null`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub files_bytes: Option<u64>,
    pub inodes: Option<u64>,
    pub database_bytes: Option<u64>,
    pub measured_at: String,
}

/// Limits of a site. In a request to change them, limits left out stay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub php: ContainerLimits,
    pub nginx: ContainerLimits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub php_workers: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_connections: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_mib: Option<u16>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ContainerLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_milli: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_mib: Option<u16>,
}

/// PHP settings of a site. In a request to change them, settings left out stay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Php {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_execution_seconds: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_input_vars: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opcache_mib: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disallow_file_edit: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Resource {
    #[serde(rename = "resource")]
    pub kind: ResourceKind,
    pub name: String,
    pub state: String,
    pub detail: Option<String>,
}

/// Request to create a site.
#[derive(Debug, Serialize)]
pub(crate) struct CreateSite {
    pub name: String,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_email: Option<String>,
}

/// Request to change a site.
#[derive(Debug, Serialize)]
pub(crate) struct UpdateSite {
    pub limits: Limits,
    pub php: Php,
}

/// WordPress's first administrator. It has no `Debug`, so that no log prints the password.
#[derive(Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub url: String,
    pub user: String,
    pub password: String,
}

impl From<SiteView> for Site {
    fn from(view: SiteView) -> Self {
        Self {
            id: view.record.site.id,
            name: view.record.site.name.to_string(),
            kind: view.record.details.kind().to_string(),
            status: view.record.status,
            url: view.url.to_string(),
            domains: Vec::new(),
            created_at: time(view.record.created_at),
            updated_at: time(view.record.updated_at),
            active_job: view.active_job,
            suspended: view.record.spec.as_ref().is_some_and(|spec| spec.suspended),
            restricted: view.record.spec.as_ref().is_some_and(|spec| spec.restricted),
            usage: view.usage.map(Usage::from),
            upgrade_pending: view.upgrade_pending,
            php: view.record.spec.as_ref().and_then(|spec| Some(spec.kind.wordpress()?.php.into())),
            limits: view.record.spec.map(|spec| spec.limits.into()),
            resources: None,
            drift: None,
        }
    }
}

impl From<MeasuredUsage> for Usage {
    fn from(measured: MeasuredUsage) -> Self {
        let files = measured.usage.files;
        Self {
            files_bytes: files.map(|files| files.bytes),
            inodes: files.map(|files| files.inodes),
            database_bytes: measured.usage.database,
            measured_at: time(measured.at),
        }
    }
}

impl From<SiteDetail> for Site {
    fn from(detail: SiteDetail) -> Self {
        let resources = detail.resources.into_iter().map(Resource::from).collect();
        let drift = detail.drift.iter().flat_map(drifts_of).collect();
        Self { resources: Some(resources), drift: Some(drift), ..Self::from(detail.view) }
    }
}

impl From<ResourceView> for Resource {
    fn from(view: ResourceView) -> Self {
        Self { kind: view.kind, name: view.name, state: view.state.as_str().to_owned(), detail: view.detail }
    }
}

impl From<SiteLimits> for Limits {
    fn from(limits: SiteLimits) -> Self {
        Self {
            php: limits.php.into(),
            nginx: limits.nginx.into(),
            php_workers: Some(limits.php_workers),
            database_connections: Some(limits.database_connections),
            upload_mib: Some(limits.upload_mib),
        }
    }
}

impl From<desired::ContainerLimits> for ContainerLimits {
    fn from(limits: desired::ContainerLimits) -> Self {
        Self {
            memory_mib: Some(limits.memory_mib),
            cpu_milli: Some(limits.cpu_milli),
            pids: Some(limits.pids),
            log_mib: Some(limits.log_mib),
        }
    }
}

impl From<PhpSettings> for Php {
    fn from(php: PhpSettings) -> Self {
        Self {
            memory_mib: Some(php.memory_mib),
            max_execution_seconds: Some(php.max_execution_seconds),
            max_input_vars: Some(php.max_input_vars),
            opcache_mib: Some(php.opcache_mib),
            disallow_file_edit: Some(php.disallow_file_edit),
        }
    }
}

impl From<AppCredentials> for Credentials {
    fn from(credentials: AppCredentials) -> Self {
        Self {
            url: credentials.url.to_string(),
            user: credentials.user,
            password: credentials.password.expose_secret().to_owned(),
        }
    }
}
