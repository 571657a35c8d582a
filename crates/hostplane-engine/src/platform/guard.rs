//! The guard's rules in the host's packet filter, checked and removed through its container: the filter is that of the
//! Engine's machine, which may not be this one.

use bytes::Bytes;
use hostplane_domain::render::guard::table;
use hostplane_infra::containers::{ContainerFacts, Exec, ExecOutput, Scope};
use hostplane_infra::error::{Effect, EffectError};
use tokio::time::{Duration, Instant, sleep};
use tracing::warn;

use super::Platform;

/// Longest wait for the guard's rules after its start.
const RULES_TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

impl Platform {
    /// Waits until the rules are installed.
    pub(super) async fn guard_has_its_rules(&self) -> Effect<()> {
        let begun = Instant::now();
        loop {
            let error = match self.ask_guard("check").await {
                Ok(output) if output.code == 0 => return Ok(()),
                Ok(output) => said("the sites can't be kept away from the host", &output),
                Err(error @ EffectError::Transient { .. }) => error,
                Err(error) => return Err(error),
            };
            if begun.elapsed() > RULES_TIMEOUT {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    /// Removes the rules through the guard's container, if it is there: nothing else can reach the filter.
    pub(super) async fn remove_rules(&self, containers: &[ContainerFacts]) -> Effect<()> {
        let name = self.settings.guard_container();
        let Some(guard) = containers.iter().find(|container| container.name == name) else { return Ok(()) };
        match self.world.local().containers.start_container(&guard.id).await {
            // A guard that can't run, for example with a wrong image, must not block all other removals.
            Err(EffectError::Rejected(refusal)) => {
                let rules = format!("nft delete table inet {}", table(self.instance));
                warn!(%refusal, "the guard can't be started; if it ever ran, its rules stay until: {rules}");
                return Ok(());
            }
            other => other?,
        }
        match self.ask_guard("remove").await? {
            output if output.code == 0 => Ok(()),
            output => Err(said("the rules can't be removed", &output)),
        }
    }

    async fn ask_guard(&self, what: &str) -> Effect<ExecOutput> {
        let name = self.settings.guard_container();
        let found = self.world.local().containers.containers(&Scope::Names(vec![name.clone()])).await?;
        let guard = found.first().ok_or_else(|| EffectError::NotFound(format!("container {name}")))?;
        let argv = ["hostplane-guard", what, &table(self.instance)].map(str::to_owned).to_vec();
        self.world.local().containers.exec(&guard.id, &Exec { argv, user: None, stdin: Bytes::new() }).await
    }
}

fn said(what: &str, output: &ExecOutput) -> EffectError {
    let words = String::from_utf8_lossy(&output.stderr);
    EffectError::transient_message("guard", format!("{what}: code {}: {}", output.code, words.trim()))
}
