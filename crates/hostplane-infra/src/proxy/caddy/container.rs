//! What is done inside Caddy's container: files are written and renamed, programs are run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::CaddyLocation;
use crate::containers::{ArchiveEntry, ContainerState, Containers, Exec, ExecOutput, Scope};
use crate::error::{Dependency, Effect, EffectError, Message, absent_is_none};

/// The directory of snippets, in the configuration's.
const SITES: &str = "sites";
/// Where candidates are put, beside it: a rename between the two is atomic.
const STAGING: &str = "staging";
/// Where candidates are put together from links: each container has it, in memory.
const LINKS: &str = "/dev/shm/staging";
/// Held by whoever changes something: a program goes on when the process that wanted it is gone.
const LOCK: &str = "/dev/shm/staging.lock";
/// In a candidate's directory: the files that come.
const COME: &str = "come";
/// Whose the candidates are. Only their reader, Caddy, and root need them.
const UID: u32 = 1000;

/// How long a candidate may take, others that are waited for included, after which its programs are ended in the
/// container: nothing of it is to happen when nobody counts on it any more.
const CANDIDATE_LIMIT: Duration = Duration::from_secs(15);
const UPLOAD_LIMIT: Duration = Duration::from_secs(5);
const CLEAR_LIMIT: Duration = Duration::from_secs(4);
/// How much longer than its own limit a program's answer is waited for.
const ANSWER: Duration = Duration::from_secs(3);
/// The longest that a candidate's answer is waited for.
pub(super) const LONGEST: Duration = CANDIDATE_LIMIT.saturating_add(ANSWER);

/// Tries a candidate. Its codes are its own: see there.
const CANDIDATE: &str = include_str!("candidate.sh");
const NOT_STAGED: i64 = 65;
const NOT_IN_PLACE: i64 = 66;
/// What `timeout` exits with.
const TIMED_OUT: i64 = 124;

/// Snippets by file name.
pub(super) type Snippets = BTreeMap<String, Bytes>;

/// What is to be another than it is on disk: a file's contents, or `None` for one that goes.
pub(super) type Changes = BTreeMap<String, Option<Bytes>>;

/// The container and the directory in it.
pub(super) struct CaddyContainer {
    containers: Arc<dyn Containers>,
    place: CaddyLocation,
}

/// A directory for a candidate, by its name, which no other ever had.
#[derive(Debug)]
pub(super) struct Stage(String);

impl Stage {
    pub(super) fn new() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)))
    }
}

/// What came of a candidate.
pub(super) enum Load {
    /// Caddy runs it, and it is on disk.
    Loaded,
    /// Caddy goes on with what it had, and says why.
    Refused(String),
    /// Caddy was not reached.
    NotReached(String),
}

impl CaddyContainer {
    pub(super) fn new(containers: Arc<dyn Containers>, place: CaddyLocation) -> Self {
        Self { containers, place }
    }

    /// The id of the container, which must be running.
    pub(super) async fn find(&self, call: &'static str) -> Effect<String> {
        let name = &self.place.container;
        let found = self.containers.containers(&Scope::Names(vec![name.clone()])).await?;
        match found.into_iter().find(|container| container.name == *name) {
            Some(container) if container.state == ContainerState::Running => Ok(container.id),
            Some(_) => Err(down(call, &format!("the container {name} isn't running"))),
            None => Err(down(call, &format!("there is no container {name}"))),
        }
    }

    /// One snippet, if there is one.
    pub(super) async fn snippet(&self, call: &'static str, id: &str, file: &str) -> Effect<Option<Bytes>> {
        let path = format!("{}/{file}", self.path(SITES));
        match absent_is_none(self.containers.download_file(id, &path).await)? {
            Some(entry) => Ok(entry.and_then(|entry| entry.contents)),
            None => self.is_still(call, id).await.map(|()| None),
        }
    }

    /// What wasn't found in the container is not there, unless the container has gone.
    async fn is_still(&self, call: &'static str, id: &str) -> Effect<()> {
        if self.find(call).await? == id { Ok(()) } else { Err(down(call, "the container was exchanged")) }
    }

    /// Every snippet there is; `None` when there is no directory of them yet.
    pub(super) async fn snippets(&self, call: &'static str, id: &str) -> Effect<Option<Snippets>> {
        let Some(entries) = absent_is_none(self.containers.download(id, &self.path(SITES)).await)? else {
            return self.is_still(call, id).await.map(|()| None);
        };
        let is_snippet = |path: &str| path.strip_suffix(".caddy").is_some_and(|stem| !stem.contains('/'));
        let snippets = entries.into_iter().filter(|entry| is_snippet(&entry.path));
        Ok(Some(snippets.filter_map(|entry| Some((entry.path, entry.contents?))).collect()))
    }

