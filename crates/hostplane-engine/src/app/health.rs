//! Readiness of the control plane.

use hostplane_infra::error::Dependency;

use super::App;

/// The checks, each with its result.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Name of each check, and the error if it failed.
    pub checks: Vec<(&'static str, Option<String>)>,
}

impl Readiness {
    /// True if every check passed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|(_, error)| error.is_none())
    }
}

impl App {
    /// Checks every dependency, and that the control database is not stale.
    pub async fn readiness(&self) -> Readiness {
        let ping = |dependency: Dependency| async move {
            (dependency.as_str(), self.world.ping(dependency).await.err().map(|error| error.to_string()))
        };
        let store = async { ("store", self.store.ping().await.err().map(|error| error.to_string())) };
        let journal = async { ("journal", self.stale_database().await) };
        let (store, docker, mariadb, caddy, journal) = futures_util::join!(
            store,
            ping(Dependency::DOCKER),
            ping(Dependency::Mariadb),
            ping(Dependency::CADDY),
            journal
        );
        Readiness { checks: vec![store, docker, mariadb, caddy, journal] }
    }

    /// The error if the control database is stale, or if that is unknown.
    async fn stale_database(&self) -> Option<String> {
        let unknown = match self.staleness.unknown_objects().await {
            Ok(unknown) if unknown.is_empty() => return None,
            Ok(unknown) => unknown,
            Err(error) => return Some(format!("not compared with the world yet: {error}")),
        };
        // Readiness needs no token, so no object is named.
        let count = unknown.len();
        Some(format!(
            "the control database is stale: it doesn't know the jobs that made {count} of the objects, which the log \
             names; restore a newer copy"
        ))
    }
}
