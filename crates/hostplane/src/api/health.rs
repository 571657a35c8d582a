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
    checks: BTreeMap<&'static str, String>,
}

/// Answers 200 when every dependency of jobs answers, else 503 with the errors.
pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, Json<Ready>) {
    let found = api.readiness.readiness(&api.app).await;
    let ok = |error: Option<String>| error.unwrap_or_else(|| "ok".to_owned());
    let mut checks: BTreeMap<_, _> = found.checks.into_iter().map(|(name, error)| (name, ok(error))).collect();
    if let Some(platform) = api.platform.error() {
        checks.insert("platform", platform);
    }
    let ready = checks.values().all(|check| check == "ok");
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, checks }))
}
