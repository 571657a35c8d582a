//! Caddy's container: its files and its programs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::containers::{ArchiveEntry, ContainerState, Containers, Exec, ExecOutput, Scope};
use crate::error::{Dependency, Effect, EffectError, Message, absent_is_none};

/// Directory of snippets, below the configuration's.
const SITES: &str = "sites";
/// Directory of candidates' files, on the same file system as the snippets, so that renames are atomic.
const STAGING: &str = "staging";
/// Directory in which candidates are built from links: in memory, in every container.
const LINKS: &str = "/dev/shm/staging";
/// Lock file of programs that change something: a program outlives the process that started it.
const LOCK: &str = "/dev/shm/staging.lock";
/// Directory of new files in a candidate's directory; `candidate.sh` names it too.
const COME: &str = "come";
/// Owner of the candidates' files.
const UID: u32 = 1000;

/// Time limit of a candidate, including the wait for the lock. Past it, `timeout` ends the programs in the container,
/// so that no effect lands after its request was answered.
const CANDIDATE_LIMIT: Duration = Duration::from_secs(15);
const UPLOAD_LIMIT: Duration = Duration::from_secs(5);
const CLEAR_LIMIT: Duration = Duration::from_secs(4);
/// Grace period for a program's answer past its limit.
const ANSWER_GRACE: Duration = Duration::from_secs(3);
/// Longest wait for a candidate's answer.
pub(super) const LONGEST_CANDIDATE: Duration = CANDIDATE_LIMIT.saturating_add(ANSWER_GRACE);

/// Script that validates or loads a candidate; documents its own exit codes.
const CANDIDATE: &str = include_str!("candidate.sh");
const NOT_STAGED: i64 = 65;
const NOT_IN_PLACE: i64 = 66;
/// Exit code of `timeout` at its limit.
const TIMED_OUT: i64 = 124;

/// Snippets by file name.
pub(super) type Snippets = BTreeMap<String, Bytes>;

/// Changes by file name: new contents, or `None` for a removed file.
pub(super) type FileChanges = BTreeMap<String, Option<Bytes>>;

/// Location of Caddy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaddyLocation {
    /// The container's name.
    pub container: String,
    /// The directory of the `Caddyfile`, in the container. Snippets are in `sites` below it, candidates in `staging`,
    /// on the same file system.
    pub conf_dir: String,
}

/// Files and programs in Caddy's container.
pub(super) struct CaddyContainer {
    containers: Arc<dyn Containers>,
    location: CaddyLocation,
}

/// Unique name of a candidate's directory.
#[derive(Debug)]
pub(super) struct StagingDir(String);

impl StagingDir {
    pub(super) fn new() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)))
    }
}

/// Outcome of loading a candidate.
pub(super) enum LoadOutcome {
    /// Caddy runs the candidate, and its files are in place.
    Loaded,
    /// Caddy refused the candidate and runs the configuration before it.
    Refused(String),
    /// Caddy was not reached.
    NotReached(String),
}

impl CaddyContainer {
    pub(super) fn new(containers: Arc<dyn Containers>, location: CaddyLocation) -> Self {
        Self { containers, location }
    }

    /// Finds the id of the container, which must be running.
    pub(super) async fn find(&self, call: &'static str) -> Effect<String> {
        let name = &self.location.container;
        let found = self.containers.containers(&Scope::Names(vec![name.clone()])).await?;
        match found.into_iter().find(|container| container.name == *name) {
            Some(container) if container.state == ContainerState::Running => Ok(container.id),
            Some(_) => Err(down(call, &format!("the container {name} isn't running"))),
            None => Err(down(call, &format!("there is no container {name}"))),
        }
    }

    /// Reads one snippet; `None` if the file is missing.
    pub(super) async fn snippet(&self, call: &'static str, id: &str, file: &str) -> Effect<Option<Bytes>> {
        let path = format!("{}/{file}", self.path(SITES));
        match absent_is_none(self.containers.download_file(id, &path).await)? {
            Some(entry) => Ok(entry.and_then(|entry| entry.contents)),
            None => self.expect_same_container(call, id).await.map(|()| None),
        }
    }

