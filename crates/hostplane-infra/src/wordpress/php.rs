//! WordPress over `php` in the site's container: a script on standard input, an answer on standard output.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hostplane_domain::ids::SiteId;
use hostplane_domain::render::php::WP_CONFIG_STUB;
use hostplane_domain::render::php_literal::quote;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{
    ANOTHER_SITES_FILES, ANOTHER_SITES_TABLES, EventsLimits, EventsRun, FilesFound, Installation, NO_FILES, NO_SOURCE,
    NO_TABLES, TablesFound, UNMARKED_TABLES, UpdateState, Wordpress, WordpressFacts, occupied, unexpected,
};
use crate::containers::{Containers, Exec, ExecOutput};
use crate::error::{Effect, EffectError};

const COMMON: &str = include_str!("scripts/common.php");
const FACTS: &str = include_str!("scripts/facts.php");
const UNPACK: &str = include_str!("scripts/unpack.php");
const INSTALL: &str = include_str!("scripts/install.php");
const CORE: &str = include_str!("scripts/core.php");
const MARK_FILES: &str = include_str!("scripts/mark_files.php");
const MARK_TABLES: &str = include_str!("scripts/mark_tables.php");
const HOLD_UPDATES: &str = include_str!("scripts/hold_updates.php");
const REPAIR_CORE: &str = include_str!("scripts/repair_core.php");
const RUN_EVENTS: &str = include_str!("scripts/run_events.php");
const WATCH_EVENTS: &str = include_str!("scripts/watch_events.php");

/// Prefix of the answer. No code that the scripts load prints it by chance; a tenant who prints it falsifies only its
/// own site's facts.
const TOKEN: &str = "hostplane-answer:";
/// Most characters of a program's output in an error.
const QUOTED: usize = 400;

/// [`Wordpress`] over the container engine.
pub struct PhpWordpress {
    containers: Arc<dyn Containers>,
}

impl PhpWordpress {
    /// An adapter that runs scripts through this engine.
    #[must_use]
    pub fn new(containers: Arc<dyn Containers>) -> Self {
        Self { containers }
    }

    async fn run<T: DeserializeOwned>(
        &self,
        call: &'static str,
        container: &str,
        (script, deadline): (&[&str], Option<Duration>),
        input: serde_json::Value,
    ) -> Effect<T> {
        let script = program(script, input);
        // An exec outlives its client, so `timeout` ends the script inside the container.
        let deadline =
            deadline.map(|deadline| ["timeout".into(), "--signal=KILL".into(), deadline.as_secs().to_string()]);
        let argv = deadline.into_iter().flatten().chain(["php".to_owned()]).collect();
        let exec = Exec { argv, user: None, stdin: Bytes::from(script) };
        let output = self.containers.exec(container, &exec).await?;
        answer(&output).ok_or_else(|| {
            EffectError::transient_message(call, format!("php ended with {}: {}", output.code, complaint(&output)))
        })
    }
}

/// A program for PHP: the common part, its input, and its scripts.
fn program(scripts: &[&str], mut input: serde_json::Value) -> String {
    input["token"] = TOKEN.into();
    format!("{COMMON}\n$in = json_decode({}, true);\n{}", quote(&input.to_string()), scripts.concat())
}

/// Parses the answer in the last line with the prefix.
fn answer<T: DeserializeOwned>(output: &ExecOutput) -> Option<T> {
    if output.code != 0 {
        return None;
    }
    let text = std::str::from_utf8(&output.stdout).ok()?;
    let line = text.lines().rev().find_map(|line| line.strip_prefix(TOKEN))?;
    serde_json::from_str(line).ok()
}

/// PHP's error message, shortened to one line. The scripts' input never appears: PHP quotes no source, and its stack
/// traces leave out arguments (`zend.exception_ignore_args`).
fn complaint(output: &ExecOutput) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let text = if stderr.trim().is_empty() { String::from_utf8_lossy(&output.stdout) } else { stderr };
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    line.chars().filter(|c| !c.is_control()).take(QUOTED).collect()
}

/// Time that the watcher of a run has besides the run's limit.
const WATCHER_GRACE: Duration = Duration::from_secs(40);
/// Time after which a short program ends by itself, inside the container.
const SHORT: Option<Duration> = Some(Duration::from_mins(1));
/// Most characters of a version in an answer.
const VERSION: usize = 32;

#[derive(Deserialize)]
struct FactsAnswer {
    unpacked: Option<String>,
    core: Option<String>,
    empty: bool,
    writable: bool,
    update: UpdateState,
    installed: Option<String>,
    tables: TablesFound,
}

