//! Runs a program in a site's PHP container.

use bytes::Bytes;
use hostplane_domain::name::SiteName;
use hostplane_domain::program::Program;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::containers::{ContainerState, EXEC_OUTPUT_LIMIT, Exec};
use tokio::time::Instant;
use tracing::info;

use super::site_container::{SiteContainer, unanswered};
use super::{App, AppError, AppResult};

/// Exit and output of a program. The output is hostile until parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramOutput {
    /// The exit code.
    pub code: i64,
    /// True if the program was ended at its deadline.
    pub is_overdue: bool,
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
    /// True if the program printed more than is kept.
    pub is_cut: bool,
}

impl App {
    /// Runs a program in a site's PHP container, as the site's own user, and waits for its end.
    ///
    /// # Errors
    /// [`AppError::NoSite`]; [`AppError::WrongStatus`] unless the site is ACTIVE; [`AppError::NotRunning`];
    /// [`AppError::Unanswered`] when the Engine fails: the program may have run.
    pub async fn run_in_site(&self, name: &SiteName, program: &Program, stdin: Bytes) -> AppResult<ProgramOutput> {
        let record = self.record(name).await?;
        if record.status != SiteStatus::Active {
            let hint = "a program runs only in a site that is ACTIVE";
            return Err(AppError::WrongStatus { name: name.clone(), status: record.status, hint });
        }
        let container = self.own_container(&record, SiteContainer::Php).await?;
        let Some(php) = container.filter(|found| found.state == ContainerState::Running) else {
            return Err(AppError::NotRunning(name.clone()));
        };
        let exec = Exec { argv: program.argv_with_timeout(), user: None, stdin };
        let began = Instant::now();
        let output = self.host_of(&record)?.containers.exec(&php.id, &exec).await.map_err(unanswered(name))?;
        // The arguments may be secret, so they are not logged.
        info!(site = %name, code = output.code, "ran a program in the site's PHP container");
        Ok(ProgramOutput {
            code: output.code,
            is_overdue: program.is_overdue(output.code, began.elapsed()),
            is_cut: output.stdout.len() >= EXEC_OUTPUT_LIMIT || output.stderr.len() >= EXEC_OUTPUT_LIMIT,
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }
}
