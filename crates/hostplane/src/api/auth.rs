//! Bearer tokens.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::problem::{Problem, Reason};

/// The addresses that anybody may ask. Every other needs a token, those that don't exist too.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Lets a request pass that carries a token of ours.
pub(super) async fn require_token(State(api): State<Api>, request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let Some(token) = bearer(request.headers()) else {
        let detail = "send the header authorization: Bearer TOKEN; the first token is in the file `token` of \
                      HOSTPLANE_HOME";
        return unauthorized(detail, r#"Bearer realm="hostplane""#);
    };
    match api.app.knows_token(token).await {
        Ok(true) => next.run(request).await,
        Ok(false) => {
            let detail = "this token is not valid here; the first token is in the file `token` of HOSTPLANE_HOME";
            unauthorized(detail, r#"Bearer realm="hostplane", error="invalid_token""#)
        }
        Err(error) => Problem::from(error).into_response(),
    }
}

fn unauthorized(detail: &str, challenge: &'static str) -> Response {
    let mut response = Problem::new(Reason::Unauthorized, detail).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

/// The token, if exactly one was sent and in the right form.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    let well_formed = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && well_formed).then_some(token)
}
