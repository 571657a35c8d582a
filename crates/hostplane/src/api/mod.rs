//! The HTTP API. Every route is on this page; `docs/api.md` describes it.
//!
//! A handler parses with [`extract`], asks the engine, and answers with the types of [`wire`] or with a
//! [`problem`]. What all answers have in common is in [`envelope`].

mod auth;
mod auth_throttle;
mod changes;
mod doctor;
mod envelope;
mod exec;
pub(crate) mod extract;
mod health;
mod job_events;
mod jobs;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod page;
pub(crate) mod problem;
mod reconcile;
mod secret;
mod sites;
mod tokens;
pub(crate) mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodFilter, MethodRouter, on};
use hostplane_domain::token::TokenScope;
use hostplane_domain::url::BaseDomain;
use hostplane_engine::app::App;
use tokio::sync::watch;

/// What handlers have at hand.
#[derive(Clone)]
pub struct Api {
    app: App,
    base_domain: BaseDomain,
    platform: Platform,
    /// Whose disk must not fill up.
    home: Option<PathBuf>,
    readiness: health::ReadinessCache,
    streams: job_events::Streams,
    silence: Duration,
}

/// How far the platform is, where this process makes it: `None` when it is there.
#[derive(Clone, Default)]
pub struct Platform(Option<watch::Receiver<Option<String>>>);

impl Platform {
    /// A platform that this process makes.
    #[must_use]
    pub fn watched(receiver: watch::Receiver<Option<String>>) -> Self {
        Self(Some(receiver))
    }

    fn error(&self) -> Option<String> {
        self.0.as_ref().and_then(|receiver| receiver.borrow().clone())
    }
}

impl Api {
    /// The API of an engine. Sites get their default e-mail address below `base_domain`.
    #[must_use]
    pub fn new(app: App, base_domain: BaseDomain, platform: Platform) -> Self {
        metrics::begin();
        let (readiness, streams) = (health::ReadinessCache::default(), job_events::Streams::default());
        Self { app, base_domain, platform, home: None, readiness, streams, silence: job_events::SILENCE }
    }

    /// The same, of an installation whose home is there.
    #[must_use]
    pub fn with_home(self, home: &Path) -> Self {
        Self { home: Some(home.to_owned()), ..self }
    }

    /// The same, but for how long a stream of events is silent. Operators have no reason to change it.
    #[must_use]
    pub fn silent_for(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Answers every route.
    pub fn router(self) -> Router {
        let all = routes();
        let open = all.iter().filter(|route| route.needs.is_none()).map(|route| route.path).collect();
        let door = auth::Door { app: self.app.clone(), open, wrong: Arc::default() };
        let router = all.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
        router.layer(from_fn_with_state(door, auth::require_token)).layer(from_fn(envelope::wrap)).with_state(self)
    }
}

/// One route.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, with names of parameters in braces.
    pub path: &'static str,
    /// The scope that a token needs for it. Without one, anybody may ask.
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
        route(PATCH, "/api/v1/sites/{site}", OPERATE, changes::update),
        route(POST, "/api/v1/sites/{site}/upgrade", OPERATE, changes::upgrade),
        route(POST, "/api/v1/sites/{site}/suspend", OPERATE, changes::suspend),
        route(POST, "/api/v1/sites/{site}/resume", OPERATE, changes::resume),
        route(POST, "/api/v1/sites/{site}/rotate", OPERATE, changes::rotate),
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
        route(GET, "/api/v1/drift", READ, reconcile::drift),
        route(POST, "/api/v1/reconcile", OPERATE, reconcile::reconcile),
        route(GET, "/api/v1/orphans", READ, reconcile::orphans),
        route(DELETE, "/api/v1/orphans/{id}", OPERATE, reconcile::remove_orphan),
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
