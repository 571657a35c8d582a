//! Containers of a real Engine: one that asks, one as the guard, and a MariaDB.

use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use hostplane_domain::container::{ContainerSpec, HOST_NETWORK, PHP_USER};
use hostplane_infra::containers::{Containers, Docker};
use hostplane_infra::database_path::{ContainerPath, DatabasePath, HOST_NAME, PathSettings};
use hostplane_testing::specs;

use super::{Harness, Obstacle, run};
use crate::containers::harness;
use crate::mariadb::Server;
use crate::server::{TestNetwork, docker, image};

/// An address that no interface has: it is kept for trying out networks.
const NOWHERE: &str = "198.18.0.1";

struct Real {
    engine: Arc<Docker>,
    mariadb: Server,
    probe: Made,
    guard: Made,
    // The last to go, after what is on it.
    _network: TestNetwork,
}

/// A container that only waits, and goes when it is dropped.
struct Made(String);

impl Made {
    async fn start(engine: &Docker, what: &str, spec: ContainerSpec) -> Self {
        let name = format!("hostplane-contract-path-{what}-{}", std::process::id());
        let command = ["timeout", "0", "sleep", "infinity"].map(str::to_owned).to_vec();
        let spec = ContainerSpec { name: name.clone(), command, ..spec };
        // The labels of an installation, whose bridges an answer names.
        let mut labels = harness::process_label();
        labels.insert("hostplane.instance".to_owned(), "00000000-0000-7000-8000-000000000001".to_owned());
        let id = engine.create_container(&spec, &labels).await.expect("a container is made");
        let made = Self(name);
        engine.start_container(&id).await.expect("it starts");
        made
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        command(&["rm", "--force", &self.0]);
    }
}

fn command(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Real {
    async fn start() -> Self {
        let engine = Arc::new(docker());
        let network = TestNetwork::make("path").await;
        let mariadb = Server::start().await;
        engine.connect(&network.id, &mariadb.server.id).await.unwrap();
        let probe = ContainerSpec {
            image: image("PHP_IMAGE"),
            user: PHP_USER.to_owned(),
            network: Some(network.name.clone()),
            extra_hosts: vec![format!("{HOST_NAME}:{NOWHERE}")],
            ..specs::container()
        };
        let guard = ContainerSpec {
            image: image("GUARD_IMAGE"),
            user: "0:0".to_owned(),
            network: Some(HOST_NETWORK.to_owned()),
            tmpfs: vec![("/run".to_owned(), "rw,size=1m".to_owned())],
            ..specs::container()
        };
        let probe = Made::start(&engine, "probe", probe).await;
        let guard = Made::start(&engine, "guard", guard).await;
        Self { engine, mariadb, probe, guard, _network: network }
    }
}

#[async_trait(?Send)]
impl Harness for Real {
    async fn path(&self, obstacle: Obstacle) -> Arc<dyn DatabasePath> {
        let name = &self.mariadb.server.name;
        let pause = |what| command(&[what, name]);
        if command(&["inspect", "--format", "{{.State.Paused}}", name]) == "true" {
            pause("unpause");
        }
        let server = match obstacle {
            Obstacle::None | Obstacle::NoProbe => format!("{name}:3306"),
            Obstacle::OtherPort => format!("{name}:3399"),
            // Its address in another network: the Engine drops what goes from one to the other.
            Obstacle::Drop => {
                let address = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
                format!("{}:3306", command(&["inspect", "--format", address, name]))
            }
            Obstacle::Pause => {
                pause("pause");
                format!("{name}:3306")
            }
            Obstacle::NoAddress => format!("{HOST_NAME}:3306"),
        };
        let container = match obstacle {
            Obstacle::NoProbe => "hostplane-contract-path-none".to_owned(),
            _ => self.probe.0.clone(),
        };
        let settings = PathSettings { container, guard: self.guard.0.clone(), server };
        Arc::new(ContainerPath::new(self.engine.clone(), settings))
    }
}

#[tokio::test]
async fn a_real_path_keeps_to_the_contract() {
    run(&Real::start().await).await;
}
