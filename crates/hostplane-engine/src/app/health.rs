//! Whether the control plane can work now.

use hostplane_infra::error::Dependency;

use super::App;

/// The dependencies, and what is wrong with each.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Name, and the error if there is one.
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
        let journal = async { ("journal", self.age_of_journal().await) };
        let (store, docker, mariadb, caddy, journal) = futures_util::join!(
            store,
            ping(Dependency::Docker),
            ping(Dependency::Mariadb),
            ping(Dependency::Caddy),
            journal
        );
        Readiness { checks: vec![store, docker, mariadb, caddy, journal] }
    }

    /// What is wrong if the database is older than the world, or if that can't be told.
    async fn age_of_journal(&self) -> Option<String> {
        let unknown = match self.staleness.unknown_objects().await {
            Ok(unknown) if unknown.is_empty() => return None,
            Ok(unknown) => unknown,
            Err(error) => return Some(format!("not compared with the world yet: {error}")),
        };
        // Whoever asks needs no token, so nothing is named.
        let count = unknown.len();
        Some(format!(
            "the control database is older than the world: it doesn't know the jobs that made {count} of the things \
             there; the log names them; restore a newer copy of it"
        ))
    }
}
