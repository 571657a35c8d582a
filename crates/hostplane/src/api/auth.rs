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
use super::problem::{Problem, Reason};
use crate::http::Connection;

/// Who is let in.
#[derive(Clone)]
pub(super) struct Door {
    pub app: App,
    /// The paths that anybody may ask. Every other needs a token, those that don't exist too.
    pub open: Arc<[&'static str]>,
    pub wrong: Arc<AuthThrottle>,
}

impl Door {
    /// Counts a wrong token; the answer when there were too many.
    fn count_wrong(&self, request: &Request) -> Option<Response> {
        let peer = request.extensions().get::<Connection>().map(Connection::peer);
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.wrong.count(peer, Instant::now()).err().map(|wait| {
            // Whole seconds, and never too early.
            let seconds = wait.as_secs() + 1;
            let detail = format!("too many wrong tokens came from {peer}; show another in {seconds} s");
            let mut response = Problem::new(Reason::TooManyWrongTokens, detail).into_response();
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            response
        })
    }
}

/// Lets a request pass that carries a token of ours, and tells those behind which one.
pub(super) async fn require_token(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    if door.open.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let Some(token) = bearer(request.headers()) else {
        // Who shows nothing guesses nothing.
        if request.headers().contains_key(AUTHORIZATION)
            && let Some(problem) = door.count_wrong(&request)
        {
            return problem;
        }
        let detail = "send the header authorization: Bearer TOKEN; the first token is in the file `token` of \
                      HOSTPLANE_HOME";
        return unauthorized(detail, r#"Bearer realm="hostplane""#);
    };
    match door.app.shown_token(token).await {
        Ok(Some(token)) => {
            Span::current().record("token", tracing::field::display(token.id));
            request.extensions_mut().insert(token);
            next.run(request).await
        }
        Ok(None) => {
            if let Some(problem) = door.count_wrong(&request) {
                return problem;
            }
            let detail = "this token is not valid here: it is unknown, was revoked or has expired; the first token is \
                          in the file `token` of HOSTPLANE_HOME";
            unauthorized(detail, r#"Bearer realm="hostplane", error="invalid_token""#)
        }
        Err(error) => Problem::from(error).into_response(),
    }
}

/// Lets a request pass whose token may do what its route needs.
pub(super) async fn require_scope(State(needed): State<TokenScope>, request: Request, next: Next) -> Response {
    // A route that nobody asked for a token is shut.
    let has = request.extensions().get::<TokenRecord>().map(|token| token.scope);
    if has.is_some_and(|has| has.includes(needed)) {
        return next.run(request).await;
    }
    let has = has.map_or("no", TokenScope::as_str);
    let detail = format!(
        "this needs a token of scope {needed}, and yours has the scope {has}; whoever has one of scope admin can make \
         it with `hostplane token create NAME --scope {needed}`"
    );
    let mut response = Problem::scope(needed, detail).into_response();
    let challenge = format!(r#"Bearer realm="hostplane", error="insufficient_scope", scope="{needed}""#);
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
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
