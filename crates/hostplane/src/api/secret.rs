//! `/secret`: the newest generation of the installation's secret, and its rotation. No answer holds its value.

use axum::Json;
use axum::extract::State;

use super::extract::Params;
use super::problem::{ApiResult, Problem, ProblemKind};
use super::state::Api;
use super::wire::Secret;

pub(super) async fn show(State(api): State<Api>, params: Params) -> ApiResult<Json<Secret>> {
    params.only(&[])?;
    Ok(Json(api.app.secret().await?.into()))
}

pub(super) async fn rotate(State(api): State<Api>, params: Params) -> ApiResult<Json<Secret>> {
    params.only(&["confirm"])?;
    if params.get("confirm") != Some("rotate") {
        let detail = "this gives every site a new database password and new keys, so all users have to log in again; \
                      to confirm it, send POST /api/v1/secret/rotate?confirm=rotate";
        return Err(Problem::new(ProblemKind::ConfirmationRequired, detail));
    }
    Ok(Json(api.app.rotate_secret().await?.into()))
}
