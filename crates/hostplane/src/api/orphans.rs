//! `/orphans`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hostplane_engine::app::OrphanId;

use super::extract::{InPath, Params};
use super::problem::{ApiResult, Problem, ProblemKind};
use super::sites::accepted;
use super::state::Api;
use super::wire::{Orphan, Orphans};

pub(super) async fn list(State(api): State<Api>, params: Params) -> ApiResult<Json<Orphans>> {
    params.only(&[])?;
    Ok(Json(Orphans { items: api.app.orphans().into_iter().map(Orphan::from).collect() }))
}

/// Answers `202` with the job that removes the orphan, or `204` if the orphan is gone already.
pub(super) async fn remove(
    State(api): State<Api>,
    InPath(id): InPath<OrphanId>,
    params: Params,
) -> ApiResult<Response> {
    params.only(&["confirm"])?;
    let orphan = api.app.orphan(&id)?;
    if params.get("confirm") != Some(orphan.name.as_str()) {
        let (kind, name, id) = (orphan.kind, &orphan.name, id.as_str());
        let detail = format!(
            "this removes the {kind} {name} with all that is in it; to confirm it, send DELETE \
             /api/v1/orphans/{id}?confirm={name}"
        );
        return Err(Problem::new(ProblemKind::ConfirmationRequired, detail));
    }
    Ok(match api.app.remove_orphan(&id).await? {
        Some(job) => accepted(job),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
