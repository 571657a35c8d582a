//! `/secret`: how far the newest generation of the installation's secret has come, and a new one. Its value is never
//! part of an answer.

use axum::Json;
use axum::extract::State;

use super::Api;
use super::extract::Params;
use super::problem::{Answer, Problem, Reason};
use super::wire::Secret;

pub(super) async fn show(State(api): State<Api>, params: Params) -> Answer<Json<Secret>> {
    params.only(&[])?;
    Ok(Json(api.app.secret().await?.into()))
}

pub(super) async fn rotate(State(api): State<Api>, params: Params) -> Answer<Json<Secret>> {
    params.only(&["confirm"])?;
    if params.get("confirm") != Some("rotate") {
        let detail = "this gives every site a new database password and new keys, so everybody who is logged in \
                      anywhere has to log in again; to confirm it, send POST /api/v1/secret/rotate?confirm=rotate";
        return Err(Problem::new(Reason::ConfirmationRequired, detail));
    }
    Ok(Json(api.app.rotate_secret().await?.into()))
}
