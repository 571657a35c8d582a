//! The identity of this installation.

use hostplane_domain::ids::InstanceId;
use uuid::Uuid;

use super::row::parse;
use super::{Store, Stored, sql};

impl Store {
    /// The installation's id, made at its first start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn instance(&self) -> Stored<InstanceId> {
        let mut tx = self.writing("instance").await?;
        sql::query("INSERT INTO meta (key, value) VALUES ('instance', $1) ON CONFLICT (key) DO NOTHING")
            .bind(Uuid::new_v4().to_string())
            .execute(&mut *tx)
            .await?;
        let id: String = sql::scalar("SELECT value FROM meta WHERE key = 'instance'").fetch_one(&mut *tx).await?;
        tx.commit().await?;
        parse(&id, "meta.instance")
    }
}
