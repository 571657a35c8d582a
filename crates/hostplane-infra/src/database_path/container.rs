//! [`DatabasePath`] over a container of the platform, on a network like a site's.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hostplane_domain::bridges;
use hostplane_domain::mark::LABEL_INSTANCE;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ClosedPath, DatabasePath, HOST_NAME, PathFault, PathState};
use crate::containers::{ContainerFacts, ContainerState, Containers, Exec, ExecOutput, Scope};
use crate::error::Effect;

/// The question, for `php -r`.
const ASK: &str = include_str!("ask.php");
/// Seconds until the question ends by itself inside the container: it has two for the connection and two for each
/// packet.
const LIMIT: &str = "8";
/// Time for which an answer is reused: many jobs and checks ask at once.
const FRESH: Duration = Duration::from_secs(3);
/// Most characters of a message that is passed on.
const QUOTED: usize = 200;

/// The errors with which a server that answers refuses a user whom it doesn't know; 1130 as long as it has none that may
/// come from everywhere, as the sites' users may.
const WRONG_USER: [u32; 3] = [1045, 1130, 1698];
/// No connection, in the words of the message.
const NO_CONNECTION: u32 = 2002;
/// The first number of the client's own errors.
const CLIENT: u32 = 2000;

/// Names of what the question needs.
#[derive(Debug, Clone)]
pub struct PathSettings {
    /// The container that asks.
    pub container: String,
    /// The guard's container, which knows the host's addresses.
    pub guard: String,
    /// `host:port` of the database server as the sites' containers see it.
    pub server: String,
}

/// [`DatabasePath`] over the container engine.
pub struct ContainerPath {
    containers: Arc<dyn Containers>,
    settings: PathSettings,
    last: Mutex<Option<(Instant, Effect<PathState>)>>,
}

/// Answer of the question.
#[derive(Debug, Deserialize)]
struct Answer {
    /// The server's address, or its name if it has none.
    address: String,
    number: u32,
    message: Option<String>,
}

impl ContainerPath {
    /// An adapter that asks through this engine.
    #[must_use]
    pub fn new(containers: Arc<dyn Containers>, settings: PathSettings) -> Self {
        Self { containers, settings, last: Mutex::default() }
    }

    async fn ask(&self) -> Effect<PathState> {
        let (host, port) = self.settings.server.rsplit_once(':').unwrap_or((&self.settings.server, "3306"));
        let container = match self.running(&self.settings.container).await {
            Ok(container) => container,
            Err(why) => return Ok(PathState::Unwatched(why)),
        };
        let argv = ["timeout", "--signal=KILL", LIMIT, "php", "-r", ASK, "--", host, port];
        let answer = match self.run(&container, &argv).await.and_then(|output| parse(&output)) {
            Ok(answer) => answer,
            Err(why) => return Ok(PathState::Unwatched(why)),
        };
        let Some(fault) = fault(&answer) else { return Ok(PathState::Open) };
        let on_host = (host == HOST_NAME).then(|| answer.address.parse().ok()).flatten();
        let fault = match on_host {
            Some(address) => self.fault_of_host(fault, address).await,
            None => fault,
        };
        let instance = container.labels.get(LABEL_INSTANCE).and_then(|id| id.parse().ok());
        let bridges = instance.map(bridges::bridge_prefix).unwrap_or_default();
        Err(ClosedPath { fault, on_host, server: self.settings.server.clone(), bridges }.into())
    }

    async fn running(&self, name: &str) -> Result<ContainerFacts, String> {
        let found = self.containers.containers(&Scope::Names(vec![name.to_owned()])).await;
        let mut found = found.map_err(|error| error.chain())?;
        found.retain(|container| container.state == ContainerState::Running);
        found.pop().ok_or_else(|| format!("the container {name} doesn't run"))
    }

    async fn run(&self, container: &ContainerFacts, argv: &[&str]) -> Result<ExecOutput, String> {
        let argv = argv.iter().map(|&word| word.to_owned()).collect();
        let exec = Exec { argv, user: None, stdin: Bytes::new() };
        self.containers.exec(&container.id, &exec).await.map_err(|error| error.chain())
    }

    /// The fault behind one of the sites' own host. Packets to an address that it has no more may end anywhere.
    async fn fault_of_host(&self, fault: PathFault, address: Ipv4Addr) -> PathFault {
        if self.is_gone(address).await {
            return PathFault::AddressGone { prefix: self.prefix_of(address).await };
        }
        match fault {
            // To a host with this address the sites have a route: a firewall says otherwise.
            PathFault::Unreachable(_) => PathFault::Dropped,
            fault => fault,
        }
    }

