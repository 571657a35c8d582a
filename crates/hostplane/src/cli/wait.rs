//! Waiting for a job, with progress.

use std::time::Duration;

use clap::Args;
use hostplane_domain::ids::JobId;
use hostplane_domain::job::{JobState, OperationName};
use jiff::SignedDuration;
use tokio::signal::ctrl_c;
use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::printable::printable;
use super::progress::Progress;
use crate::api::wire::Job;
use crate::client::{Client, ClientError};

/// Pauses between two requests for a job whose events don't come. Most jobs are short; a long one is asked for less
/// often.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_WHEN_LONG: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(15);
/// Pause and time limit of retries while no control plane answers: it may be restarting.
const PAUSE_WHILE_GONE: Duration = Duration::from_secs(1);
const PATIENCE_WHILE_GONE: Duration = Duration::from_mins(1);

/// Options of every command that starts a job.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Wait until the job has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    timeout: Timeout,
}

/// Limit of a wait.
#[derive(Debug, Args)]
pub(super) struct Timeout {
    /// Longest time to wait, such as 90s or 1h30m; the job itself goes on
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
}

pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let expected = "expected a time such as 90s, 10m or 1h30m";
    let time: SignedDuration = text.parse().map_err(|_| expected)?;
    Duration::try_from(time).ok().filter(|time| !time.is_zero()).ok_or(expected)
}

impl Wait {
    /// Returns the job as it is, or, with `--wait`, as it ended.
    pub async fn follow(&self, client: &Client, job: Job) -> Result<Job, Failure> {
        if self.wait { ended(client, job, Some(self.timeout.timeout)).await } else { Ok(job) }
    }

    pub fn is_on(&self) -> bool {
        self.wait
    }
}

/// Waits until a job has ended or needs an operator. Neither is a failure yet.
pub(super) async fn ended(client: &Client, job: Job, timeout: Option<Duration>) -> Result<Job, Failure> {
    ended_with(client, job, timeout, Progress::new()).await
}

/// Waits as [`ended`] does but shows no progress, for one job of many.
pub(super) async fn ended_quietly(client: &Client, job: Job, timeout: Duration) -> Result<Job, Failure> {
    ended_with(client, job, Some(timeout), Progress::silent()).await
}

async fn ended_with(client: &Client, job: Job, timeout: Option<Duration>, progress: Progress) -> Result<Job, Failure> {
    let id = job.id;
    let deadline = async {
        match timeout {
            Some(timeout) => sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = follow(client, job, progress) => ended,
        () = deadline => Err(Failure::Failed(format!("the time is up, and the job goes on; {}", how_to_watch(id)))),
        _ = ctrl_c() => {
            eprintln!("\nThe job goes on; {}", how_to_watch(id));
            Err(Failure::Reported)
        }
    }
}

fn how_to_watch(id: JobId) -> String {
    format!("watch it with: hostplane job watch {id}")
}

/// Follows the job's events, and polls while none come: a proxy may hold the stream back, and a control plane that
/// restarts ends it.
async fn follow(client: &Client, mut job: Job, mut progress: Progress) -> Result<Job, Failure> {
    let mut gone_since = None;
    let begun = Instant::now();
    let path = format!("/api/v1/jobs/{}", job.id);
    progress.show(&job);
    loop {
        if is_at_rest(&job) {
            return Ok(job);
        }
        // The request below reports in words why a stream failed.
        if let Ok(mut events) = client.events(&format!("{path}/events")).await {
            while let Some(found) = events.next::<Job>().await {
                gone_since = None;
                job = found;
                progress.show(&job);
                if is_at_rest(&job) {
                    return Ok(job);
                }
            }
        }
        let pause = match gone_since {
            Some(_) => PAUSE_WHILE_GONE,
            None if begun.elapsed() > LONG => PAUSE_WHEN_LONG,
            None => PAUSE,
        };
        sleep(pause).await;
        match client.get(&path).await {
            Ok(found) => {
                gone_since = None;
                job = found;
                progress.show(&job);
            }
            Err(error @ ClientError::Unreachable { .. }) => {
                let since = *gone_since.get_or_insert_with(|| {
                    progress.say("the control plane does not answer; trying again");
                    Instant::now()
                });
                if since.elapsed() > PATIENCE_WHILE_GONE {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_at_rest(job: &Job) -> bool {
    !matches!(job.state, JobState::Pending | JobState::Running)
}

/// A failure unless the job completed.
pub(super) fn require_completed(job: &Job) -> Result<(), Failure> {
    if job.state == JobState::Completed { Ok(()) } else { Err(other_end(job)) }
}

/// A failure unless the job was cancelled.
pub(super) fn require_cancelled(job: &Job) -> Result<(), Failure> {
    if job.state == JobState::Cancelled { Ok(()) } else { Err(other_end(job)) }
}

/// Failure for an unexpected end: the state, its cause and the next command.
fn other_end(job: &Job) -> Failure {
    use JobState::{Cancelled, Failed, NeedsOperator};
    let Job { id, site, operation, state, .. } = job;
    let why = job.error.as_ref().map_or_else(String::new, |error| {
        let step = error.step.map_or_else(String::new, |step| format!(" at {step}"));
        format!("{step}: {}", printable(&error.message))
    });
    let end = match state {
        NeedsOperator => format!("needs an operator{why}"),
        Cancelled => "was cancelled; all is as it was before".to_owned(),
        state => format!("{state}{why}"),
    };
    let did = format!("What it did: hostplane job show {id}");
    let retry = format!("hostplane job retry {id} --wait");
    let next = match (state, operation) {
        (NeedsOperator, OperationName::Destroy) => format!("When the cause is fixed: {retry}"),
        (NeedsOperator, OperationName::Provision) => format!(
            "When the cause is fixed: {retry}\nTo give it up instead: hostplane site destroy {site} --wait, \
             or hostplane job cancel {id} to try it anew later"
        ),
        (NeedsOperator, _) => format!(
            "When the cause is fixed: {retry}\nTo give it up instead: hostplane job cancel {id}; \
             {site} keeps the settings that it had before"
        ),
        (Failed | Cancelled, OperationName::Provision | OperationName::Repair) => format!("{did}\nTry again: {retry}"),
        _ => did,
    };
    Failure::Failed(format!("the {operation} of {site} {end}\n{next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        for bad in ["", "0s", "-5m", "10", "soon"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
