//! `hostplane job list`.

use clap::Args;
use hostplane_domain::job::{JobState, OperationName};
use hostplane_domain::name::SiteName;

use super::failure::Failure;
use super::output::OutputFormat;
use super::progress::in_words;
use super::target::Target;
use crate::api::wire::{Job, Page};
use crate::config::layers::Layers;

/// List jobs, the newest first
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of this site
    #[arg(long)]
    site: Option<SiteName>,
    /// Only those in this state: pending, running, completed, failed, cancelled or needs_operator
    #[arg(long)]
    state: Option<JobState>,
    /// Only those of this operation, such as provision or destroy
    #[arg(long)]
    operation: Option<OperationName>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    format: OutputFormat,
    #[command(flatten)]
    target: Target,
}

impl List {
    pub async fn run(self, layers: &Layers) -> Result<(), Failure> {
        let client = self.target.client(layers)?;
        let site = self.site.map(|site| format!("site={site}"));
        let state = self.state.map(|state| format!("state={state}"));
        let operation = self.operation.map(|operation| format!("operation={operation}"));
        let query: Vec<String> = site.into_iter().chain(state).chain(operation).collect();
        let page: Page<Job> = client.list(&format!("/api/v1/jobs?{}", query.join("&")), self.limit).await?;
        let row = |job: &Job| {
            let about = match (&job.waiting_for, &job.error) {
                (Some(dependency), _) => format!("waits for {}", in_words(dependency)),
                (None, Some(error)) => error.message.clone(),
                (None, None) => String::new(),
            };
            let state = job.state.to_string();
            vec![job.id.to_string(), job.site.clone(), job.operation.to_string(), state, job.created_at.clone(), about]
        };
        self.format.print_page(&page, &["id", "site", "operation", "state", "created", "about"], row)
    }
}
