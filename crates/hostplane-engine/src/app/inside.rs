//! What is asked of a site's own containers: what they have printed, and to run a program.

use bytes::Bytes;
use hostplane_domain::kind::Kind;
use hostplane_domain::name::SiteName;
use hostplane_domain::program::Program;
use hostplane_domain::status::SiteStatus;
use hostplane_infra::containers::{ContainerFacts, ContainerState, EXEC_OUTPUT_LIMIT, Exec, LogAsk, LogLine};
use hostplane_infra::error::EffectError;
use tokio::time::Instant;
use tracing::info;

use super::{App, AppError, Asked};
use crate::own;
use crate::store::SiteRecord;

/// One of a site's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteContainer {
    /// PHP-FPM, with what WordPress reports.
    Php,
    /// nginx, with a line for each request.
    Nginx,
}

impl SiteContainer {
    /// Each of them.
    pub const ALL: &[Self] = &[Self::Php, Self::Nginx];

    /// The stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Php => "php",
            Self::Nginx => "nginx",
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Php => Kind::PhpContainer,
            Self::Nginx => Kind::NginxContainer,
        }
    }
}

impl std::str::FromStr for SiteContainer {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|container| container.as_str() == text).ok_or(())
    }
}

/// How a program ended, and what it printed. Hostile until parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub code: i64,
    /// It was ended because its time was up.
    pub is_overdue: bool,
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
    /// It printed more than is kept.
    pub is_cut: bool,
}

impl App {
    /// The newest lines that a site's containers have printed, oldest first. A container that is not there has
    /// printed nothing.
    ///
    /// # Errors
    /// [`AppError::NoSite`]; [`AppError::Unanswered`] when the Engine doesn't say.
    pub async fn site_log(
        &self,
        name: &SiteName,
        containers: &[SiteContainer],
        ask: LogAsk,
    ) -> Asked<Vec<(SiteContainer, LogLine)>> {
        let record = self.record(name).await?;
        let mut lines = Vec::new();
        for &container in containers {
            if let Some(found) = self.own_container(&record, container).await? {
                let printed = self.world.containers.log(&found.id, ask).await;
                // One that was replaced a moment ago is no failure.
                match printed {
                    Err(EffectError::NotFound(_)) => {}
                    other => lines.extend(other.map_err(unanswered(name))?.into_iter().map(|line| (container, line))),
                }
            }
        }
        lines.sort_by_key(|(_, line)| line.at);
        let too_many = lines.len().saturating_sub(usize::try_from(ask.newest).unwrap_or(usize::MAX));
        lines.drain(..too_many);
        Ok(lines)
    }

    /// Runs a program in a site's PHP container, as the site's own user, and waits for its end.
    ///
    /// # Errors
    /// [`AppError::NoSite`]; [`AppError::WrongStatus`] unless the site is ACTIVE; [`AppError::NotRunning`];
    /// [`AppError::Unanswered`] when the Engine doesn't say: then the program may have run.
    pub async fn run_in_site(&self, name: &SiteName, program: &Program, stdin: Bytes) -> Asked<Ran> {
        let record = self.record(name).await?;
        if record.status != SiteStatus::Active {
            let hint = "a program runs only in a site that is ACTIVE";
            return Err(AppError::WrongStatus { name: name.clone(), status: record.status, hint });
        }
        let container = self.own_container(&record, SiteContainer::Php).await?;
        let Some(php) = container.filter(|found| found.state == ContainerState::Running) else {
            return Err(AppError::NotRunning(name.clone()));
        };
        let exec = Exec { argv: program.watched(), user: None, stdin };
        let began = Instant::now();
        let output = self.world.containers.exec(&php.id, &exec).await.map_err(unanswered(name))?;
        // What was run may be secret; that something was run isn't.
        info!(site = %name, code = output.code, "ran a program in the site's PHP container");
        Ok(Ran {
            code: output.code,
            is_overdue: program.is_overdue(output.code, began.elapsed()),
            is_cut: output.stdout.len() >= EXEC_OUTPUT_LIMIT || output.stderr.len() >= EXEC_OUTPUT_LIMIT,
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }

    async fn own_container(&self, record: &SiteRecord, which: SiteContainer) -> Asked<Option<ContainerFacts>> {
        let found = own::container(&self.world, self.instance, &record.site, which.kind()).await;
        found.map_err(unanswered(&record.site.name))
    }
}

fn unanswered(name: &SiteName) -> impl Fn(EffectError) -> AppError + '_ {
    |error| AppError::Unanswered { name: name.clone(), error }
}
