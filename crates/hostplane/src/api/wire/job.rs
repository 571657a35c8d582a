//! Jobs and their steps.

use hostplane_domain::drift::Drift as DomainDrift;
use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName, StepState};
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_engine::app::JobView;
use serde::{Deserialize, Serialize};

use super::time::time;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub id: JobId,
    pub site: String,
    pub operation: OperationName,
    pub state: JobState,
    pub attempt: u32,
    pub waiting_for: Option<String>,
    /// Drifts that caused it, if the control plane ordered it.
    #[serde(default)]
    pub why: Vec<JobCause>,
    pub steps: Vec<Step>,
    pub error: Option<JobError>,
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
pub(crate) struct JobError {
    /// The resource whose step failed.
    pub step: Option<ResourceKind>,
    pub message: String,
}

/// A drift that made the control plane order a job.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobCause {
    pub resource: ResourceKind,
    pub reason: Reason,
    pub detail: String,
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
            why: view.record.why.into_iter().map(JobCause::from).collect(),
            steps: steps.collect(),
            error: view.record.error.map(|error| JobError { step: error.step, message: error.message }),
            created_at: time(view.record.created_at),
            started_at: view.record.started_at.map(time),
            finished_at: view.record.finished_at.map(time),
        }
    }
}

impl From<DomainDrift> for JobCause {
    fn from(drift: DomainDrift) -> Self {
        Self { resource: drift.kind, reason: drift.reason, detail: drift.detail }
    }
}
