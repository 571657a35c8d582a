//! `/sites/{site}/logs`: lines that a site's containers have printed.

use axum::Json;
use axum::extract::State;
use hostplane_domain::name::SiteName;
use hostplane_engine::app::SiteContainer;
use hostplane_infra::containers::{LogQuery, LogTime};

use super::extract::{InPath, Params};
use super::problem::{ApiResult, Problem};
use super::state::Api;
use super::wire::Log;

/// Most lines of one answer.
pub(crate) const MOST_LINES: u32 = 1000;
/// Lines of one answer by default.
pub(crate) const LINES: u32 = 100;

pub(super) async fn list(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> ApiResult<Json<Log>> {
    params.only(&["container", "lines", "after"])?;
    let container = params.parsed::<SiteContainer>("container", "php or nginx; without it both are shown")?;
    let lines = params.parsed::<u32>("lines", "a number from 1 to 1000")?.unwrap_or(LINES);
    if !(1..=MOST_LINES).contains(&lines) {
        return Err(Problem::parameter("lines", format!("lines is a number from 1 to {MOST_LINES}")));
    }
    let after = params.parsed::<LogTime>("after", "the time of a line, as an earlier answer gave it")?;
    let containers = container.as_ref().map_or(SiteContainer::ALL, std::slice::from_ref);
    let found = api.app.site_log(&name, containers, LogQuery { newest: lines, after }).await?;
    Ok(Json(found.into()))
}
