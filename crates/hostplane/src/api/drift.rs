//! `/drift` and `/reconcile`.

use axum::Json;
use axum::extract::State;
use hostplane_domain::name::SiteName;

use super::extract::Params;
use super::problem::{ApiResult, Problem};
use super::state::Api;
use super::wire::{Drifts, ReconcileResult};

pub(super) async fn show(State(api): State<Api>, params: Params) -> ApiResult<Json<Drifts>> {
    params.only(&["site"])?;
    let site = params.get("site").map(SiteName::parse).transpose();
    let site = site.map_err(|error| Problem::parameter("site", error.to_string()))?;
    let mut report = api.app.drift();
    report.sites.retain(|found| site.as_ref().is_none_or(|site| found.site.name == *site));
    Ok(Json(report.into()))
}

pub(super) async fn reconcile(State(api): State<Api>, params: Params) -> ApiResult<Json<ReconcileResult>> {
    params.only(&["deep", "inside"])?;
    // Version 0.1 called it `inside`.
    let name = if params.get("inside").is_some() { "inside" } else { "deep" };
    let deep = params.parsed(name, "true or false")?.unwrap_or(false);
    let complete = api.app.reconcile(deep).await?;
    Ok(Json(ReconcileResult { complete, drifts: api.app.drift().into() }))
}
