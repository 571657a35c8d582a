//! The guard's rules in the host's packet filter: asked for and removed through its container, so that it is the
//! machine of the Engine whose filter is meant, wherever that is.

use bytes::Bytes;
use hostplane_domain::render::guard::table;
use hostplane_infra::containers::{ContainerFacts, Exec, ExecOutput, Scope};
use hostplane_infra::error::{Effect, EffectError};
use tokio::time::{Duration, Instant, sleep};
use tracing::warn;

use super::{Platform, servers};

/// How long the guard may take to install its rules after its start.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

impl Platform {
    /// Returns when the rules are there.
    pub(super) async fn guard_has_its_rules(&self) -> Effect<()> {
        let begun = Instant::now();
        loop {
            let error = match self.ask_guard("check").await {
                Ok(output) if output.code == 0 => return Ok(()),
                Ok(output) => said("the sites can't be kept away from the host", &output),
                Err(error @ EffectError::Transient { .. }) => error,
                Err(error) => return Err(error),
            };
            if begun.elapsed() > PATIENCE {
                return Err(error);
            }
            sleep(PAUSE).await;
        }
    }

    /// Removes the rules, if the guard's container is there: nobody else can reach the filter.
    pub(super) async fn remove_rules(&self, containers: &[ContainerFacts]) -> Effect<()> {
        let name = servers::guard_container(&self.settings);
        let Some(guard) = containers.iter().find(|container| container.name == name) else { return Ok(()) };
        match self.world.containers.start_container(&guard.id).await {
            // One that can't run at all, with a wrong image say, must not keep everything else from being removed.
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
        let name = servers::guard_container(&self.settings);
        let found = self.world.containers.containers(&Scope::Names(vec![name.clone()])).await?;
        let guard = found.first().ok_or_else(|| EffectError::NotFound(format!("container {name}")))?;
        let argv = ["hostplane-guard", what, &table(self.instance)].map(str::to_owned).to_vec();
        self.world.containers.exec(&guard.id, &Exec { argv, user: None, stdin: Bytes::new() }).await
    }
}

fn said(what: &str, output: &ExecOutput) -> EffectError {
    let words = String::from_utf8_lossy(&output.stderr);
    EffectError::transient_message("guard", format!("{what}: code {}: {}", output.code, words.trim()))
}
