//! A real Caddy, in a container of its own.

mod faults;
mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hostplane_infra::containers::{Containers, Exec};
use hostplane_infra::proxy::{Caddy, Proxy};
use hostplane_testing::contract::carry_out;
use tokio::time::timeout;

use super::{Harness, all_cases};
use crate::caddy::{self, place};
use crate::server::{TestContainer, eventually, file};
use support::counting::{self, Counting};

pub(super) struct Real {
    pub(super) server: TestContainer,
    pub(super) containers: Arc<Counting>,
    pub(super) adapter: Arc<Caddy>,
}

/// A program that takes longer hangs.
const RUN_PATIENCE: Duration = Duration::from_mins(1);
/// An answer that takes longer hangs too. The Engine's forwarder may take a connection before Caddy listens, and never let go of it.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

impl Real {
    async fn start() -> Self {
        let server = caddy::start().await;
        let containers = Arc::new(Counting::new(server.docker.clone()));
        let adapter = Arc::new(Caddy::new(containers.clone(), place(&server.name)));
        let harness = Self { server, containers, adapter };
        harness.answers().await;
        harness
    }

    /// Another adapter for the same Caddy, as after a restart of the control plane.
    pub(super) fn another(&self) -> Caddy {
        Caddy::new(self.containers.clone(), place(&self.server.name))
    }

    /// Waits until something is served, if only that nothing is.
    pub(super) async fn answers(&self) {
        eventually("Caddy answers", async || self.get("absent.test").await.is_ok()).await;
    }

    async fn get(&self, host: &str) -> Result<reqwest::Response, reqwest::Error> {
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_PATIENCE).build()?;
        let url = format!("http://127.0.0.1:{}/", self.server.port);
        client.get(url).header("Host", host).send().await
    }

    /// Runs a program in the container; answers what it printed.
    pub(super) async fn run(&self, argv: &[&str]) -> String {
        let words = argv.iter().map(|&word| word.to_owned()).collect();
        let exec = Exec { argv: words, user: None, stdin: Bytes::new() };
        let ran = timeout(RUN_PATIENCE, self.server.docker.exec(&self.server.id, &exec)).await;
        let output = ran.unwrap_or_else(|_| panic!("{argv:?} doesn't end")).unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[async_trait]
impl Harness for Real {
    fn proxy(&self) -> Arc<dyn Proxy> {
        self.adapter.clone()
    }

    fn after_restart(&self) -> Arc<dyn Proxy> {
        Arc::new(self.another())
    }

    async fn plant(&self, name: &str, contents: &str) {
        let entry = file(name, 1000, contents.to_owned());
        self.server.docker.upload(&self.server.id, "/etc/caddy/sites", &[entry]).await.unwrap();
    }

    async fn uproot(&self, file: &str) {
        self.run(&["rm", "-f", &format!("/etc/caddy/sites/{file}")]).await;
    }

    async fn body(&self, host: &str) -> Option<String> {
        let response = self.get(host).await.unwrap();
        if response.status() == 404 { None } else { Some(response.text().await.unwrap()) }
    }
}

/// One Caddy for all cases: each uses names of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_caddy_keeps_to_the_contract() {
    let harness = Real::start().await;
    let shared = carry_out::<dyn Harness>(&harness, all_cases()).await;
    let own = carry_out(&harness, faults::CASES).await;
    assert_eq!([shared, own].concat(), [""; 0], "cases failed");
}
