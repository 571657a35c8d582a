//! Generations of the installation's secret that the database needs.

use futures_util::TryStreamExt;
use hostplane_domain::secret::Keyring;
use serde::Deserialize;

use super::{Store, StoreError, Stored, sql};

#[derive(Deserialize)]
struct Generations {
    #[serde(default = "first")]
    secret_generation: u32,
    #[serde(default = "first")]
    admin_generation: u32,
}

const fn first() -> u32 {
    Keyring::FIRST
}

impl Store {
    /// Checks that every generation of the secret that a site or a job needs is there.
    ///
    /// # Errors
    /// [`StoreError::NoGeneration`].
    pub async fn check_generations(&self, ring: &Keyring) -> Stored<()> {
        let mut connection = self.reading().await?;
        // One after the other: there may be thousands.
        let mut specs = sql::scalar::<String>(
            "SELECT spec FROM sites WHERE spec IS NOT NULL
             UNION ALL SELECT before_spec FROM jobs WHERE before_spec IS NOT NULL AND finished_at IS NULL
             UNION ALL SELECT after_spec FROM jobs WHERE after_spec IS NOT NULL AND finished_at IS NULL",
        )
        .fetch(&mut *connection);
        while let Some(json) = specs.try_next().await? {
            // An unreadable one is set aside when its turn comes, and must not keep the control plane from starting.
            let Ok(needed) = serde_json::from_str::<Generations>(&json) else { continue };
            let needed = [needed.secret_generation, needed.admin_generation];
            if let Some(lacks) = needed.into_iter().find(|generation| ring.get(*generation).is_none()) {
                return Err(StoreError::NoGeneration(lacks));
            }
        }
        Ok(())
    }
}
