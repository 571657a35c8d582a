//! Progress of a job: one line per ended step, and on a terminal the steps that run now.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use hostplane_domain::job::StepState;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::seconds;
use super::printable::printable;
use crate::api::wire::{Job, Step};

/// Progress on standard error.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// For each step of the journal, true once its line was printed.
    printed: Vec<bool>,
    waiting_for: Option<String>,
    is_silent: bool,
}

impl Progress {
    pub fn new() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, printed: Vec::new(), waiting_for: None, is_silent: false }
    }

    /// Shows nothing, for one job of many.
    pub fn silent() -> Self {
        Self { bar: None, printed: Vec::new(), waiting_for: None, is_silent: true }
    }

    /// Prints the news of a job.
    pub fn show(&mut self, job: &Job) {
        if self.is_silent {
            return;
        }
        self.printed.resize(job.steps.len(), false);
        for (at, step) in job.steps.iter().enumerate() {
            if self.printed[at] {
                continue;
            }
            if let Some(line) = line(step) {
                self.printed[at] = true;
                self.say(&line);
            }
        }
        if job.waiting_for != self.waiting_for {
            if let Some(dependency) = &job.waiting_for {
                self.say(&format!("waiting for {}", in_words(dependency)));
            }
            self.waiting_for.clone_from(&job.waiting_for);
        }
        if let Some(bar) = &self.bar {
            bar.set_message(now(job));
        }
    }

    /// Prints a line that stays.
    pub fn say(&self, line: &str) {
        let line = printable(line);
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The cause of a wait.
pub(super) fn in_words(waiting_for: &str) -> String {
    match waiting_for {
        "site" => "an update that the site's own WordPress runs".to_owned(),
        dependency => format!("{dependency}, which does not answer"),
    }
}

fn now(job: &Job) -> String {
    if let Some(dependency) = &job.waiting_for {
        return format!("{} of {}: waiting for {}", job.operation, job.site, in_words(dependency));
    }
    let running = job.steps.iter().filter(|step| step.state == StepState::Intended).map(|step| step.resource.as_str());
    let running: Vec<_> = running.collect();
    let activity = if running.is_empty() { job.state.as_str().to_owned() } else { running.join(", ") };
    printable(&format!("{} of {}: {activity}", job.operation, job.site))
}

/// Line about a step that has ended.
fn line(step: &Step) -> Option<String> {
    let Step { resource, action, .. } = step;
    let time = step.elapsed_ms.map_or_else(String::new, |elapsed| format!(" {}", seconds(elapsed)));
    let error = step.error.as_ref().map_or_else(String::new, |error| format!(": {}", error.replace('\n', " ")));
    match step.state {
        StepState::Intended => None,
        StepState::Done => Some(format!("{resource} {}{time}", done(action))),
        StepState::Failed => Some(format!("{resource}: {action} failed{error}")),
        StepState::Unknown => Some(format!("{resource}: outcome of {action} unknown{error}")),
    }
}

fn done(action: &str) -> String {
    match action {
        "ensure" => "ensured".to_owned(),
        "remove" => "removed".to_owned(),
        other => format!("{other} done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostplane_domain::naming::ResourceKind;

    #[test]
    fn a_step_is_shown_once_it_has_ended() {
        let step = |action: &str, state, elapsed_ms, error: Option<&str>| {
            let error = error.map(str::to_owned);
            line(&Step { resource: ResourceKind::Network, action: action.into(), state, elapsed_ms, error })
        };
        assert_eq!(step("ensure", StepState::Intended, None, None), None);
        assert_eq!(step("ensure", StepState::Done, Some(130), None).as_deref(), Some("network ensured 0.13 s"));
        assert_eq!(step("remove", StepState::Done, Some(5), None).as_deref(), Some("network removed 0.01 s"));
        let failed = step("ensure", StepState::Failed, Some(5), Some("a\nb"));
        assert_eq!(failed.as_deref(), Some("network: ensure failed: a b"));
    }
}
