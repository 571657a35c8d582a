//! A real Engine behind TLS: whom it answers, and what is said to all others.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{Containers, Docker, Scope};
use hostplane_infra::error::EffectError;
use tempfile::TempDir;

use crate::host::{Host, cable};
use crate::own_engine::OwnEngine;
use hostplane_testing::certificates::Authority;

/// An Engine on a host of its own, and the files that it was started with.
struct Harness {
    authority: Authority,
    files: TempDir,
    engine: OwnEngine,
    address: SocketAddr,
}

impl Harness {
    fn new() -> Self {
        let host = Host::new();
        let (address, _) = cable(&host, None);
        let authority = Authority::new();
        let files = authority.server(&address.to_string());
        let address = SocketAddr::from((address, 2376));
        let mut engine = OwnEngine::behind_tls(host, address, files.path());
        engine.start();
        Self { authority, files, engine, address }
    }

    /// Starts the Engine again with other files.
    fn restart_with(&mut self, files: &TempDir) {
        self.engine.end("TERM");
        copy(files, self.files.path());
        self.engine.start();
    }

    fn docker(&self, client: &TempDir) -> Docker {
        Docker::connect(&format!("tcp://{}", self.address), Some(client.path())).expect("an address")
    }

    /// A change is refused before it was sent, in words that name the Engine and the cause.
    async fn refuses(&self, client: &TempDir, words: &str) {
        let error = self.docker(client).create_volume("refused", &Labels::new()).await.expect_err(words);
        assert!(matches!(error, EffectError::Transient { .. }), "{error:?}");
        let error = error.to_string();
        assert!(error.contains(&format!("tcp://{}", self.address)) && error.contains(words), "{error}");
    }
}

fn copy(files: &TempDir, to: &Path) {
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(files.path().join(name), to.join(name)).expect("a copy");
    }
}

#[tokio::test]
async fn engine_and_client_authenticate_each_other() {
    let mut harness = Harness::new();
    let (ours, theirs) = (harness.authority.client(), Authority::new());
    let docker = harness.docker(&ours);
    docker.ping().await.expect("both know each other");
    docker.create_volume("made", &Labels::new()).await.expect("a volume");

    let stranger = theirs.client();
    harness.authority.trust(stranger.path());
    harness.refuses(&stranger, "it refuses our certificate").await;
    harness.refuses(&harness.authority.expired_client(), "our certificate").await;
    harness.refuses(&theirs.client(), "was not signed by the CA in").await;

    let host = harness.address.ip().to_string();
    let right = harness.authority.server(&host);
    harness.restart_with(&harness.authority.server("app2.example.com"));
    harness.refuses(&ours, &format!("is not made out to {host}")).await;
    harness.restart_with(&harness.authority.expired_server(&host));
    harness.refuses(&ours, "its certificate has expired").await;

    // The adapter that was there all the time goes on, and nothing of what was refused was done.
    harness.restart_with(&right);
    let mut volumes = docker.volumes(&Scope::All).await;
    // The connection of before may be the one by which the end is noticed.
    if let Err(EffectError::Transient { .. }) = volumes {
        volumes = docker.volumes(&Scope::All).await;
    }
    let volumes = volumes.expect("the Engine is back");
    assert_eq!(volumes.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), ["made"]);
}
