//! Task that makes all changes of Caddy's configuration, in batches. A batch is one load or, if Caddy refuses it, some
//! validations and a second load.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::debug;

use super::container::{CaddyContainer, FileChanges, LoadOutcome, Snippets, StagingDir};
use super::host_conflicts::{HostConflicts, refusal};
use super::loaded::LoadedConfig;
use super::request::{PUT_ROUTE, Request, RouteChange};
use crate::error::{Effect, EffectError, Rejection};
use crate::proxy::snippet;

/// Most changes in a batch: the names of removed files have to fit into an argument vector.
const BATCH: usize = 200;

/// File to write or remove for a request.
struct FileEdit {
    request: Request,
    file: String,
    /// New contents; `None` removes the file.
    contents: Option<Bytes>,
}

impl FileEdit {
    /// True for an edit that Caddy can refuse.
    fn is_put(&self, present: &Snippets) -> bool {
        self.contents.is_some() && self.differs(present)
    }

    fn differs(&self, present: &Snippets) -> bool {
        self.contents.as_ref() != present.get(&self.file)
    }
}

/// Caddy's container and snippets at the beginning of a batch.
struct ConfigSnapshot {
    call: &'static str,
    /// The container's id.
    id: String,
    present: Snippets,
    /// True while the directory of snippets is missing.
    make_sites: bool,
}

impl ConfigSnapshot {
    fn changes<'a>(&self, edits: impl IntoIterator<Item = &'a FileEdit>) -> FileChanges {
        let differing = edits.into_iter().filter(|edit| edit.differs(&self.present));
        differing.map(|edit| (edit.file.clone(), edit.contents.clone())).collect()
    }

    fn after(&self, changes: FileChanges) -> Snippets {
        let mut snippets = self.present.clone();
        for (file, contents) in changes {
            match contents {
                Some(contents) => snippets.insert(file, contents),
                None => snippets.remove(&file),
            };
        }
        snippets
    }
}

/// Owner of the queue of changes.
pub(super) struct Actor {
    container: CaddyContainer,
    queue: mpsc::UnboundedReceiver<Request>,
    waiting: VecDeque<Request>,
    loaded: LoadedConfig,
    /// True from a clearing of the staging directory until the next candidate.
    staging_is_clear: bool,
}

impl Actor {
    pub(super) fn new(
        container: CaddyContainer,
        loaded: LoadedConfig,
        queue: mpsc::UnboundedReceiver<Request>,
    ) -> Self {
        Self { container, queue, waiting: VecDeque::new(), loaded, staging_is_clear: false }
    }

    /// Works until every sender is dropped.
    pub(super) async fn run(mut self) {
        loop {
            if self.waiting.is_empty() {
                match self.queue.recv().await {
                    Some(request) => self.waiting.push_back(request),
                    None => return,
                }
            }
            while let Ok(request) = self.queue.try_recv() {
                self.waiting.push_back(request);
            }
            let batch = self.take_batch();
            if !batch.is_empty() {
                self.work(batch).await;
            }
        }
    }

    /// Takes the changes of a batch: at most one of each file, in the order of arrival.
    fn take_batch(&mut self) -> Vec<Request> {
        let mut batch: Vec<Request> = Vec::new();
        let mut files = BTreeSet::new();
        let mut later = VecDeque::new();
        for request in self.waiting.drain(..) {
            if request.is_stale() {
                let call = request.change.call();
                request.answer(Err(EffectError::transient_message(call, "too many changes are waiting")));
                continue;
            }
            let fits = batch.len() < BATCH && !batch.first().is_some_and(|first| first.alone || request.alone);
            // After one skipped change of a file, its later changes are skipped too, to keep their order.
            if files.insert(request.change.file()) && fits {
                batch.push(request);
            } else {
                later.push_back(request);
            }
        }
        self.waiting = later;
        batch
    }

