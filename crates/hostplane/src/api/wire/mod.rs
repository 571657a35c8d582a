//! The JSON of the API. The command line reads and prints the same types.

mod findings;

use findings::drifts_of;
pub(crate) use findings::{Drift, Drifts, Examined, Finding, JobFinding, Orphan, Orphans, Reconciled};
use hostplane_domain::desired::SiteLimits;
use hostplane_domain::ids::{JobId, SiteId, TokenId};
use hostplane_domain::job::{JobState, OperationName, StepState};
use hostplane_domain::resource_kind::ResourceKind;
use hostplane_domain::status::SiteStatus;
use hostplane_domain::token::TokenScope;
use hostplane_domain::wordpress::PhpSettings;
use hostplane_engine::app::{
    Credentials as AppCredentials, JobView, ProgramOutput, ResourceView, SecretView, SiteContainer, SiteDetail,
    SiteView,
};
use hostplane_engine::store::TokenRecord;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::containers::{LogLine, LogStream};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

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
    /// It has other images, or another mail server, than new sites are made with.
    pub upgrade_pending: bool,
    /// What it may use; `null` while there is no such site outside.
    pub limits: Option<Limits>,
    /// How its PHP runs; `null` while there is no such site outside.
    pub php: Option<Php>,
    /// Left out in lists: what is not looked at is not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<Resource>>,
    /// What is not as it should be, as the reconciler last saw it; left out in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Vec<Drift>>,
}

/// What a site may use, or what is to change of that: then what is left out stays.
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

/// How a site's PHP runs, or what is to change of that.
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

/// What is sent to change a site.
#[derive(Debug, Serialize)]
pub(crate) struct UpdateSite {
    pub limits: Limits,
    pub php: Php,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Resource {
    #[serde(rename = "resource")]
    pub kind: ResourceKind,
    pub name: String,
    pub state: String,
    pub detail: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub id: JobId,
    pub site: String,
    pub operation: OperationName,
    pub state: JobState,
    pub attempt: u32,
    pub waiting_for: Option<String>,
    /// What it is about, where it is nobody's order.
    #[serde(default)]
    pub why: Vec<JobFinding>,
    pub steps: Vec<Step>,
    pub error: Option<Failure>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    pub resource: ResourceKind,
    pub action: String,
    pub state: StepState,
    /// `null` while it runs.
    pub elapsed_ms: Option<u64>,
    pub error: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The resource whose step failed.
    pub step: Option<ResourceKind>,
    pub message: String,
}

/// A token, without what would let somebody use it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub id: TokenId,
    pub name: String,
    pub scope: TokenScope,
    /// The one in the control plane's home.
    pub of_home: bool,
    pub created_at: String,
    pub expires_at: Option<String>,
}

/// A token that was just made. It has no `Debug`, as the token is in it, for this once.
#[derive(Serialize, Deserialize)]
pub(crate) struct MadeToken {
    pub id: TokenId,
    pub name: String,
    pub token: String,
    pub scope: TokenScope,
    pub expires_at: Option<String>,
}

/// What is sent to make a token.
#[derive(Debug, Serialize)]
pub(crate) struct CreateToken {
    pub name: String,
    pub scope: TokenScope,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// A way into a site; it can't be printed by mistake, as it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub url: String,
    pub user: String,
    pub password: String,
}

/// How far the newest generation of the installation's secret has come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Secret {
    /// Its number; 1 is the first.
    pub generation: u32,
    /// Sites in service whose passwords still come from an older one.
    pub sites_behind: usize,
}

/// What a site's containers have printed, oldest first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    pub lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    /// To the nanosecond: it tells lines apart.
    pub time: String,
    pub container: String,
    pub stream: String,
    /// What is not UTF-8 is replaced.
    pub text: String,
}

/// What is sent to run a program.
#[derive(Debug, Serialize)]
pub(crate) struct RunProgram {
    pub argv: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u64>,
}

/// How a program ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProgramEnd {
    pub exit_code: i64,
    /// It was ended because its time was up.
    pub timed_out: bool,
    /// What is not UTF-8 is replaced, here and in `stderr`.
    pub stdout: String,
    pub stderr: String,
    /// It printed more than this.
    pub truncated: bool,
}

/// What is sent to create a site.
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

fn time(at: Timestamp) -> String {
    at.to_string()
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
            upgrade_pending: view.upgrade_pending,
            php: view.record.spec.as_ref().and_then(|spec| Some(spec.kind.wordpress()?.php.into())),
            limits: view.record.spec.map(|spec| spec.limits.into()),
            resources: None,
            drift: None,
        }
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

impl From<hostplane_domain::desired::ContainerLimits> for ContainerLimits {
    fn from(limits: hostplane_domain::desired::ContainerLimits) -> Self {
        Self {
            memory_mib: Some(limits.memory_mib),
            cpu_milli: Some(limits.cpu_milli),
            pids: Some(limits.pids),
            log_mib: Some(limits.log_mib),
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

impl From<JobView> for Job {
    fn from(view: JobView) -> Self {
        let steps = view.steps.into_iter().map(|step| Step {
            resource: step.resource,
            elapsed_ms: step
                .finished_at
                .map(|end| u64::try_from(end.since(step.started_at).as_millis()).unwrap_or(u64::MAX)),
            action: step.action,
            state: step.state,
            error: step.error,
        });
        Self {
            id: view.record.id,
            site: view.site.to_string(),
            operation: view.record.operation,
            state: view.record.state,
            attempt: view.record.attempt,
            waiting_for: view.record.waiting_for,
            why: view.record.why.into_iter().map(JobFinding::from).collect(),
            steps: steps.collect(),
            error: view.record.error.map(|error| Failure { step: error.step, message: error.message }),
            created_at: time(view.record.created_at),
            started_at: view.record.started_at.map(time),
            finished_at: view.record.finished_at.map(time),
        }
    }
}

impl From<Vec<(SiteContainer, LogLine)>> for Log {
    fn from(lines: Vec<(SiteContainer, LogLine)>) -> Self {
        let line = |(container, line): (SiteContainer, LogLine)| Line {
            // All nine digits, so that the texts sort as the times do.
            time: format!("{:.9}", line.at),
            container: container.as_str().to_owned(),
            stream: match line.stream {
                LogStream::Stdout => "stdout",
                LogStream::Stderr => "stderr",
            }
            .to_owned(),
            text: String::from_utf8_lossy(&line.text).into_owned(),
        };
        Self { lines: lines.into_iter().map(line).collect() }
    }
}

impl From<SecretView> for Secret {
    fn from(secret: SecretView) -> Self {
        Self { generation: secret.generation, sites_behind: secret.sites_behind }
    }
}

impl From<ProgramOutput> for ProgramEnd {
    fn from(ran: ProgramOutput) -> Self {
        Self {
            exit_code: ran.code,
            timed_out: ran.is_overdue,
            stdout: String::from_utf8_lossy(&ran.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&ran.stderr).into_owned(),
            truncated: ran.is_cut,
        }
    }
}

impl From<TokenRecord> for Token {
    fn from(record: TokenRecord) -> Self {
        Self {
            id: record.id,
            name: record.name.to_string(),
            scope: record.scope,
            of_home: record.of_home,
            created_at: time(record.created_at),
            expires_at: record.expires_at.map(time),
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
