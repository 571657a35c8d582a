//! A change that somebody waits for.

use std::time::Duration;

use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::SiteRef;
use hostplane_domain::naming;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::container::LONGEST;
use super::{PUT_ROUTE, REMOVE_ROUTE, SETTLE};
use crate::error::Effect;
use crate::proxy::RouteSpec;
use crate::proxy::gated::CHANGE_DEADLINE;

/// How long a change may have waited when its load begins. With what follows it stays below the gate's deadline of a
/// change: when that has passed, its programs were ended.
const LATEST: Duration = Duration::from_secs(16);
const _: () = assert!(LATEST.as_secs() + LONGEST.as_secs() < CHANGE_DEADLINE.as_secs());

/// What is wanted.
pub(super) enum Change {
    Put(RouteSpec),
    Remove {
        instance: InstanceId,
        site: SiteRef,
    },
    /// Nothing but that Caddy runs what is on disk.
    Settle,
}

impl Change {
    pub(super) fn file(&self) -> String {
        match self {
            Self::Put(spec) => naming::snippet_file(&spec.mark.site.name),
            Self::Remove { site, .. } => naming::snippet_file(&site.name),
            // No file has this name.
            Self::Settle => String::new(),
        }
    }

    pub(super) fn call(&self) -> &'static str {
        match self {
            Self::Put(_) => PUT_ROUTE,
            Self::Remove { .. } => REMOVE_ROUTE,
            Self::Settle => SETTLE,
        }
    }
}

/// A change that somebody waits for.
pub(super) struct Request {
    pub(super) change: Change,
    reply: oneshot::Sender<Effect<()>>,
    since: Instant,
    /// It was in a batch that Caddy refused to load: it is tried again by itself.
    pub(super) alone: bool,
}

impl Request {
    pub(super) fn new(change: Change) -> (Self, oneshot::Receiver<Effect<()>>) {
        let (reply, answer) = oneshot::channel();
        (Self { change, reply, since: Instant::now(), alone: false }, answer)
    }

    /// Nobody waits for it any more, or won't when it would be done.
    pub(super) fn is_stale(&self) -> bool {
        self.reply.is_closed() || self.since.elapsed() > LATEST
    }

    /// To be tried again without any other.
    pub(super) fn by_itself(self) -> Self {
        Self { alone: true, ..self }
    }

    pub(super) fn answer(self, result: Effect<()>) {
        // Who doesn't wait any more will look for itself.
        let _ = self.reply.send(result);
    }
}
