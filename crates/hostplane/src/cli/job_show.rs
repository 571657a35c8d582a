//! `hostplane job show`.

use clap::Args;
use hostplane_domain::ids::JobId;

use super::failure::Failure;
use super::output::{OutputFormat, facts, or_dash, seconds, table};
use super::target::Target;
use crate::api::wire::{Job, Step};
use crate::config::layers::Layers;

/// Show a job with its steps
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Id of the job
    id: JobId,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let job: Job = client.get(&format!("/api/v1/jobs/{}", self.id)).await?;
        self.format.print(&job, text)
    }
}

/// A job with its journal.
pub(super) fn text(job: &Job) -> String {
    let error = job.error.as_ref().map(|error| match error.step {
        Some(step) => format!("{step}: {}", error.message),
        None => error.message.clone(),
    });
    let why: Vec<String> =
        job.why.iter().map(|why| format!("{} {}: {}", why.resource, why.reason, why.detail)).collect();
    let why = (!why.is_empty()).then(|| why.join("; "));
    let about = facts([
        ("id", job.id.to_string()),
        ("site", job.site.clone()),
        ("operation", job.operation.to_string()),
        ("state", job.state.to_string()),
        ("because of", or_dash(why)),
        ("attempt", job.attempt.to_string()),
        ("waiting for", or_dash(job.waiting_for.as_ref())),
        ("error", or_dash(error)),
        ("created", job.created_at.clone()),
        ("started", or_dash(job.started_at.as_ref())),
        ("finished", or_dash(job.finished_at.as_ref())),
    ]);
    let row = |step: &Step| {
        let error = step.error.clone().unwrap_or_default();
        let resource = step.resource.to_string();
        vec![resource, step.action.clone(), step.state.to_string(), or_dash(step.elapsed_ms.map(seconds)), error]
    };
    format!("{about}\n\n{}", table(&["resource", "action", "state", "time", "error"], job.steps.iter().map(row)))
}

/// A new job, with the command that follows it.
pub(super) fn started(job: &Job) -> String {
    facts([
        ("job", job.id.to_string()),
        ("site", job.site.clone()),
        ("operation", job.operation.to_string()),
        ("state", job.state.to_string()),
        ("watch", format!("hostplane job watch {}", job.id)),
    ])
}