    /// Writes the files that come.
    pub(super) async fn stage(
        &self,
        call: &'static str,
        id: &str,
        stage: &Stage,
        changes: &Changes,
        make_sites: bool,
    ) -> Effect<()> {
        let directory = |path: String| ArchiveEntry { path, mode: 0o755, uid: UID, contents: None };
        let file =
            |path: String, contents: Bytes| ArchiveEntry { path, mode: 0o644, uid: UID, contents: Some(contents) };
        let root = format!("{STAGING}/{}", stage.0);
        let mut entries =
            vec![directory(STAGING.to_owned()), directory(root.clone()), directory(format!("{root}/{COME}"))];
        if make_sites {
            entries.push(directory(SITES.to_owned()));
        }
        for (name, contents) in changes {
            entries.extend(contents.clone().map(|contents| file(format!("{root}/{COME}/{name}"), contents)));
        }
        let work = self.containers.upload(id, &self.place.conf_dir, &entries);
        self.within(call, UPLOAD_LIMIT, work).await.map_err(|error| nothing_changed(call, error))
    }

    /// Asks Caddy whether a candidate could be loaded. The inner error is Caddy's, in one line.
    pub(super) async fn validate(
        &self,
        call: &'static str,
        id: &str,
        stage: &Stage,
        changes: &Changes,
    ) -> Effect<Result<(), String>> {
        let validated = self.candidate(call, id, "validate", stage, changes).await;
        let output = validated.map_err(|error| nothing_changed(call, error))?;
        Ok(if output.code == 0 { Ok(()) } else { Err(Self::complaint(&output)) })
    }

    /// Makes the running Caddy load a candidate and then, if it did, puts the files in place: of ours nothing is
    /// on disk that Caddy has not loaded. Unchanged, Caddy only compares.
    pub(super) async fn load(&self, call: &'static str, id: &str, stage: &Stage, changes: &Changes) -> Effect<Load> {
        let output = self.candidate(call, id, "load", stage, changes).await?;
        if output.code == 0 {
            return Ok(Load::Loaded);
        }
        let message = Self::complaint(&output);
        if output.code == NOT_IN_PLACE {
            let message = format!("Caddy runs the change, but its files could not be put in place: {message}");
            Err(EffectError::unknown_message(call, message))
        } else if message.contains("connection refused") {
            Ok(Load::NotReached(message))
        } else if message.contains("performing request") {
            // Sent, and no answer.
            Err(EffectError::unknown_message(call, message))
        } else {
            Ok(Load::Refused(message))
        }
    }

    async fn candidate(
        &self,
        call: &'static str,
        id: &str,
        verb: &str,
        stage: &Stage,
        changes: &Changes,
    ) -> Effect<ExecOutput> {
        let conf = self.place.conf_dir.trim_end_matches('/');
        let links = format!("{LINKS}/{}", stage.0);
        let stage = format!("{}/{}", self.path(STAGING), stage.0);
        let mut argv = vec!["sh", "-c", CANDIDATE, "caddy", verb, conf, &stage, &links];
        argv.extend(changes.iter().filter(|(_, contents)| contents.is_none()).map(|(file, _)| file.as_str()));
        let output = self.run_alone(call, id, &argv, CANDIDATE_LIMIT).await?;
        match output.code {
            // Something may have been removed at that moment, or the disk be full: the change is not to blame.
            NOT_STAGED => {
                let message = format!("a candidate can't be made in its container: {}", Self::complaint(&output));
                Err(EffectError::transient_message(call, message))
            }
            TIMED_OUT => {
                let message = format!("a change in its container took longer than {} s", CANDIDATE_LIMIT.as_secs());
                Err(EffectError::unknown_message(call, message))
            }
            _ => Ok(output),
        }
    }

