//! `/healthz` and `/readyz`, the two addresses that need no token.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::state::Api;

/// Answers whenever the process lives.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

#[derive(Debug, Serialize)]
pub(super) struct Ready {
    ready: bool,
    checks: BTreeMap<&'static str, &'static str>,
}

/// Answers 200 when every dependency of jobs answers, else 503 with the failed checks. It needs no token, so it names no path, address or object.
pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, Json<Ready>) {
    let found = api.readiness.readiness(&api.app).await;
    let ready = found.is_ready() && api.platform.error().is_none();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut checks: BTreeMap<_, _> =
        found.checks.into_iter().map(|(name, failure)| (name, failure.unwrap_or("ok"))).collect();
    if api.platform.error().is_some() {
        checks.insert("platform", "not made yet");
    }
    (status, Json(Ready { ready, checks }))
}
