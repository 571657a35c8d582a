//! `/jobs/{id}/events`: a job as it changes, as server-sent events.
//!
//! Each event is the whole job with every step so far, so the next event makes up for any that a client missed.
//! An event's id is a hash of its data, so a client that reconnects with the last id gets no event twice.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use hostplane_domain::ids::{JobId, TokenId};
use hostplane_domain::job::JobState;
use hostplane_engine::app::App;
use hostplane_engine::store::TokenRecord;
use tokio::sync::watch;
use tokio::time::sleep;

use super::extract::{InPath, Params};
use super::problem::{ApiResult, Problem, ProblemKind};
use super::state::Api;
use super::stream_slots::{IN_ALL, PER_TOKEN, SILENCE, StreamSlot};
use super::wire::Job;
use crate::listener::Connection;

/// Pause between two reads of a job; changes within it come as one event.
const PAUSE: Duration = Duration::from_millis(50);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Without it nginx, as the proxy before the API, would hold events back to fill its buffers.
const NO_BUFFER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

pub(super) async fn follow(
    State(api): State<Api>,
    InPath(id): InPath<JobId>,
    params: Params,
    Extension(token): Extension<TokenRecord>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    params.only(&[])?;
    // Subscribed before the first read, so that no change falls in between.
    let changes = api.app.changes();
    let job = Job::from(api.app.job(id).await?);
    let seen = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    if has_ended(&job) && seen == Some(id_of(&json(&job)?)) {
        // A browser would reconnect for ever; 204 stops it.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Some(slot) = api.streams.enter(token.id) else {
        let detail = format!(
            "a token has at most {PER_TOKEN} streams of events at once, and all tokens {IN_ALL}; poll GET \
             /api/v1/jobs/{id} instead"
        );
        let mut refused = Problem::new(ProblemKind::TooManyStreams, detail).into_response();
        refused.headers_mut().insert(RETRY_AFTER, HeaderValue::from(SILENCE.as_secs()));
        return Ok(refused);
    };
    let connection = connection.map(|Extension(connection)| connection);
    let follower = Follower {
        app: api.app,
        id,
        token: token.id,
        changes,
        seen,
        ended: false,
        silence: api.silence,
        connection,
        _slot: slot,
    };
    let keep_alive = KeepAlive::new().interval(api.silence).text("nothing new");
    Ok(([NO_BUFFER], Sse::new(unfold(follower, Follower::next)).keep_alive(keep_alive)).into_response())
}

/// One client that follows one job.
struct Follower {
    app: App,
    id: JobId,
    token: TokenId,
    changes: watch::Receiver<()>,
    /// Id of the last event that the client has.
    seen: Option<String>,
    ended: bool,
    silence: Duration,
    connection: Option<Connection>,
    _slot: StreamSlot,
}

impl Follower {
    /// The next event; `None` once the job has ended, the connection is to end or the token is no longer
    /// valid. The stream asks for it once the client has taken the one before, so a slow client holds nothing up.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        while !self.ended {
            self.changes.mark_unchanged();
            if !self.app.is_valid_token(self.token).await.ok()? {
                return None;
            }
            let job = Job::from(self.app.job(self.id).await.ok()?);
            let data = serde_json::to_string(&job).ok()?;
            self.ended = has_ended(&job);
            let id = Some(id_of(&data));
            if self.seen != id {
                let event = Event::default().event("job").id(id.as_deref().unwrap_or_default()).data(data);
                self.seen = id;
                return Some((Ok(event), self));
            }
            tokio::select! {
                () = ending(self.connection.as_mut()) => return None,
                changed = self.changes.changed() => changed.ok()?,
                () = sleep(self.silence) => {}
            }
            sleep(PAUSE).await;
        }
        None
    }
}

async fn ending(connection: Option<&mut Connection>) {
    match connection {
        Some(connection) => connection.ending().await,
        None => std::future::pending().await,
    }
}

fn has_ended(job: &Job) -> bool {
    matches!(job.state, JobState::Completed | JobState::Failed | JobState::Cancelled)
}

fn json(job: &Job) -> ApiResult<String> {
    serde_json::to_string(job).map_err(|error| Problem::internal(error.to_string()))
}

/// Hash of an event's data, as its id. Another version of this program may compute another: then one event comes
/// twice.
fn id_of(data: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(data.as_bytes());
    format!("{:016x}", hasher.finish())
}
