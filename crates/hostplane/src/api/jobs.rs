//! `/jobs`.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use hostplane_domain::ids::JobId;
use hostplane_domain::job::OperationName;
use hostplane_domain::name::SiteName;
use hostplane_engine::store::JobFilter;

use super::extract::{InPath, Params};
use super::page::{limit, page};
use super::problem::{ApiResult, Problem};
use super::sites::accepted;
use super::state::Api;
use super::wire::{Job, Page};

pub(super) async fn list(State(api): State<Api>, params: Params) -> ApiResult<Json<Page<Job>>> {
    params.only(&["site", "state", "operation", "cursor", "limit"])?;
    let site = params.get("site").map(SiteName::parse).transpose();
    let site = site.map_err(|error| Problem::parameter("site", error.to_string()))?;
    let expected = "one of pending, running, completed, failed, cancelled, needs_operator";
    let state = params.parsed("state", expected)?;
    let operations = OperationName::ALL.iter().map(|operation| operation.as_str()).collect::<Vec<_>>().join(", ");
    let operation = params.parsed("operation", &format!("one of {operations}"))?;
    let before = params.parsed("cursor", "the next_cursor of an earlier page")?;
    let limit = limit(&params)?;
    let filter = JobFilter { state, operation, before, limit: limit + 1 };
    let found = api.app.jobs(site.as_ref(), &filter).await?;
    Ok(Json(page(found, limit, |view| view.record.id.to_string())))
}

pub(super) async fn show(State(api): State<Api>, InPath(id): InPath<JobId>, params: Params) -> ApiResult<Json<Job>> {
    params.only(&[])?;
    Ok(Json(api.app.job(id).await?.into()))
}

pub(super) async fn retry(State(api): State<Api>, InPath(id): InPath<JobId>, params: Params) -> ApiResult<Response> {
    params.only(&[])?;
    Ok(accepted(api.app.retry_job(id).await?))
}

pub(super) async fn cancel(State(api): State<Api>, InPath(id): InPath<JobId>, params: Params) -> ApiResult<Response> {
    params.only(&[])?;
    Ok(accepted(api.app.cancel_job(id).await?))
}
