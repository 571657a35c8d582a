//! Execs: programs in running containers.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use bollard::Docker as Client;
use bollard::container::LogOutput;
use bollard::errors::Error as BollardError;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::classify::{AnswerClass, CallSubject, class_of, effect_error};
use crate::containers::{EXEC_OUTPUT_LIMIT, Exec, ExecOutput};
use crate::error::{Effect, EffectError};

pub(super) const CALL: &str = "docker.exec";
/// First pause between two inspections of a program that has closed its output but not ended; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Body of a request to prepare an exec, which runs nothing yet.
pub(super) fn config(exec: &Exec) -> ExecConfig {
    ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(exec.argv.clone()),
        user: exec.user.clone(),
        ..Default::default()
    }
}

/// Starts a prepared exec and waits for its end.
pub(super) async fn run(client: &Client, id: &str, container: &str, stdin: Bytes) -> Effect<ExecOutput> {
    let subject = CallSubject::change(CALL, "container", container);
    let started = client.start_exec(id, None).await.map_err(|error| effect_error(subject, error))?;
    let StartExecResults::Attached { output, input } = started else {
        return Err(EffectError::unknown_message(CALL, "the program was started without its streams"));
    };
    // From here on a lost answer leaves the outcome unknown.
    let (stdout, stderr) = converse(input, output, stdin).await.map_err(|error| EffectError::unknown(CALL, error))?;
    let code = exit_code(client, id).await?;
    if ended_before_it(code, &stdout) {
        return Err(EffectError::transient_message(
            CALL,
            format!("the container {container} ended before the program"),
        ));
    }
    Ok(ExecOutput { code, stdout, stderr })
}

/// True if the container ended between the preparation and the start. The Engine then reports the failure as it reports
/// a missing program: as output, with a code.
fn ended_before_it(code: i64, stdout: &[u8]) -> bool {
    let text = String::from_utf8_lossy(stdout);
    // runc writes "in a stopped container"; the shim, without a prefix, "in a deleted state".
    let text = text.strip_prefix("OCI runtime exec failed: exec failed: ").unwrap_or(&text);
    matches!(code, 126 | 127) && text.starts_with("cannot exec in a ")
}

/// Writes the program's input and reads its output at the same time, as each could wait for the other.
async fn converse(
    mut input: Pin<Box<dyn AsyncWrite + Send>>,
    mut output: Pin<Box<dyn Stream<Item = Result<LogOutput, BollardError>> + Send>>,
    stdin: Bytes,
) -> Result<(Bytes, Bytes), BollardError> {
    let feed = async move {
        // A program need not read its input, so a broken pipe is no failure; its output and exit code decide. Shutting
        // down closes the write half, and the program reads the end.
        if input.write_all(&stdin).await.is_ok() {
            let _ = input.shutdown().await;
        }
        pending::<Infallible>().await
    };
    let listen = async move {
        let (mut stdout, mut stderr) = (BytesMut::new(), BytesMut::new());
        while let Some(chunk) = output.try_next().await? {
            match chunk {
                LogOutput::StdErr { message } => keep(&mut stderr, &message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => keep(&mut stdout, &message),
                LogOutput::StdIn { .. } => {}
            }
        }
        Ok((stdout.freeze(), stderr.freeze()))
    };
    tokio::select! {
        never = feed => match never {},
        heard = listen => heard,
    }
}

/// Keeps bytes up to the limit. The rest is read and dropped, so that the program can go on.
fn keep(kept: &mut BytesMut, chunk: &[u8]) {
    let room = EXEC_OUTPUT_LIMIT - kept.len();
    kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
}

/// Polls for the exit code: the Engine records a program's end a moment after its output has ended.
async fn exit_code(client: &Client, id: &str) -> Effect<i64> {
    let mut pause = FIRST_PAUSE;
    loop {
        let facts = match client.inspect_exec(id).await {
            Ok(facts) => facts,
            Err(error) if class_of(&error) == Some(AnswerClass::Busy) => {
                return Err(EffectError::unknown_message(
                    CALL,
                    "the container ended before the program's end was seen",
                ));
            }
            Err(error) => return Err(EffectError::unknown(CALL, error)),
        };
        match (facts.running, facts.exit_code) {
            (Some(false), Some(code)) => return Ok(code),
            (Some(false), None) => {
                return Err(EffectError::unknown_message(CALL, "the program ended without an exit code"));
            }
            _ => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_container_is_no_missing_program() {
        let stopped: &[u8] = b"OCI runtime exec failed: exec failed: cannot exec in a stopped container: unknown\r\n";
        assert!(ended_before_it(126, stopped));
        assert!(ended_before_it(126, b"cannot exec in a deleted state: unknown\r\n"));
        let missing: &[u8] = b"OCI runtime exec failed: exec failed: unable to start container process: exec: \
            \"nonesuch\": executable file not found in $PATH: unknown\r\n";
        assert!(!ended_before_it(126, missing));
        assert!(!ended_before_it(0, stopped));
    }

    #[test]
    fn output_is_cut_at_the_limit() {
        let mut kept = BytesMut::new();
        for _ in 0..3 {
            keep(&mut kept, &vec![b'x'; EXEC_OUTPUT_LIMIT / 2 + 1]);
        }
        assert_eq!(kept.len(), EXEC_OUTPUT_LIMIT);
    }
}
