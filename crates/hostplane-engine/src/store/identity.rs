//! Who this installation is.

use hostplane_domain::ids::InstanceId;
use uuid::Uuid;

use super::{Store, Stored, parse};

impl Store {
    /// The installation's id, made at its first start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn instance(&self) -> Stored<InstanceId> {
        let mut tx = self.writing("instance").await?;
        sqlx::query("INSERT INTO meta (key, value) VALUES ('instance', $1) ON CONFLICT (key) DO NOTHING")
            .bind(Uuid::new_v4().to_string())
            .execute(&mut *tx)
            .await?;
        let id: String =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'instance'").fetch_one(&mut *tx).await?;
        tx.commit().await?;
        parse(&id, "meta.instance")
    }
}
