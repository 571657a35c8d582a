//! Whether the control plane can work now.

use hostplane_infra::error::Dependency;

use super::App;

/// The dependencies, and what is wrong with each.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Name, and the error if it doesn't answer.
    pub checks: Vec<(&'static str, Option<String>)>,
}

impl Readiness {
    /// Everything answers.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|(_, error)| error.is_none())
    }
}

impl App {
    /// Asks every dependency.
    pub async fn readiness(&self) -> Readiness {
        let ping = |dependency: Dependency| async move {
            (dependency.as_str(), self.world.ping(dependency).await.err().map(|error| error.to_string()))
        };
        let store = async { ("store", self.store.ping().await.err().map(|error| error.to_string())) };
        let (store, docker, mariadb, caddy) =
            futures_util::join!(store, ping(Dependency::Docker), ping(Dependency::Mariadb), ping(Dependency::Caddy));
        Readiness { checks: vec![store, docker, mariadb, caddy] }
    }
}
