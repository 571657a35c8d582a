//! Hands on a real Engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use bytes::Bytes;
use hostplane_domain::mark::Labels;
use hostplane_infra::containers::{ArchiveEntry, ContainerState, Containers, Docker, Scope};
use ipnet::Ipv4Net;
use tokio::task::JoinHandle;

use super::harness::Hands;

pub struct RealHands {
    engine: Arc<Docker>,
    removal: Mutex<Option<JoinHandle<()>>>,
}

impl RealHands {
    pub fn new(engine: Arc<Docker>) -> Self {
        Self { engine, removal: Mutex::default() }
    }
}

#[async_trait]
impl Hands for RealHands {
    async fn second_network(&self, name: &str, labels: &Labels, subnet: Ipv4Net) {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let path = host.trim_start_matches("unix://");
        let client = bollard::Docker::connect_with_unix(path, 60, bollard::API_DEFAULT_VERSION).expect("the socket");
        let config = IpamConfig { subnet: Some(subnet.to_string()), ..IpamConfig::default() };
        // Without the check for duplicates that the adapter asks for.
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            labels: Some(labels.clone().into_iter().collect::<HashMap<_, _>>()),
            ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
            ..NetworkCreateRequest::default()
        };
        client.create_network(request).await.expect("the network is made");
    }

    /// The more files a container has of its own, the longer its removal takes.
    async fn begin_removal(&self, id: &str, effort: u32) {
        let file = |number| ArchiveEntry {
            path: format!("{number}"),
            mode: 0o644,
            uid: 33,
            contents: Some(Bytes::from_static(b"x")),
        };
        let files: Vec<ArchiveEntry> = (0..500 * effort).map(file).collect();
        self.engine.upload(id, "/tmp", &files).await.expect("files are written");
        let (engine, id) = (self.engine.clone(), id.to_owned());
        let removal = {
            let id = id.clone();
            tokio::spawn(async move { engine.remove_container(&id).await.expect("it is removed") })
        };
        *self.removal.lock().expect("not poisoned") = Some(removal);
        // Until it has been killed it is listed like any that runs.
        loop {
            let found = self.engine.containers(&Scope::All).await.expect("containers are listed");
            if found.iter().all(|facts| facts.id != id || facts.state == ContainerState::Removing) {
                return;
            }
        }
    }

    async fn end_removal(&self, _id: &str) {
        let removal = self.removal.lock().expect("not poisoned").take();
        removal.expect("a removal was begun").await.expect("it ends well");
    }
}