    /// True if the guard says that no interface of the host has the address.
    async fn is_gone(&self, address: Ipv4Addr) -> bool {
        let Ok(guard) = self.running(&self.settings.guard).await else { return false };
        let address = address.to_string();
        let asked = self.run(&guard, &["hostplane-guard", "address", &address]).await;
        asked.is_ok_and(|output| output.code == NO_ADDRESS)
    }

    /// The prefix length of the Engine's network with an address; the Engine knows it when the bridge is gone, too.
    async fn prefix_of(&self, address: Ipv4Addr) -> u8 {
        let networks = self.containers.networks(&Scope::All).await.unwrap_or_default();
        let mut subnets = networks.iter().flat_map(|network| &network.subnets);
        subnets.find(|subnet| subnet.contains(&address)).map_or(DEFAULT_PREFIX, ipnet::Ipv4Net::prefix_len)
    }
}

/// The guard's exit code for an address that the host doesn't have.
const NO_ADDRESS: i64 = 1;
/// The prefix length of the Engine's default bridge, unless the Engine has another.
const DEFAULT_PREFIX: u8 = 16;

fn parse(output: &ExecOutput) -> Result<Answer, String> {
    let said = |bytes: &Bytes| short(&String::from_utf8_lossy(bytes));
    let failed = || format!("the question ended with {}: {}", output.code, said(&output.stderr));
    if output.code != 0 {
        return Err(failed());
    }
    serde_json::from_slice(&output.stdout).map_err(|_| failed())
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(QUOTED).collect()
}

/// The fault that an answer shows. A refused user is none: the server has answered.
fn fault(answer: &Answer) -> Option<PathFault> {
    let message = short(answer.message.as_deref().unwrap_or_default());
    match answer.number {
        0 => None,
        number if WRONG_USER.contains(&number) => None,
        NO_CONNECTION if message.contains("Connection refused") => Some(PathFault::Refused),
        NO_CONNECTION if message.contains("timed out") => Some(PathFault::Dropped),
        NO_CONNECTION => Some(PathFault::Unreachable(message)),
        number if number < CLIENT => Some(PathFault::Denied(message)),
        _ => Some(PathFault::Silent),
    }
}

#[async_trait]
impl DatabasePath for ContainerPath {
    async fn ping(&self) -> Effect<PathState> {
        // Those that ask at the same time wait for one answer.
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = self.ask().await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(number: u32, message: &str) -> Option<PathFault> {
        fault(&Answer { address: "172.17.0.1".to_owned(), number, message: Some(message.to_owned()) })
    }

    #[test]
    fn a_refused_user_is_an_answer() {
        assert_eq!(fault_of(1045, "Access denied for user 'hostplane_path'@'172.17.0.1' (using password: NO)"), None);
        assert_eq!(fault_of(1130, "Host '10.0.0.3' is not allowed to connect to this MariaDB server"), None);
        assert_eq!(fault_of(1698, "Access denied for user 'hostplane_path'@'172.17.0.1'"), None);
        assert_eq!(fault_of(0, ""), None);
    }

    #[test]
    fn each_way_to_get_no_answer_has_its_fault() {
        assert_eq!(fault_of(2002, "Connection refused"), Some(PathFault::Refused));
        assert_eq!(fault_of(2002, "Connection timed out"), Some(PathFault::Dropped));
        let unreachable = PathFault::Unreachable("No route to host".to_owned());
        assert_eq!(fault_of(2002, "No route to host"), Some(unreachable));
        assert_eq!(fault_of(2006, "MySQL server has gone away"), Some(PathFault::Silent));
        let full = PathFault::Denied("Too many connections".to_owned());
        assert_eq!(fault_of(1040, "Too many connections"), Some(full));
    }

    #[test]
    fn an_answer_that_is_none_is_not_a_closed_path() {
        let output = |code, stdout: &'static str| ExecOutput {
            code,
            stdout: Bytes::from_static(stdout.as_bytes()),
            stderr: Bytes::from_static(b"php: not found"),
        };
        let answer = r#"{"address":"172.17.0.1","number":2002,"message":"Connection refused"}"#;
        assert!(parse(&output(0, answer)).is_ok());
        assert_eq!(parse(&output(127, answer)).unwrap_err(), "the question ended with 127: php: not found");
        assert!(parse(&output(0, "")).is_err());
    }
}
