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
    ANOTHER_SITES_FILES, ANOTHER_SITES_TABLES, EVENTS_DEADLINE, EventsRun, Installation, UNMARKED_TABLES, Wordpress,
    WordpressFacts, occupied,
};
use crate::containers::{Containers, Exec, ExecOutput};
use crate::error::{Effect, EffectError};

const COMMON: &str = include_str!("scripts/common.php");
const FACTS: &str = include_str!("scripts/facts.php");
const UNPACK: &str = include_str!("scripts/unpack.php");
const INSTALL: &str = include_str!("scripts/install.php");
const EVENTS: &str = include_str!("scripts/events.php");

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
        (script, deadline): (&str, Option<Duration>),
        mut input: serde_json::Value,
    ) -> Effect<T> {
        input["token"] = TOKEN.into();
        let script = format!("{COMMON}\n$in = json_decode({}, true);\n{script}", quote(&input.to_string()));
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

#[derive(Deserialize)]
struct FactsAnswer {
    unpacked: Option<String>,
    installed: Option<String>,
}

#[async_trait]
impl Wordpress for PhpWordpress {
    async fn facts(&self, php_container: &str) -> Effect<WordpressFacts> {
        let found: FactsAnswer = self.run("wordpress.facts", php_container, (FACTS, None), json!({})).await?;
        let id = |text: Option<String>| text.and_then(|text| text.parse::<SiteId>().ok());
        Ok(WordpressFacts { unpacked: id(found.unpacked), installed: id(found.installed) })
    }

    async fn unpack(&self, php_container: &str, site: SiteId) -> Effect<()> {
        let input = json!({ "site": site, "wp_config": WP_CONFIG_STUB });
        let answer: String = self.run("wordpress.unpack", php_container, (UNPACK, None), input).await?;
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
        let answer: String = self.run("wordpress.install", php_container, (INSTALL, None), input).await?;
        match answer.as_str() {
            "installed" => Ok(()),
            "another" => Err(occupied(ANOTHER_SITES_TABLES)),
            _ => Err(occupied(UNMARKED_TABLES)),
        }
    }

    async fn run_events(&self, php_container: &str, run: &EventsRun) -> Effect<()> {
        let input = json!({
            "host": run.url.host,
            "authority": run.url.authority(),
            "memory": format!("{}M", run.memory_mib),
        });
        let script = (EVENTS, Some(EVENTS_DEADLINE));
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
