//! The HTTP API. Every route is on this page; `docs/api.md` describes it.
//!
//! A handler parses with [`extract`], asks the engine, and answers with the types of [`wire`] or with a
//! [`problem`]. What all answers have in common is in [`envelope`].

mod auth;
mod changes;
mod envelope;
pub(crate) mod extract;
mod health;
mod jobs;
pub(crate) mod page;
pub(crate) mod problem;
mod sites;
pub(crate) mod wire;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use hostplane_domain::url::BaseDomain;
use hostplane_engine::app::App;
use tokio::sync::watch;

/// What handlers have at hand.
#[derive(Clone)]
pub struct Api {
    app: App,
    base_domain: BaseDomain,
    platform: Platform,
    asked: health::Asked,
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
        Self { app, base_domain, platform, asked: health::Asked::default() }
    }

    /// Every route.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(health::live))
            .route("/readyz", get(health::ready))
            .route("/api/v1/sites", get(sites::list).post(sites::create))
            .route("/api/v1/sites/{site}", get(sites::show).patch(changes::update).delete(sites::destroy))
            .route("/api/v1/sites/{site}/upgrade", post(changes::upgrade))
            .route("/api/v1/sites/{site}/suspend", post(changes::suspend))
            .route("/api/v1/sites/{site}/resume", post(changes::resume))
            .route("/api/v1/sites/{site}/rotate", post(changes::rotate))
            .route("/api/v1/sites/{site}/credentials", get(sites::credentials))
            .route("/api/v1/jobs", get(jobs::list))
            .route("/api/v1/jobs/{id}", get(jobs::show))
            .route("/api/v1/jobs/{id}/retry", post(jobs::retry))
            .route("/api/v1/jobs/{id}/cancel", post(jobs::cancel))
            .layer(from_fn_with_state(self.clone(), auth::require_token))
            .layer(from_fn(envelope::wrap))
            .with_state(self)
    }
}
