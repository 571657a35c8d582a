//! `/jobs/{id}/events`: a job as it changes, as server-sent events.
//!
//! Each event is the whole job, with every step so far: whoever missed some has missed nothing once the next
//! one is there. An event's id stands for what is in it, so one who comes back with the last that they have
//! seen is told nothing twice.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
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

use super::Api;
use super::extract::{InPath, Params};
use super::problem::{Answer, Problem, Reason};
use super::wire::Job;
use crate::http::Connection;

/// Streams of one token at once.
const PER_TOKEN: usize = 32;
/// Streams at once: half of the connections that the listener takes, so that others get their turn.
const IN_ALL: usize = 128;
/// Pause between two looks at a job: what changes meanwhile comes as one event.
const PAUSE: Duration = Duration::from_millis(50);
/// After this long without anything new a comment is sent, and the token is looked at again.
pub(super) const SILENCE: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx, when it is the proxy before us, would keep events back to fill its buffers.
const NO_BUFFER: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

pub(super) async fn follow(
    State(api): State<Api>,
    InPath(id): InPath<JobId>,
    params: Params,
    Extension(token): Extension<TokenRecord>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
) -> Answer<Response> {
    params.only(&[])?;
    // From before the first look, so that no change falls in between.
    let changes = api.app.changes();
    let job = Job::from(api.app.job(id).await?);
    let seen = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    if has_ended(&job) && seen == Some(id_of(&json(&job)?)) {
        // A browser would come back for ever; this tells it to stop.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Some(place) = api.streams.enter(token.id) else {
        let detail = format!(
            "a token has at most {PER_TOKEN} streams of events at once, and all tokens {IN_ALL}; ask GET \
             /api/v1/jobs/{id} from time to time instead"
        );
        let mut refused = Problem::new(Reason::TooManyStreams, detail).into_response();
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
        _place: place,
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
    /// The id of the last event that it has.
    seen: Option<String>,
    ended: bool,
    silence: Duration,
    connection: Option<Connection>,
    _place: Slot,
}

impl Follower {
    /// The next event; `None` once the job has ended, the connection is to end or the token is no longer
    /// valid. It is asked for when the one before was taken, so a slow client holds up nobody and nothing.
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

fn json(job: &Job) -> Answer<String> {
    serde_json::to_string(job).map_err(|error| Problem::internal(error.to_string()))
}

/// The same for the same job in the same state. Another version of this program may answer another: then one
/// event comes twice.
fn id_of(data: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(data.as_bytes());
    format!("{:016x}", hasher.finish())
}

/// How many streams each token has.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<HashMap<TokenId, usize>>>);

/// The right to one stream, until it is dropped.
struct Slot {
    streams: Streams,
    token: TokenId,
}

impl Streams {
    fn enter(&self, token: TokenId) -> Option<Slot> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= IN_ALL {
            return None;
        }
        let of_token = open.entry(token).or_default();
        if *of_token >= PER_TOKEN {
            return None;
        }
        *of_token += 1;
        Some(Slot { streams: self.clone(), token })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_token) = open.get_mut(&self.token) {
            *of_token -= 1;
            if *of_token == 0 {
                open.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn streams_are_bounded_per_token_and_in_all_and_come_free_again() {
        let streams = Streams::default();
        let token = |n: u128| TokenId::new(Uuid::from_u128(n));
        let mut places = Vec::new();
        for n in 0..8 {
            places.extend((0..100).map_while(|_| streams.enter(token(n))));
            let expected = ((usize::try_from(n).unwrap() + 1) * PER_TOKEN).min(IN_ALL);
            assert_eq!(places.len(), expected);
        }
        places.clear();
        assert!(streams.0.lock().unwrap().is_empty(), "nothing is kept of who has left");
        assert!(streams.enter(token(1)).is_some());
    }
}
