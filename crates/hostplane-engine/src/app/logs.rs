//! Logs of a site's containers.

use hostplane_domain::name::SiteName;
use hostplane_infra::containers::{LogLine, LogQuery};
use hostplane_infra::error::EffectError;

use super::site_container::{SiteContainer, unanswered};
use super::{App, AppResult};

impl App {
    /// The newest lines that a site's containers have printed, oldest first. A container that is not there has
    /// printed nothing.
    ///
    /// # Errors
    /// [`AppError::NoSite`]; [`AppError::Unanswered`] when the Engine fails.
    pub async fn site_log(
        &self,
        name: &SiteName,
        containers: &[SiteContainer],
        query: LogQuery,
    ) -> AppResult<Vec<(SiteContainer, LogLine)>> {
        let record = self.record(name).await?;
        let mut lines = Vec::new();
        for &container in containers {
            if let Some(found) = self.own_container(&record, container).await? {
                let printed = self.host_of(&record)?.containers.log(&found.id, query).await;
                // A container that was replaced a moment ago is no failure.
                match printed {
                    Err(EffectError::NotFound(_)) => {}
                    other => lines.extend(other.map_err(unanswered(name))?.into_iter().map(|line| (container, line))),
                }
            }
        }
        lines.sort_by_key(|(_, line)| line.at);
        let too_many = lines.len().saturating_sub(usize::try_from(query.newest).unwrap_or(usize::MAX));
        lines.drain(..too_many);
        Ok(lines)
    }
}
