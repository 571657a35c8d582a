//! The task that owns all changes to Caddy's configuration. What waits is taken together: one batch is
//! one load, or, if Caddy refuses it, some validations and another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::debug;

use super::PUT_ROUTE;
use super::container::{CaddyContainer, Changes, Load, Snippets, Stage};
use super::host_conflicts::{HostConflicts, refusal};
use super::loaded::Loaded;
use super::request::{Change, Request};
use crate::error::{Effect, EffectError, Rejection};
use crate::proxy::snippet;

/// Changes in a batch; the files that go have to fit into an argument vector.
const BATCH: usize = 200;

/// A change of files that a request comes down to.
struct Edit {
    request: Request,
    file: String,
    /// What the file is to be; `None` takes it away.
    contents: Option<Bytes>,
}

impl Edit {
    /// Something of it can be refused.
    fn is_put(&self, present: &Snippets) -> bool {
        self.contents.is_some() && self.differs(present)
    }

    fn differs(&self, present: &Snippets) -> bool {
        self.contents.as_ref() != present.get(&self.file)
    }
}

/// What a batch begins with.
struct Scene {
    call: &'static str,
    /// Caddy's container.
    id: String,
    present: Snippets,
    /// There is no directory of snippets yet.
    make_sites: bool,
}

impl Scene {
    fn changes<'a>(&self, edits: impl IntoIterator<Item = &'a Edit>) -> Changes {
        let differing = edits.into_iter().filter(|edit| edit.differs(&self.present));
        differing.map(|edit| (edit.file.clone(), edit.contents.clone())).collect()
    }

    fn after(&self, changes: Changes) -> Snippets {
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

pub(super) struct Actor {
    inside: CaddyContainer,
    queue: mpsc::UnboundedReceiver<Request>,
    waiting: VecDeque<Request>,
    loaded: Loaded,
    /// Nothing is there that an earlier process or candidate left.
    staging_is_clear: bool,
}

impl Actor {
    pub(super) fn new(inside: CaddyContainer, loaded: Loaded, queue: mpsc::UnboundedReceiver<Request>) -> Self {
        Self { inside, queue, waiting: VecDeque::new(), loaded, staging_is_clear: false }
    }

    /// Works until nobody can send changes any more.
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

    /// Takes what can be done together: at most one change of each file, in the order of arrival.
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
            // A file that was passed over once is passed over to the end, so that its changes keep their order.
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
        let scene = match self.look(call).await {
            Ok(scene) => scene,
            Err(error) => return answer_all(batch, &error),
        };
        let edits = self.decide(batch, &scene.present);
        if edits.is_empty() {
            return;
        }
        if let Some((edits, _)) = self.load(&scene, edits).await {
            self.sort_out(&scene, edits).await;
        }
        if let Err(error) = self.ensure_clear_staging(&scene).await {
            debug!(error = %error.chain(), "candidates stay until the next change");
        }
    }

    async fn look(&self, call: &'static str) -> Effect<Scene> {
        let id = self.inside.find(call).await?;
        let found = self.inside.snippets(call, &id).await?;
        Ok(Scene { call, id, make_sites: found.is_none(), present: found.unwrap_or_default() })
    }

    /// Turns changes into edits, and answers those for which there is nothing to do or to hope.
    fn decide(&self, batch: Vec<Request>, present: &Snippets) -> Vec<Edit> {
        let is_loaded = self.loaded.is(present);
        let mut edits = Vec::new();
        let mut places = HostConflicts::of(present);
        // Removals first: what they leave may be taken by others.
        let (removals, puts): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|request| matches!(request.change, Change::Remove { .. }));
        for request in removals.into_iter().chain(puts) {
            let file = request.change.file();
            let there = present.get(&file);
            let wanted = match &request.change {
                Change::Remove { instance, site } => match there {
                    Some(bytes) if snippet::own(&file, bytes, *instance, site.id).is_ok() => Ok(None),
                    // Somebody else's, or already gone: it stays as it is.
                    other => Ok(other.cloned()),
                },
                Change::Settle => Ok(None),
                Change::Put(spec) => refusal(spec, &file, there, &places)
                    .map_or_else(|| Ok(Some(Bytes::copy_from_slice(spec.contents.as_bytes()))), Err),
            };
            match wanted {
                Err(error) => request.answer(Err(error)),
                Ok(contents) if contents.as_ref() == there && is_loaded => request.answer(Ok(())),
                Ok(contents) => {
                    places.replace(&file, contents.as_ref());
                    edits.push(Edit { request, file, contents });
                }
            }
        }
        edits
    }

    /// Has Caddy load the edits, and answers them. Gives them back, with its words, if Caddy refuses them.
    async fn load(&mut self, scene: &Scene, edits: Vec<Edit>) -> Option<(Vec<Edit>, String)> {
        let changes = scene.changes(&edits);
        let stage = match self.stage(scene, &changes).await {
            Ok(stage) => stage,
            Err(error) => {
                answer_all(requests(edits), &error);
                return None;
            }
        };
        if edits.iter().any(|edit| edit.request.is_stale()) {
            // The others are tried without the stale ones.
            self.waiting.extend(requests(edits));
            return None;
        }
        match self.inside.load(scene.call, &scene.id, &stage, &changes).await {
            Ok(Load::Loaded) => {
                self.loaded.set(scene.after(changes));
                for request in requests(edits) {
                    request.answer(Ok(()));
                }
            }
            Ok(Load::Refused(message)) => return Some((edits, message)),
            Ok(Load::NotReached(message)) => {
                answer_all(requests(edits), &EffectError::transient_message(scene.call, message));
            }
            Err(error) => {
                // What isn't known can't be put back: whoever looks sees what there is.
                if matches!(error, EffectError::OutcomeUnknown { .. }) {
                    self.loaded.doubt(changes.keys().map(String::as_str));
                }
                answer_all(requests(edits), &error);
            }
        }
        None
    }

    /// Caddy has refused the edits together: refuses those of which it wouldn't load the configuration, and has it
    /// load the others.
    async fn sort_out(&mut self, scene: &Scene, edits: Vec<Edit>) {
        let refused = match self.refused(scene, &edits).await {
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
        match self.load(scene, accepted).await {
            None => {}
            Some((edits, _)) if edits.len() > 1 => self.waiting.extend(requests(edits).map(Request::by_itself)),
            Some((edits, message)) => answer_all(requests(edits), &Rejection::ConfigRejected(message).into()),
        }
    }

    /// Which of the edits that Caddy has refused together are refused, and why: by halves, so that the largest part
    /// is left. It may have been a fault of that moment, so that at first all are looked at again.
    async fn refused(&mut self, scene: &Scene, edits: &[Edit]) -> Effect<BTreeMap<String, EffectError>> {
        let (puts, others): (Vec<&Edit>, Vec<&Edit>) = edits.iter().partition(|edit| edit.is_put(&scene.present));
        let mut good = scene.changes(others);
        let mut good_is_valid = false;
        let mut refused = BTreeMap::new();
        let mut groups = vec![puts];
        while let Some(mut group) = groups.pop() {
            let mut candidate = good.clone();
            candidate.extend(scene.changes(group.iter().copied()));
            match self.validate(scene, &candidate).await? {
                Ok(()) => {
                    good = candidate;
                    good_is_valid = true;
                }
                Err(message) if group.is_empty() => return Err(broken(&message)),
                Err(message) if group.len() == 1 => {
                    // Without this change, would it be any better?
                    if !good_is_valid && let Err(message) = self.validate(scene, &good).await? {
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

    async fn validate(&mut self, scene: &Scene, changes: &Changes) -> Effect<Result<(), String>> {
        let stage = self.stage(scene, changes).await?;
        self.inside.validate(scene.call, &scene.id, &stage, changes).await
    }

    async fn stage(&mut self, scene: &Scene, changes: &Changes) -> Effect<Stage> {
        self.staging_is_clear = false;
        let stage = Stage::new();
        self.inside.stage(scene.call, &scene.id, &stage, changes, scene.make_sites).await?;
        Ok(stage)
    }

    async fn ensure_clear_staging(&mut self, scene: &Scene) -> Effect<()> {
        if !self.staging_is_clear {
            self.inside.clear_staging(scene.call, &scene.id).await?;
            self.staging_is_clear = true;
        }
        Ok(())
    }
}

fn requests(edits: Vec<Edit>) -> impl Iterator<Item = Request> {
    edits.into_iter().map(|edit| edit.request)
}

/// The configuration can't be loaded even without the changes that are asked for.
fn broken(message: &str) -> EffectError {
    Rejection::ConfigRejected(format!("what is there already is not valid: {message}")).into()
}

fn answer_all(requests: impl IntoIterator<Item = Request>, error: &EffectError) {
    for request in requests {
        request.answer(Err(error.clone()));
    }
}
