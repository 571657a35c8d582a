//! The task that owns all changes to Caddy's configuration. What waits is taken together: one batch is
//! one validation and one reload.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::PUT_ROUTE;
use super::inside::{Inside, Reload, Snippets, Stage};
use super::loaded::Loaded;
use super::places::{Places, refusal};
use super::request::{Change, Request};
use crate::error::{Effect, EffectError, Rejection};
use crate::proxy::snippet;

/// Changes in a batch; what they name has to fit into an argument vector.
const BATCH: usize = 200;

/// A change of files that a request comes down to.
struct Edit {
    request: Request,
    file: String,
    /// What the file is to be; `None` takes it away.
    contents: Option<Bytes>,
}

/// The part of a batch that Caddy would load.
struct Validated {
    stage: Stage,
    candidate: Snippets,
    /// Files whose changes were refused, and why.
    refused: BTreeMap<String, EffectError>,
}

pub(super) struct Actor {
    inside: Inside,
    queue: mpsc::UnboundedReceiver<Request>,
    waiting: VecDeque<Request>,
    loaded: Loaded,
    staging_is_clear: bool,
    stages: u64,
}

impl Actor {
    pub(super) fn new(inside: Inside, loaded: Loaded, queue: mpsc::UnboundedReceiver<Request>) -> Self {
        Self { inside, queue, waiting: VecDeque::new(), loaded, staging_is_clear: false, stages: 0 }
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
        let id = match self.inside.find(call).await {
            Ok(id) => id,
            Err(error) => return answer_all(batch, &error),
        };
        let found = match self.inside.snippets(call, &id).await {
            Ok(found) => found,
            Err(error) => return answer_all(batch, &error),
        };
        let make_sites = found.is_none();
        let present = found.unwrap_or_default();
        let edits = self.decide(batch, &present);
        if edits.is_empty() {
            return;
        }
        let validated = match self.validate(call, &id, &present, &edits, make_sites).await {
            Ok(validated) => validated,
            Err(error) => {
                answer_all(edits.into_iter().map(|edit| edit.request), &error);
                return self.clear_staging(call, &id).await;
            }
        };
        let mut accepted = Vec::new();
        for edit in edits {
            match validated.refused.get(&edit.file) {
                Some(error) => edit.request.answer(Err(error.clone())),
                None => accepted.push(edit),
            }
        }
        if accepted.iter().any(|edit| edit.request.is_stale()) {
            // What is left was not validated without the stale ones.
            self.waiting.extend(accepted.into_iter().map(|edit| edit.request));
        } else if !accepted.is_empty() {
            self.apply(call, &id, &present, validated, accepted).await;
        }
        self.clear_staging(call, &id).await;
    }

