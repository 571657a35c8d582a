//! Bearer tokens and their scopes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hostplane_domain::token::TokenScope;
use hostplane_engine::app::App;
use hostplane_engine::store::TokenRecord;
use tokio::time::Instant;
use tracing::Span;

use super::auth_throttle::AuthThrottle;
use super::metrics;
use super::problem::{Problem, ProblemKind};
use crate::listener::Connection;

/// State of the token check.
#[derive(Clone)]
pub(super) struct AuthState {
    pub app: App,
    /// Paths that need no token. Every other path needs one, even if it doesn't exist.
    pub open_paths: Arc<[&'static str]>,
    pub wrong: Arc<AuthThrottle>,
    pub anonymous: Arc<AuthThrottle>,
}

/// Fault of a request that shows no right token.
#[derive(Clone, Copy)]
enum Fault {
    NoToken,
    WrongToken,
}

impl AuthState {
    /// Counts a request with a fault; the error answers 429 once there were too many.
    fn count(&self, fault: Fault, request: &Request) -> Result<(), Box<Response>> {
        let peer = request.extensions().get::<Connection>().map(Connection::peer);
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (throttle, kind, what) = match fault {
            Fault::NoToken => (&self.anonymous, ProblemKind::TooManyAnonymousRequests, "requests without a token"),
            Fault::WrongToken => (&self.wrong, ProblemKind::TooManyWrongTokens, "wrong tokens"),
        };
        throttle.count(peer, Instant::now()).map_err(|wait| {
            metrics::refused("throttled");
            // Whole seconds, and never too early.
            let seconds = wait.as_secs() + 1;
            let detail = format!("too many {what} came from {peer}; try again in {seconds} s");
            let mut response = Problem::new(kind, detail).into_response();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            Box::new(response)
        })
    }

    /// The answer to a request that is refused for a fault.
    fn refuse(&self, fault: Fault, request: &Request) -> Response {
        if let Err(too_many) = self.count(fault, request) {
            return *too_many;
        }
        let (reason, detail, challenge) = match fault {
            Fault::NoToken => (
                "no_token",
                "send the header authorization: Bearer TOKEN; the first token is in the file `token` of HOSTPLANE_HOME",
                r#"Bearer realm="hostplane""#,
            ),
            Fault::WrongToken => (
                "wrong_token",
                "this token is not valid here: it is malformed or unknown, was revoked or has expired; the first token \
                 is in the file `token` of HOSTPLANE_HOME",
                r#"Bearer realm="hostplane", error="invalid_token""#,
            ),
        };
        metrics::refused(reason);
        let mut response = Problem::new(ProblemKind::Unauthorized, detail).into_response();
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

/// Passes on requests with a valid token, and records it for the log and the handlers. An open path needs one only
/// where too many requests without came from the same address, so that a health check can get past a flood.
pub(super) async fn require_token(State(auth): State<AuthState>, mut request: Request, next: Next) -> Response {
    if auth.open_paths.contains(&request.uri().path()) {
        match auth.count(Fault::NoToken, &request) {
            Ok(()) => return next.run(request).await,
            Err(too_many) if !request.headers().contains_key(AUTHORIZATION) => return *too_many,
            Err(_) => {}
        }
    }
    let Some(token) = bearer(request.headers()) else {
        let is_anonymous = !request.headers().contains_key(AUTHORIZATION);
        return auth.refuse(if is_anonymous { Fault::NoToken } else { Fault::WrongToken }, &request);
    };
    match auth.app.shown_token(token).await {
        Ok(Some(token)) => {
            Span::current().record("token", tracing::field::display(token.id));
            request.extensions_mut().insert(token);
            next.run(request).await
        }
        Ok(None) => auth.refuse(Fault::WrongToken, &request),
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Passes on requests whose token has the scope that the route needs.
pub(super) async fn require_scope(State(needed): State<TokenScope>, request: Request, next: Next) -> Response {
    // Without a checked token the route is shut.
    let has = request.extensions().get::<TokenRecord>().map(|token| token.scope);
    if has.is_some_and(|has| has.includes(needed)) {
        return next.run(request).await;
    }
    let has = has.map_or("no", TokenScope::as_str);
    let detail = format!(
        "this needs a token of scope {needed}, and yours has the scope {has}; a token of scope admin \
         allows to create it: `hostplane token create NAME --scope {needed}`"
    );
    let mut response = Problem::scope(needed, detail).into_response();
    let challenge = format!(r#"Bearer realm="hostplane", error="insufficient_scope", scope="{needed}""#);
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The token, if exactly one was sent, in the right form.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    let well_formed = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && well_formed).then_some(token)
}
