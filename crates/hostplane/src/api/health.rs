//! `/healthz` and `/readyz`, the two addresses that need no token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hostplane_engine::app::{App, Readiness};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Api;

/// The process lives: it answered.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

#[derive(Debug, Serialize)]
pub(super) struct Ready {
    ready: bool,
    checks: BTreeMap<&'static str, String>,
}

/// Everything that a job needs answers.
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

/// How long an answer is good for. Anybody may ask without a token, and asking costs calls outside.
const FRESH: Duration = Duration::from_secs(1);

/// The last answer. Those who ask at the same time share one.
#[derive(Clone, Default)]
pub(super) struct ReadinessCache(Arc<Mutex<Option<(Instant, Readiness)>>>);

impl ReadinessCache {
    async fn readiness(&self, app: &App) -> Readiness {
        let mut last = self.0.lock().await;
        match &*last {
            Some((at, readiness)) if at.elapsed() < FRESH => readiness.clone(),
            _ => {
                let readiness = app.readiness().await;
                *last = Some((Instant::now(), readiness.clone()));
                readiness
            }
        }
    }
}
