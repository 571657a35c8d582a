//! `/drift`, `/reconcile`, `/orphans`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hostplane_domain::name::SiteName;
use hostplane_engine::app::OrphanId;

use super::Api;
use super::extract::{InPath, Params};
use super::problem::{Answer, Problem, Reason};
use super::sites::accepted;
use super::wire::{Drifts, Orphan, Orphans, Reconciled};

pub(super) async fn drift(State(api): State<Api>, params: Params) -> Answer<Json<Drifts>> {
    params.only(&["site"])?;
    let site = params.get("site").map(SiteName::parse).transpose();
    let site = site.map_err(|error| Problem::parameter("site", error.to_string()))?;
    let mut report = api.app.drift();
    report.sites.retain(|found| site.as_ref().is_none_or(|site| found.site.name == *site));
    Ok(Json(report.into()))
}

pub(super) async fn reconcile(State(api): State<Api>, params: Params) -> Answer<Json<Reconciled>> {
    params.only(&["deep", "inside"])?;
    // Version 0.1 called it `inside`.
    let name = if params.get("inside").is_some() { "inside" } else { "deep" };
    let deep = params.parsed(name, "true or false")?.unwrap_or(false);
    let complete = api.app.reconcile(deep).await?;
    Ok(Json(Reconciled { complete, drifts: api.app.drift().into() }))
}

pub(super) async fn orphans(State(api): State<Api>, params: Params) -> Answer<Json<Orphans>> {
    params.only(&[])?;
    Ok(Json(Orphans { items: api.app.orphans().into_iter().map(Orphan::from).collect() }))
}

/// `202` with the job that removes it, or `204` when it is gone already.
pub(super) async fn remove_orphan(
    State(api): State<Api>,
    InPath(id): InPath<OrphanId>,
    params: Params,
) -> Answer<Response> {
    params.only(&["confirm"])?;
    let orphan = api.app.orphan(&id)?;
    if params.get("confirm") != Some(orphan.name.as_str()) {
        let (what, name, id) = (orphan.kind, &orphan.name, id.as_str());
        let detail = format!(
            "this removes the {what} {name} with all that is in it; to confirm it, send DELETE \
             /api/v1/orphans/{id}?confirm={name}"
        );
        return Err(Problem::new(Reason::ConfirmationRequired, detail));
    }
    Ok(match api.app.remove_orphan(&id).await? {
        Some(job) => accepted(job),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