    /// Fails if the container was replaced: a file missing in the old one proves nothing.
    async fn expect_same_container(&self, call: &'static str, id: &str) -> Effect<()> {
        if self.find(call).await? == id { Ok(()) } else { Err(down(call, "the container was replaced")) }
    }

    /// Reads every snippet; `None` while their directory is missing.
    pub(super) async fn snippets(&self, call: &'static str, id: &str) -> Effect<Option<Snippets>> {
        let Some(entries) = absent_is_none(self.containers.download(id, &self.path(SITES)).await)? else {
            return self.expect_same_container(call, id).await.map(|()| None);
        };
        let is_snippet = |path: &str| path.strip_suffix(".caddy").is_some_and(|stem| !stem.contains('/'));
        let snippets = entries.into_iter().filter(|entry| is_snippet(&entry.path));
        Ok(Some(snippets.filter_map(|entry| Some((entry.path, entry.contents?))).collect()))
    }

    /// Uploads the new files of a candidate.
    pub(super) async fn stage(
        &self,
        call: &'static str,
        id: &str,
        stage: &StagingDir,
        changes: &FileChanges,
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
        let work = self.containers.upload(id, &self.location.conf_dir, &entries);
        self.within(call, UPLOAD_LIMIT, work).await.map_err(|error| nothing_changed(call, error))
    }

    /// Has Caddy validate a candidate. The inner error is Caddy's message, on one line.
    pub(super) async fn validate(
        &self,
        call: &'static str,
        id: &str,
        stage: &StagingDir,
        changes: &FileChanges,
    ) -> Effect<Result<(), String>> {
        let validated = self.candidate(call, id, "validate", stage, changes).await;
        let output = validated.map_err(|error| nothing_changed(call, error))?;
        Ok(if output.code == 0 { Ok(()) } else { Err(Self::complaint(&output)) })
    }

    /// Has Caddy load a candidate, and puts its files in place only afterwards: a snippet of ours on disk was loaded.
    /// Caddy skips an unchanged configuration.
    pub(super) async fn load(
        &self,
        call: &'static str,
        id: &str,
        stage: &StagingDir,
        changes: &FileChanges,
    ) -> Effect<LoadOutcome> {
        let output = self.candidate(call, id, "load", stage, changes).await?;
        if output.code == 0 {
            return Ok(LoadOutcome::Loaded);
        }
        let message = Self::complaint(&output);
        if output.code == NOT_IN_PLACE {
            let message = format!("Caddy runs the change, but its files could not be put in place: {message}");
            Err(EffectError::unknown_message(call, message))
        } else if message.contains("connection refused") {
            Ok(LoadOutcome::NotReached(message))
        } else if message.contains("performing request") {
            // The request was sent, and has no answer.
            Err(EffectError::unknown_message(call, message))
        } else {
            Ok(LoadOutcome::Refused(message))
        }
    }

    async fn candidate(
        &self,
        call: &'static str,
        id: &str,
        verb: &str,
        stage: &StagingDir,
        changes: &FileChanges,
    ) -> Effect<ExecOutput> {
        let conf = self.location.conf_dir.trim_end_matches('/');
        let links = format!("{LINKS}/{}", stage.0);
        let stage = format!("{}/{}", self.path(STAGING), stage.0);
        let mut argv = vec!["sh", "-c", CANDIDATE, "caddy", verb, conf, &stage, &links];
        argv.extend(changes.iter().filter(|(_, contents)| contents.is_none()).map(|(file, _)| file.as_str()));
        let output = self.run_alone(call, id, &argv, CANDIDATE_LIMIT).await?;
        match output.code {
            // The disk may be full, or a file was removed meanwhile: no fault of the change.
            NOT_STAGED => {
                let message = format!("a candidate can't be staged in Caddy's container: {}", Self::complaint(&output));
                Err(EffectError::transient_message(call, message))
            }
            TIMED_OUT => {
                let message = format!("a change in Caddy's container took longer than {} s", CANDIDATE_LIMIT.as_secs());
                Err(EffectError::unknown_message(call, message))
            }
            _ => Ok(output),
        }
    }

