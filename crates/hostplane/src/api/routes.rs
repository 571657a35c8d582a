//! Every route, with its handler and the scope that it needs; `docs/api.md` describes them.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};
use hostplane_domain::token::TokenScope;

use super::auth_throttle::AuthThrottle;
use super::state::Api;
use super::{
    auth, doctor, drift, envelope, exec, health, job_events, jobs, logs, metrics, orphans, secret, site_changes, sites,
    tokens,
};

impl Api {
    /// Answers every route.
    pub fn router(self) -> Router {
        metrics::install();
        let all = routes();
        let open_paths = all.iter().filter(|route| route.needs.is_none()).map(|route| route.path).collect();
        let auth = auth::AuthState {
            app: self.app.clone(),
            open_paths,
            wrong: Arc::new(AuthThrottle::of_wrong_tokens()),
            anonymous: Arc::new(AuthThrottle::of_anonymous_requests()),
        };
        let router = all.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
        router.layer(from_fn_with_state(auth, auth::require_token)).layer(from_fn(envelope::wrap)).with_state(self)
    }
}

/// One route.
pub struct Route {
    /// HTTP method.
    pub method: Method,
    /// Path, with names of parameters in braces.
    pub path: &'static str,
    /// The scope that a token needs for it. Without a scope the route needs no token.
    pub needs: Option<TokenScope>,
    handler: MethodRouter<Api>,
}

/// Every route, with the scope that it needs.
#[must_use]
pub fn routes() -> Vec<Route> {
    const OPEN: Option<TokenScope> = None;
    const READ: Option<TokenScope> = Some(TokenScope::Read);
    const OPERATE: Option<TokenScope> = Some(TokenScope::Operate);
    const ADMIN: Option<TokenScope> = Some(TokenScope::Admin);
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PATCH: Method = Method::PATCH;
    const DELETE: Method = Method::DELETE;
    vec![
        route(GET, "/healthz", OPEN, health::live),
        route(GET, "/readyz", OPEN, health::ready),
        route(GET, "/metrics", READ, metrics::show),
        route(GET, "/api/v1/sites", READ, sites::list),
        route(POST, "/api/v1/sites", OPERATE, sites::create),
        route(GET, "/api/v1/sites/{site}", READ, sites::show),
        route(PATCH, "/api/v1/sites/{site}", OPERATE, site_changes::update),
        route(POST, "/api/v1/sites/{site}/upgrade", OPERATE, site_changes::upgrade),
        route(POST, "/api/v1/sites/{site}/suspend", OPERATE, site_changes::suspend),
        route(POST, "/api/v1/sites/{site}/resume", OPERATE, site_changes::resume),
        route(POST, "/api/v1/sites/{site}/rotate", OPERATE, site_changes::rotate),
        route(DELETE, "/api/v1/sites/{site}", OPERATE, sites::destroy),
        route(GET, "/api/v1/sites/{site}/credentials", OPERATE, sites::credentials),
        route(GET, "/api/v1/sites/{site}/logs", OPERATE, logs::list),
        route(POST, "/api/v1/sites/{site}/exec", OPERATE, exec::run),
        route(GET, "/api/v1/jobs", READ, jobs::list),
        route(GET, "/api/v1/jobs/{id}", READ, jobs::show),
        route(GET, "/api/v1/jobs/{id}/events", READ, job_events::follow),
        route(POST, "/api/v1/jobs/{id}/retry", OPERATE, jobs::retry),
        route(POST, "/api/v1/jobs/{id}/cancel", OPERATE, jobs::cancel),
        route(GET, "/api/v1/doctor", OPERATE, doctor::examine),
        route(GET, "/api/v1/drift", READ, drift::show),
        route(POST, "/api/v1/reconcile", OPERATE, drift::reconcile),
        route(GET, "/api/v1/orphans", READ, orphans::list),
        route(DELETE, "/api/v1/orphans/{id}", OPERATE, orphans::remove),
        route(GET, "/api/v1/secret", READ, secret::show),
        route(POST, "/api/v1/secret/rotate", ADMIN, secret::rotate),
        route(GET, "/api/v1/tokens", ADMIN, tokens::list),
        route(POST, "/api/v1/tokens", ADMIN, tokens::create),
        route(DELETE, "/api/v1/tokens/{id}", ADMIN, tokens::revoke),
    ]
}

fn route<H, T>(method: Method, path: &'static str, needs: Option<TokenScope>, handler: H) -> Route
where
    H: Handler<T, Api>,
    T: 'static,
{
    // Only a method that HTTP doesn't define has no filter, and the list above names none.
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
    let mut handler = on(filter, handler);
    if let Some(needed) = needs {
        handler = handler.route_layer(from_fn_with_state(needed, auth::require_scope));
    }
    Route { method, path, needs, handler }
}
