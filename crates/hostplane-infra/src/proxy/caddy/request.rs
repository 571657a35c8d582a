//! Request for a change of a route.

use std::time::Duration;

use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::SiteRef;
use hostplane_domain::naming;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::container::LONGEST_CANDIDATE;
use crate::error::Effect;
use crate::proxy::RouteSpec;
use crate::proxy::gated::CHANGE_DEADLINE;

/// Longest wait of a change until its load begins. With the load it stays below the gate's deadline of a change: past
/// that deadline, the change's programs have ended.
const LONGEST_WAIT: Duration = Duration::from_secs(16);
const _: () = assert!(LONGEST_WAIT.as_secs() + LONGEST_CANDIDATE.as_secs() < CHANGE_DEADLINE.as_secs());

pub(super) const PUT_ROUTE: &str = "caddy.put_route";
const REMOVE_ROUTE: &str = "caddy.remove_route";
const SETTLE: &str = "caddy.settle";

/// Requested change.
pub(super) enum RouteChange {
    Put(RouteSpec),
    Remove {
        instance: InstanceId,
        site: SiteRef,
    },
    /// Has Caddy load the files on disk, unchanged.
    Settle,
}

impl RouteChange {
    pub(super) fn file(&self) -> String {
        match self {
            Self::Put(spec) => naming::snippet_file(&spec.mark.site.name),
            Self::Remove { site, .. } => naming::snippet_file(&site.name),
            // No snippet has this name.
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

/// Change with its waiting caller.
pub(super) struct Request {
    pub(super) change: RouteChange,
    reply: oneshot::Sender<Effect<()>>,
    since: Instant,
    /// True for a retry after a refused batch: the request gets a batch of its own.
    pub(super) alone: bool,
}

impl Request {
    pub(super) fn new(change: RouteChange) -> (Self, oneshot::Receiver<Effect<()>>) {
        let (reply, answer) = oneshot::channel();
        (Self { change, reply, since: Instant::now(), alone: false }, answer)
    }

    /// True if the caller gave up, or would before the change is done.
    pub(super) fn is_stale(&self) -> bool {
        self.reply.is_closed() || self.since.elapsed() > LONGEST_WAIT
    }

    /// Marks the request for a batch of its own.
    pub(super) fn retry_alone(self) -> Self {
        Self { alone: true, ..self }
    }

    pub(super) fn answer(self, result: Effect<()>) {
        // A caller that gave up observes the route instead.
        let _ = self.reply.send(result);
    }
}