    async fn work(&mut self, batch: Vec<Request>) {
        let call = batch.first().map_or(PUT_ROUTE, |request| request.change.call());
        let snapshot = match self.snapshot(call).await {
            Ok(snapshot) => snapshot,
            Err(error) => return answer_all(batch, &error),
        };
        let edits = self.plan_edits(batch, &snapshot.present);
        if edits.is_empty() {
            return;
        }
        if let Some((edits, _)) = self.load(&snapshot, edits).await {
            self.load_accepted(&snapshot, edits).await;
        }
        if let Err(error) = self.ensure_clear_staging(&snapshot).await {
            debug!(error = %error.chain(), "the staging directory is cleared after the next change");
        }
    }

    async fn snapshot(&self, call: &'static str) -> Effect<ConfigSnapshot> {
        let id = self.container.find(call).await?;
        let found = self.container.snippets(call, &id).await?;
        Ok(ConfigSnapshot { call, id, make_sites: found.is_none(), present: found.unwrap_or_default() })
    }

    /// Turns requests into edits, and answers requests that are refused or need no edit.
    fn plan_edits(&self, batch: Vec<Request>, present: &Snippets) -> Vec<FileEdit> {
        let is_loaded = self.loaded.is(present);
        let mut edits = Vec::new();
        let mut places = HostConflicts::of(present);
        // Removals first, as they free host names for the others.
        let (removals, puts): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|request| matches!(request.change, RouteChange::Remove { .. }));
        for request in removals.into_iter().chain(puts) {
            let file = request.change.file();
            let there = present.get(&file);
            let wanted = match &request.change {
                RouteChange::Remove { instance, site } => match there {
                    Some(bytes) if snippet::own(&file, bytes, *instance, site.id).is_ok() => Ok(None),
                    // Foreign, or already removed: no edit.
                    other => Ok(other.cloned()),
                },
                RouteChange::Settle => Ok(None),
                RouteChange::Put(spec) => refusal(spec, &file, there, &places)
                    .map_or_else(|| Ok(Some(Bytes::copy_from_slice(spec.contents.as_bytes()))), Err),
            };
            match wanted {
                Err(error) => request.answer(Err(error)),
                Ok(contents) if contents.as_ref() == there && is_loaded => request.answer(Ok(())),
                Ok(contents) => {
                    places.replace(&file, contents.as_ref());
                    edits.push(FileEdit { request, file, contents });
                }
            }
        }
        edits
    }

    /// Has Caddy load the edits, and answers them. If Caddy refuses, returns the edits with Caddy's message.
    async fn load(&mut self, snapshot: &ConfigSnapshot, edits: Vec<FileEdit>) -> Option<(Vec<FileEdit>, String)> {
        let changes = snapshot.changes(&edits);
        let stage = match self.stage(snapshot, &changes).await {
            Ok(stage) => stage,
            Err(error) => {
                answer_all(requests(edits), &error);
                return None;
            }
        };
        if edits.iter().any(|edit| edit.request.is_stale()) {
            // The next batch retries the others without the stale ones.
            self.waiting.extend(requests(edits));
            return None;
        }
        match self.container.load(snapshot.call, &snapshot.id, &stage, &changes).await {
            Ok(LoadOutcome::Loaded) => {
                self.loaded.set(snapshot.after(changes));
                for request in requests(edits) {
                    request.answer(Ok(()));
                }
            }
            Ok(LoadOutcome::Refused(message)) => return Some((edits, message)),
            Ok(LoadOutcome::NotReached(message)) => {
                answer_all(requests(edits), &EffectError::transient_message(snapshot.call, message));
            }
            Err(error) => {
                // An unknown outcome can't be rolled back; the next scan observes the routes.
                if matches!(error, EffectError::OutcomeUnknown { .. }) {
                    self.loaded.doubt(changes.keys().map(String::as_str));
                }
                answer_all(requests(edits), &error);
            }
        }
        None
    }

    /// After a refused load, answers the edits that Caddy doesn't accept, and has Caddy load the others.
    async fn load_accepted(&mut self, snapshot: &ConfigSnapshot, edits: Vec<FileEdit>) {
        let refused = match self.find_refused(snapshot, &edits).await {
            Ok(refused) => refused,
            Err(error) => return answer_all(requests(edits), &error),
        };
        let mut accepted = Vec::new();
        for edit in edits {
            match refused.get(&edit.file) {
                Some(error) => edit.request.answer(Err(error.clone())),
                None => accepted.push(edit),
            }
        }
        if accepted.is_empty() {
            return;
        }
        match self.load(snapshot, accepted).await {
            None => {}
            Some((edits, _)) if edits.len() > 1 => self.waiting.extend(requests(edits).map(Request::retry_alone)),
            Some((edits, message)) => answer_all(requests(edits), &Rejection::ConfigRejected(message).into()),
        }
    }

    /// Finds the edits that Caddy doesn't accept, and the reasons, by bisection. All edits are validated first, as the
    /// refusal may have been momentary.
    async fn find_refused(
        &mut self,
        snapshot: &ConfigSnapshot,
        edits: &[FileEdit],
    ) -> Effect<BTreeMap<String, EffectError>> {
        let (puts, others): (Vec<&FileEdit>, Vec<&FileEdit>) =
            edits.iter().partition(|edit| edit.is_put(&snapshot.present));
        let mut good = snapshot.changes(others);
        let mut good_is_valid = false;
        let mut refused = BTreeMap::new();
        let mut groups = vec![puts];
        while let Some(mut group) = groups.pop() {
            let mut candidate = good.clone();
            candidate.extend(snapshot.changes(group.iter().copied()));
            match self.validate(snapshot, &candidate).await? {
                Ok(()) => {
                    good = candidate;
                    good_is_valid = true;
                }
                Err(message) if group.is_empty() => return Err(broken(&message)),
                Err(message) if group.len() == 1 => {
                    // The fault may lie in the configuration without this edit.
                    if !good_is_valid && let Err(message) = self.validate(snapshot, &good).await? {
                        return Err(broken(&message));
                    }
                    good_is_valid = true;
                    refused.insert(group[0].file.clone(), Rejection::ConfigRejected(message).into());
                }
                Err(_) => {
                    let rest = group.split_off(group.len() / 2);
                    groups.push(rest);
                    groups.push(group);
                }
            }
        }
        Ok(refused)
    }

    async fn validate(&mut self, snapshot: &ConfigSnapshot, changes: &FileChanges) -> Effect<Result<(), String>> {
        let stage = self.stage(snapshot, changes).await?;
        self.container.validate(snapshot.call, &snapshot.id, &stage, changes).await
    }

    async fn stage(&mut self, snapshot: &ConfigSnapshot, changes: &FileChanges) -> Effect<StagingDir> {
        self.staging_is_clear = false;
        let stage = StagingDir::new();
        self.container.stage(snapshot.call, &snapshot.id, &stage, changes, snapshot.make_sites).await?;
        Ok(stage)
    }

    async fn ensure_clear_staging(&mut self, snapshot: &ConfigSnapshot) -> Effect<()> {
        if !self.staging_is_clear {
            self.container.clear_staging(snapshot.call, &snapshot.id).await?;
            self.staging_is_clear = true;
        }
        Ok(())
    }
}

fn requests(edits: Vec<FileEdit>) -> impl Iterator<Item = Request> {
    edits.into_iter().map(|edit| edit.request)
}

/// Error for a configuration that is invalid even without the requested changes.
fn broken(message: &str) -> EffectError {
    Rejection::ConfigRejected(format!("the present configuration is not valid: {message}")).into()
}

fn answer_all(requests: impl IntoIterator<Item = Request>, error: &EffectError) {
    for request in requests {
        request.answer(Err(error.clone()));
    }
}