    /// Removes all candidates, once no script runs any more.
    pub(super) async fn clear_staging(&self, call: &'static str, id: &str) -> Effect<()> {
        let argv = ["rm", "-rf", "--", &self.path(STAGING), LINKS];
        let removed = self.run_alone(call, id, &argv, CLEAR_LIMIT).await;
        let output = removed.map_err(|error| nothing_changed(call, error))?;
        if output.code == 0 {
            return Ok(());
        }
        let message = format!("rm in its container ended with {}: {}", output.code, Self::complaint(&output));
        Err(EffectError::transient_message(call, message))
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.place.conf_dir.trim_end_matches('/'))
    }

    /// Runs a program when no other that was run so is running any more, and ends it, in the container, at its limit.
    async fn run_alone(&self, call: &'static str, id: &str, argv: &[&str], limit: Duration) -> Effect<ExecOutput> {
        let seconds = limit.as_secs().to_string();
        let alone = [&["timeout", "-k", "1", &seconds, "flock", LOCK], argv].concat();
        self.run(call, id, &alone, limit + ANSWER).await
    }

    async fn run(&self, call: &'static str, id: &str, argv: &[&str], limit: Duration) -> Effect<ExecOutput> {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        let exec = Exec { argv, user: None, stdin: Bytes::new() };
        let output = self.within(call, limit, self.containers.exec(id, &exec)).await?;
        // Who was killed, most often because the container was, refused nothing.
        if output.code > KILLED {
            let message = format!("{} in its container ended with {}", exec.argv[0], output.code);
            return Err(EffectError::unknown_message(call, message));
        }
        if found_no_container(&output) {
            return Err(EffectError::transient_message(
                call,
                "its container ended before a program could be run in it",
            ));
        }
        Ok(output)
    }

    async fn within<T>(&self, call: &'static str, limit: Duration, work: impl Future<Output = Effect<T>>) -> Effect<T> {
        match timeout(limit, work).await {
            Ok(Err(EffectError::NotFound(what))) => Err(down(call, &format!("{what} doesn't exist"))),
            Ok(result) => result,
            Err(_) => {
                let message = format!("no answer from the container {} in {} s", self.place.container, limit.as_secs());
                Err(EffectError::unknown_message(call, message))
            }
        }
    }

    /// What a program says last, in one line and without the paths of candidates.
    fn complaint(output: &ExecOutput) -> String {
        let text = String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr });
        complaint(&text, &format!("{LINKS}/"))
    }
}

/// Programs that a signal ended have a code above this.
const KILLED: i64 = 128;

/// The Engine was about to run a program when the container's first process ended: nothing ran, and nobody refused
/// anything.
fn found_no_container(output: &ExecOutput) -> bool {
    let said = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        text.contains("OCI runtime exec failed") && text.contains("setns process")
    };
    matches!(output.code, 126 | 127) && (said(&output.stdout) || said(&output.stderr))
}

/// Caddy is known to be down.
fn down(call: &'static str, message: &str) -> EffectError {
    EffectError::Transient { call, source: Arc::new(Message(message.to_owned())), down: Some(Dependency::Caddy) }
}

/// For steps that leave what Caddy reads as it was: whatever became of them, nothing was changed.
fn nothing_changed(call: &'static str, error: EffectError) -> EffectError {
    match error {
        EffectError::OutcomeUnknown { source, .. } => EffectError::Transient { call, source, down: None },
        other => other,
    }
}

fn complaint(text: &str, staging: &str) -> String {
    const LIMIT: usize = 300;
    let mut lines = text.lines().rev().filter(|line| !line.trim().is_empty());
    let error = lines.clone().find_map(|line| line.strip_prefix("Error: "));
    let line = error.or_else(|| lines.next()).unwrap_or("no reason given");
    let line = line.strip_prefix("adapting config using caddyfile: ").unwrap_or(line);
    let mut message = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(staging) {
        message.push_str(before);
        // The candidate's name goes too.
        rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit()).trim_start_matches('/');
    }
    message.push_str(rest);
    message.chars().filter(|c| !c.is_control()).take(LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_found_no_container_refused_nothing() {
        let of = |code, text: &'static str| {
            let output = ExecOutput { code, stdout: Bytes::from_static(text.as_bytes()), stderr: Bytes::new() };
            found_no_container(&output)
        };
        assert!(of(
            126,
            "OCI runtime exec failed: exec failed: unable to start container process: error executing setns process: \
             exit status 1: unknown"
        ));
        assert!(!of(127, "OCI runtime exec failed: exec failed: exec: \"sync\": executable file not found in $PATH"));
        assert!(!of(1, "OCI runtime exec failed: setns process"));
    }

    #[test]
    fn a_complaint_is_one_line_without_the_staging_directory() {
        let text = "{\"level\":\"info\",\"msg\":\"using provided configuration\"}\n\
                    Error: adapting config using caddyfile: /dev/shm/staging/12af/sites/b.caddy:2: unrecognized \u{1b}directive: resp\n";
        assert_eq!(complaint(text, "/dev/shm/staging/"), "sites/b.caddy:2: unrecognized directive: resp");
        assert_eq!(complaint("", "/x/"), "no reason given");
        assert_eq!(complaint("mv: cannot\n\n", "/x/"), "mv: cannot");
        assert_eq!(complaint(&"ä".repeat(1000), "/x/").chars().count(), 300);
    }
}