    /// Turns changes into edits, and answers those for which there is nothing to do or to hope.
    fn decide(&self, batch: Vec<Request>, present: &Snippets) -> Vec<Edit> {
        let is_loaded = self.loaded.is(present);
        let mut edits = Vec::new();
        let mut places = Places::of(present);
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

    /// Finds the largest part of the batch that Caddy would load, by halves.
    async fn validate(
        &mut self,
        call: &'static str,
        id: &str,
        present: &Snippets,
        edits: &[Edit],
        make_sites: bool,
    ) -> Effect<Validated> {
        self.ensure_clear_staging(call, id).await?;
        let is_put = |edit: &&Edit| edit.contents.is_some() && edit.contents.as_ref() != present.get(&edit.file);
        let mut good = present.clone();
        good.retain(|file, _| !edits.iter().any(|edit| edit.file == *file && edit.contents.is_none()));
        let mut refused = BTreeMap::new();
        let mut valid = None;
        let mut groups: Vec<Vec<&Edit>> = vec![edits.iter().filter(is_put).collect()];
        while let Some(mut group) = groups.pop() {
            let mut candidate = good.clone();
            candidate.extend(group.iter().filter_map(|edit| Some((edit.file.clone(), edit.contents.clone()?))));
            let stage = self.next_stage();
            self.inside.stage(call, id, stage, &candidate, make_sites).await?;
            let files: Vec<&str> = edits.iter().map(|edit| edit.file.as_str()).collect();
            let files: Vec<&str> = files.into_iter().filter(|file| candidate.contains_key(*file)).collect();
            let (verdict, synced) =
                tokio::join!(self.inside.validate(call, id, stage), self.inside.sync(call, id, stage, &files));
            synced?;
            match verdict? {
                Ok(()) => {
                    good = candidate;
                    valid = Some(stage);
                }
                Err(message) if group.is_empty() => return Err(broken(&message)),
                Err(message) if group.len() == 1 => {
                    if valid.is_none() {
                        // Without this change, would it be any better?
                        let stage = self.next_stage();
                        self.inside.stage(call, id, stage, &good, make_sites).await?;
                        match self.inside.validate(call, id, stage).await? {
                            Ok(()) => valid = Some(stage),
                            Err(message) => return Err(broken(&message)),
                        }
                    }
                    refused.insert(group[0].file.clone(), Rejection::ConfigRejected(message).into());
                }
                Err(_) => {
                    let rest = group.split_off(group.len() / 2);
                    groups.push(rest);
                    groups.push(group);
                }
            }
        }
        let stage = valid.unwrap_or(Stage(self.stages));
        Ok(Validated { stage, candidate: good, refused })
    }

    /// Renames what was validated into place and has Caddy load it; puts everything back if it won't.
    async fn apply(&mut self, call: &'static str, id: &str, present: &Snippets, valid: Validated, edits: Vec<Edit>) {
        let requests = |edits: Vec<Edit>| edits.into_iter().map(|edit| edit.request);
        let differs = |edit: &&Edit| edit.contents.as_ref() != present.get(&edit.file);
        let changed: Vec<(&str, bool)> =
            edits.iter().filter(differs).map(|edit| (edit.file.as_str(), edit.contents.is_some())).collect();
        let reloaded = match self.replace(call, id, valid.stage, &changed).await {
            Ok(()) => self.inside.reload(call, id).await,
            Err(error) => Err(error),
        };
        let refusal = match reloaded {
            Ok(Reload::Loaded) => {
                self.loaded.set(valid.candidate);
                for request in requests(edits) {
                    request.answer(Ok(()));
                }
                return;
            }
            Ok(Reload::Refused(message)) => Rejection::ConfigRejected(message).into(),
            Ok(Reload::NotReached(message)) => EffectError::transient_message(call, message),
            // What isn't known can't be put back: whoever looks sees what there is.
            Err(error @ EffectError::OutcomeUnknown { .. }) => {
                self.loaded.doubt(changed.iter().map(|(file, _)| *file));
                return answer_all(requests(edits), &error);
            }
            Err(error) => error,
        };
        self.loaded.doubt(changed.iter().map(|(file, _)| *file));
        if let Err(error) = self.restore(call, id, present, &changed).await {
            warn!(error = %error.chain(), "the last good snippets could not be put back");
            return answer_all(requests(edits), &EffectError::unknown_message(call, refusal.to_string()));
        }
        if edits.len() > 1 && matches!(refusal, EffectError::Rejected(_)) {
            self.waiting.extend(requests(edits).map(Request::by_itself));
        } else {
            answer_all(requests(edits), &refusal);
        }
    }

    /// Renames staged files into place and takes others away. `files` are names, and whether each stays.
    async fn replace(&self, call: &'static str, id: &str, stage: Stage, files: &[(&str, bool)]) -> Effect<()> {
        let those =
            |stay: bool| -> Vec<&str> { files.iter().filter(|file| file.1 == stay).map(|file| file.0).collect() };
        self.inside.put_in_place(call, id, stage, &those(true)).await?;
        self.inside.take_away(call, id, &those(false)).await
    }

    async fn restore(
        &mut self,
        call: &'static str,
        id: &str,
        present: &Snippets,
        files: &[(&str, bool)],
    ) -> Effect<()> {
        let stage = self.next_stage();
        let previous: Snippets =
            files.iter().filter_map(|(file, _)| Some(((*file).to_owned(), present.get(*file)?.clone()))).collect();
        self.inside.stage(call, id, stage, &previous, false).await?;
        let files: Vec<(&str, bool)> = files.iter().map(|(file, _)| (*file, previous.contains_key(*file))).collect();
        self.replace(call, id, stage, &files).await?;
        if matches!(self.inside.reload(call, id).await, Ok(Reload::Loaded)) {
            self.loaded.set(present.clone());
        }
        Ok(())
    }

    fn next_stage(&mut self) -> Stage {
        self.stages += 1;
        self.staging_is_clear = false;
        Stage(self.stages)
    }

    /// What an earlier process left must not get into a candidate.
    async fn ensure_clear_staging(&mut self, call: &'static str, id: &str) -> Effect<()> {
        if !self.staging_is_clear {
            self.inside.clear_staging(call, id).await?;
            self.staging_is_clear = true;
        }
        Ok(())
    }

    async fn clear_staging(&mut self, call: &'static str, id: &str) {
        if let Err(error) = self.ensure_clear_staging(call, id).await {
            debug!(error = %error.chain(), "candidates stay until the next change");
        }
    }
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