    /// Removes all candidates, after any running program has ended.
    pub(super) async fn clear_staging(&self, call: &'static str, id: &str) -> Effect<()> {
        let argv = ["rm", "-rf", "--", &self.path(STAGING), LINKS];
        let removed = self.run_alone(call, id, &argv, CLEAR_LIMIT).await;
        let output = removed.map_err(|error| nothing_changed(call, error))?;
        if output.code == 0 {
            return Ok(());
        }
        let message = format!("rm in Caddy's container ended with {}: {}", output.code, Self::complaint(&output));
        Err(EffectError::transient_message(call, message))
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.location.conf_dir.trim_end_matches('/'))
    }

    /// Runs a program under the lock, and ends it in the container at its limit.
    async fn run_alone(&self, call: &'static str, id: &str, argv: &[&str], limit: Duration) -> Effect<ExecOutput> {
        let seconds = limit.as_secs().to_string();
        let alone = [&["timeout", "-k", "1", &seconds, "flock", LOCK], argv].concat();
        self.run(call, id, &alone, limit + ANSWER_GRACE).await
    }

    async fn run(&self, call: &'static str, id: &str, argv: &[&str], limit: Duration) -> Effect<ExecOutput> {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        let exec = Exec { argv, user: None, stdin: Bytes::new() };
        let output = self.within(call, limit, self.containers.exec(id, &exec)).await?;
        // A killed program, most often in a killed container, refused nothing.
        if output.code > KILLED {
            let message = format!("{} in Caddy's container ended with {}", exec.argv[0], output.code);
            return Err(EffectError::unknown_message(call, message));
        }
        if container_ended_before(&output) {
            return Err(EffectError::transient_message(
                call,
                "Caddy's container ended before a program could run in it",
            ));
        }
        Ok(output)
    }

    async fn within<T>(&self, call: &'static str, limit: Duration, work: impl Future<Output = Effect<T>>) -> Effect<T> {
        match timeout(limit, work).await {
            Ok(Err(EffectError::NotFound(what))) => Err(down(call, &format!("{what} doesn't exist"))),
            Ok(result) => result,
            Err(_) => {
                let message =
                    format!("no answer from the container {} in {} s", self.location.container, limit.as_secs());
                Err(EffectError::unknown_message(call, message))
            }
        }
    }

    /// A program's error, on one line and without the paths of candidates.
    fn complaint(output: &ExecOutput) -> String {
        let text = String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr });
        complaint(&text, &format!("{LINKS}/"))
    }
}

/// Programs ended by a signal exit with a code above this.
const KILLED: i64 = 128;

/// True if the container's first process ended just before the program: nothing ran, and nothing was refused.
fn container_ended_before(output: &ExecOutput) -> bool {
    let is_setns = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        text.contains("OCI runtime exec failed") && text.contains("setns process")
    };
    matches!(output.code, 126 | 127) && (is_setns(&output.stdout) || is_setns(&output.stderr))
}

/// Error for Caddy known to be down.
fn down(call: &'static str, message: &str) -> EffectError {
    EffectError::Transient { call, source: Arc::new(Message(message.to_owned())), down: Some(Dependency::CADDY) }
}

/// Maps an unknown outcome to a transient error, for steps that don't touch the files that Caddy reads.
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
        // Without the candidate's name too.
        rest = after.trim_start_matches(|c: char| c.is_ascii_hexdigit()).trim_start_matches('/');
    }
    message.push_str(rest);
    message.chars().filter(|c| !c.is_control()).take(LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_container_refused_nothing() {
        let of = |code, text: &'static str| {
            let output = ExecOutput { code, stdout: Bytes::from_static(text.as_bytes()), stderr: Bytes::new() };
            container_ended_before(&output)
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
    fn complaints_leave_out_the_staging_directory() {
        let text = "{\"level\":\"info\",\"msg\":\"using provided configuration\"}\n\
                    Error: adapting config using caddyfile: /dev/shm/staging/12af/sites/b.caddy:2: unrecognized \u{1b}directive: resp\n";
        assert_eq!(complaint(text, "/dev/shm/staging/"), "sites/b.caddy:2: unrecognized directive: resp");
        assert_eq!(complaint("", "/x/"), "no reason given");
        assert_eq!(complaint("mv: cannot\n\n", "/x/"), "mv: cannot");
        assert_eq!(complaint(&"ä".repeat(1000), "/x/").chars().count(), 300);
    }
}
