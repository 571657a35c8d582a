//! Readiness of the control plane.

use hostplane_infra::error::Dependency;

use super::App;

/// The checks, each with its result in words that anyone may read: causes name paths and addresses, and are the
/// doctor's and the log's.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Name of each check, and what it found if it failed.
    pub checks: Vec<(&'static str, Option<&'static str>)>,
}

impl Readiness {
    /// True if every check passed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|(_, failure)| failure.is_none())
    }
}

impl App {
    /// Checks every dependency, and that the control database is not stale.
    pub async fn readiness(&self) -> Readiness {
        let silent = "doesn't answer";
        let ping = |dependency: Dependency| async move {
            (dependency.as_str(), self.world.ping(dependency).await.err().map(|_| silent))
        };
        let store = async { ("store", self.store.ping().await.err().map(|_| silent)) };
        let journal = async { ("journal", self.stale_database().await) };
        let (store, docker, mariadb, caddy, path, journal) = futures_util::join!(
            store,
            ping(Dependency::DOCKER),
            ping(Dependency::Mariadb),
            ping(Dependency::CADDY),
            ping(Dependency::DATABASE_PATH),
            journal
        );
        Readiness { checks: vec![store, docker, mariadb, caddy, path, journal] }
    }

    async fn stale_database(&self) -> Option<&'static str> {
        match self.staleness.unknown_objects().await {
            Ok(unknown) if unknown.is_empty() => None,
            Ok(_) => Some("the control database is stale: restore a newer copy"),
            Err(_) => Some("not compared with the world yet"),
        }
    }
}