impl From<FactsAnswer> for WordpressFacts {
    fn from(found: FactsAnswer) -> Self {
        let id = |text: Option<String>| text.and_then(|text| text.parse::<SiteId>().ok());
        let printable = |text: String| text.chars().filter(char::is_ascii_graphic).take(VERSION).collect();
        Self {
            unpacked: id(found.unpacked),
            files: match found.core {
                Some(version) => FilesFound::Wordpress(printable(version)),
                None if found.empty => FilesFound::Nothing,
                None => FilesFound::Other,
            },
            read_only: !found.writable,
            installed: id(found.installed),
            tables: found.tables,
            update: found.update,
        }
    }
}

#[async_trait]
impl Wordpress for PhpWordpress {
    async fn facts(&self, php_container: &str) -> Effect<WordpressFacts> {
        let script: &[&str] = &[CORE, FACTS];
        let found: FactsAnswer = self.run("wordpress.facts", php_container, (script, SHORT), json!({})).await?;
        Ok(found.into())
    }

    async fn unpack(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let input = json!({ "site": site, "wp_config": WP_CONFIG_STUB });
        let answer: String = self.run("wordpress.unpack", php_container, (&[UNPACK], None), input).await?;
        if answer == "unpacked" { Ok(()) } else { Err(occupied(ANOTHER_SITES_FILES)) }
    }

    async fn install(&self, php_container: &str, installation: &Installation) -> Effect<()> {
        let input = json!({
            "site": installation.site,
            "host": installation.url.host,
            "authority": installation.url.authority(),
            "title": installation.details.title,
            "user": installation.details.admin_user,
            "email": installation.details.admin_email,
            "password": installation.admin_password.expose_secret(),
        });
        let answer: String = self.run("wordpress.install", php_container, (&[INSTALL], None), input).await?;
        match answer.as_str() {
            "installed" => Ok(()),
            "another" => Err(occupied(ANOTHER_SITES_TABLES)),
            _ => Err(occupied(UNMARKED_TABLES)),
        }
    }

    async fn mark_files(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let script = (&[MARK_FILES][..], SHORT);
        let answer: String = self.run("wordpress.mark_files", php_container, script, json!({ "site": site })).await?;
        if answer == "marked" { Ok(()) } else { Err(unexpected(NO_FILES)) }
    }

    async fn mark_tables(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let script = (&[MARK_TABLES][..], SHORT);
        let answer: String = self.run("wordpress.mark_tables", php_container, script, json!({ "site": site })).await?;
        if answer == "marked" { Ok(()) } else { Err(unexpected(NO_TABLES)) }
    }

    async fn hold_updates(&self, php_container: &str) -> Effect<bool> {
        self.run("wordpress.hold_updates", php_container, (&[HOLD_UPDATES], SHORT), json!({})).await
    }

    async fn repair_core(&self, php_container: &str) -> Effect<()> {
        let script: &[&str] = &[CORE, REPAIR_CORE];
        let answer: String = self.run("wordpress.repair_core", php_container, (script, SHORT), json!({})).await?;
        if answer == "laid" { Ok(()) } else { Err(unexpected(NO_SOURCE)) }
    }

    async fn run_events(&self, php_container: &str, run: &EventsRun) -> Effect<()> {
        let EventsLimits { event, update } = run.limits;
        let events = json!({
            "host": run.url.host,
            "authority": run.url.authority(),
            "memory": format!("{}M", run.memory_mib),
        });
        let input = json!({
            "script": program(&[RUN_EVENTS], events),
            "event_seconds": event.as_secs(),
            "update_seconds": update.as_secs(),
        });
        // The watcher has its own limits; this one is for a watcher that hangs.
        let script = (&[WATCH_EVENTS][..], Some(update.max(event) + WATCHER_GRACE));
        self.run::<String>("wordpress.run_events", php_container, script, input).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: i64, stdout: &str, stderr: &str) -> ExecOutput {
        ExecOutput {
            code,
            stdout: Bytes::copy_from_slice(stdout.as_bytes()),
            stderr: Bytes::copy_from_slice(stderr.as_bytes()),
        }
    }

    #[test]
    fn the_answer_is_found_among_other_output() {
        let noisy = output(0, "<html>noise\n\nhostplane-answer:\"installed\"\n", "Warning: x");
        assert_eq!(answer::<String>(&noisy), Some("installed".into()));
    }

    #[test]
    fn a_failed_script_has_no_answer() {
        assert_eq!(answer::<String>(&output(0, "installed", "")), None);
        assert_eq!(answer::<String>(&output(70, "hostplane-answer:\"installed\"", "")), None);
        assert_eq!(answer::<String>(&output(0, "hostplane-answer:{", "")), None);
    }

    #[test]
    fn a_complaint_is_one_short_printable_line() {
        let text = complaint(&output(255, "", &format!("a\x1b[31m\nb{}", "x".repeat(1000))));
        assert!(text.starts_with("a[31m b") && text.len() <= QUOTED);
    }
}
