//! Outermost layer of the API: a deadline, a net for panics, the body of a problem, the headers of all answers,
//! and one log line per request.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout};
use tracing::field::Empty;
use tracing::{Instrument, debug, error, info, info_span};
use uuid::Uuid;

use super::extract::check_length;
use super::problem::{Problem, ProblemKind};

/// Longest time for an answer. The slowest asks the Docker Engine, each of whose calls has a deadline.
const DEADLINE: Duration = Duration::from_mins(1);
/// Characters of a path that the log quotes.
const QUOTED: usize = 200;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// Wraps all other layers.
pub(super) async fn wrap(request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    // The field `token` is the id of a token, once it is known; never its value.
    let span = info_span!("request", request = id, token = Empty);
    respond(id, request, next).instrument(span).await
}

async fn respond(id: String, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // Never the query: a client may have put a secret into it.
    let path: String = request.uri().path().chars().take(QUOTED).collect();
    let mut response = match check_length(request.headers()) {
        Ok(()) => guarded(request, next).await,
        Err(problem) => problem.into_response(),
    };
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| {
        let is_ours =
            response.headers().get(axum::http::header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        let is_error = status.is_client_error() || status.is_server_error();
        (is_error && !is_ours).then(|| Problem::of_response(status))
    });
    if let Some(problem) = &problem {
        problem.write_into(&mut response, &id);
    }
    let headers = response.headers_mut();
    // These headers replace those of a handler.
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    match problem.as_ref().and_then(Problem::cause) {
        Some(cause) => error!(%method, path, status, elapsed_ms, error = cause, "request failed"),
        // A client without a right token must not fill the log; the metrics count its requests.
        None if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) => {
            debug!(%method, path, status, elapsed_ms, "request");
        }
        // A client that waits for a job reads it several times a second.
        None if is_probe(&path) || (method == Method::GET && response.status().is_success()) => {
            debug!(%method, path, status, elapsed_ms, "request");
        }
        None => info!(%method, path, status, elapsed_ms, "request"),
    }
    response
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

async fn guarded(request: Request, next: Next) -> Response {
    // Handlers share nothing that a panic could leave half-changed: the store's transactions roll back.
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match timeout(DEADLINE, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => Problem::internal(format!("panic: {}", panic_text(&*panic))).into_response(),
        Err(_) => {
            let seconds = DEADLINE.as_secs();
            let detail = format!("there was no answer within {seconds} s; `GET /readyz` says what is down");
            Problem::new(ProblemKind::Overdue, detail).into_response()
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use serde_json::Value;
    use std::future::pending;
    use std::sync::{Arc, Mutex};
    use tower::ServiceExt;
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::layer::{Layer, SubscriberExt};

    use crate::logging::{Format, Lines};

    #[tokio::test]
    async fn requests_without_a_right_token_are_not_logged_at_info() {
        let lines = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&lines);
        let layer = Lines::new(Format::Text, move |line: &str| sink.lock().unwrap().push_str(line));
        let layer = layer.with_filter(LevelFilter::INFO);
        let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        for (path, is_logged) in [("/unauthorized", false), ("/throttled", false), ("/plain", true)] {
            ask(path).await;
            assert_eq!(lines.lock().unwrap().contains(path), is_logged, "{path}");
        }
    }

    async fn ask(path: &str) -> (StatusCode, Value) {
        async fn boom() -> Response {
            panic!("secret inside")
        }
        let router = Router::new()
            .route("/panic", get(boom))
            .route("/never", get(async || pending::<Response>().await))
            .route("/unauthorized", get(async || Problem::new(ProblemKind::Unauthorized, "no").into_response()))
            .route("/throttled", get(async || Problem::new(ProblemKind::TooManyWrongTokens, "no").into_response()))
            .route("/plain", get(async || (StatusCode::BAD_REQUEST, "words of some library")))
            .layer(axum::middleware::from_fn(wrap));
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_without_its_text() {
        let (status, body) = ask("/panic").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!body.to_string().contains("secret"), "{body}");
        assert!(body["request_id"].is_string());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_overdue() {
        let (status, body) = ask("/never").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["type"], "urn:hostplane:problem:overdue");
    }

    #[tokio::test]
    async fn a_library_s_refusal_becomes_a_problem() {
        let (status, body) = ask("/plain").await;
        assert_eq!((status, body["status"].as_u64()), (StatusCode::BAD_REQUEST, Some(400)));
        let (status, body) = ask("/nowhere").await;
        assert_eq!((status, &body["type"]), (StatusCode::NOT_FOUND, &"urn:hostplane:problem:not-found".into()));
    }
}
