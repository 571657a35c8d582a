//! Programs that the fake can run. Those of WordPress are in its own fake.

use std::time::Duration;

use bytes::Bytes;

use super::{ContainersState, FakeContainer, invalid};
use hostplane_infra::clock::Timestamp;
use hostplane_infra::containers::{ContainerState, EXEC_OUTPUT_LIMIT, Exec, ExecOutput, LogLine, LogStream, LogTime};
use hostplane_infra::error::{Effect, EffectError};

/// The code of a program that can't be started, as the Engine gives it.
const CANNOT_START: i64 = 126;

fn output(code: i64, stdout: impl Into<Bytes>, stderr: impl Into<Bytes>) -> ExecOutput {
    let cut = |bytes: Bytes| bytes.slice(..bytes.len().min(EXEC_OUTPUT_LIMIT));
    ExecOutput { code, stdout: cut(stdout.into()), stderr: cut(stderr.into()) }
}

/// The container's own program is its first.
fn stream_of_the_container(file: &str) -> Option<LogStream> {
    match file {
        "/proc/1/fd/1" => Some(LogStream::Stdout),
        "/proc/1/fd/2" => Some(LogStream::Stderr),
        _ => None,
    }
}

impl FakeContainer {
    /// Prints lines, each later than the one before.
    fn print(&mut self, stream: LogStream, text: &Bytes, now: Timestamp) {
        let mut at = LogTime::from_microsecond(now.0).unwrap_or_default();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if let Some(last) = self.log.last().filter(|last| last.at >= at) {
                at = last.at + Duration::from_nanos(1);
            }
            let line = text.slice_ref(line.strip_suffix(b"\n").unwrap_or(line));
            self.log.push(LogLine { at, stream, text: line });
        }
    }
}

impl ContainersState {
    pub(super) fn exec(&mut self, id: &str, exec: &Exec, now: Timestamp) -> Effect<ExecOutput> {
        let (id, container) = self.existing(id)?;
        if container.state != ContainerState::Running {
            return Err(EffectError::transient_message("docker.exec", format!("Container {id} is not running")));
        }
        let argv: Vec<&str> = exec.argv.iter().map(String::as_str).collect();
        // No program is late in the fake, so that `timeout` only runs it.
        let (argv, is_watched) = match &argv[..] {
            ["timeout", "--kill-after", _, _, program @ ..] => (program, true),
            all => (all, false),
        };
        if let ["tee", file] = argv
            && let Some(stream) = stream_of_the_container(file)
        {
            let id = id.to_owned();
            self.existing_mut(&id)?.print(stream, &exec.stdin, now);
            return Ok(output(0, exec.stdin.clone(), ""));
        }
        Ok(match argv[..] {
            [] => return Err(invalid("No exec command specified")),
            // The fake's machine has no packet filter: the guard answers as if its rules were in place.
            ["true"] | ["hostplane-guard", "check" | "remove", _] => output(0, "", ""),
            ["false"] => output(1, "", ""),
            ["cat"] => output(0, exec.stdin.clone(), ""),
            ["cat", path] => self.cat(container, path),
            ["stat", "--format", "%a %u", path] => self.stat(container, path),
            ["id", "--user"] => {
                let user = exec.user.as_ref().unwrap_or(&container.spec.user);
                output(0, format!("{}\n", user.split(':').next().unwrap_or_default()), "")
            }
            ["head", "--bytes", count, "/dev/zero"] => output(0, vec![0; count.parse().unwrap_or(0)], ""),
            [program, ..] if is_watched => {
                output(127, "", format!("timeout: failed to run command '{program}': No such file or directory\n"))
            }
            [program, ..] => {
                let reason = "executable file not found in $PATH: unknown";
                let message = format!(
                    "OCI runtime exec failed: exec failed: unable to start container process: exec: {program:?}: {reason}\r\n"
                );
                output(CANNOT_START, message, "")
            }
        })
    }

    fn cat(&self, container: &FakeContainer, path: &str) -> ExecOutput {
        match self.entry_at(container, path).map(|entry| entry.contents) {
            Some(Some(contents)) => output(0, contents, ""),
            Some(None) => output(1, "", format!("cat: {path}: Is a directory\n")),
            None => output(1, "", format!("cat: {path}: No such file or directory\n")),
        }
    }

    fn stat(&self, container: &FakeContainer, path: &str) -> ExecOutput {
        match self.entry_at(container, path) {
            Some(entry) => output(0, format!("{:o} {}\n", entry.mode, entry.uid), ""),
            None => output(1, "", format!("stat: cannot statx '{path}': No such file or directory\n")),
        }
    }
}
