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
        sqlx::query("INSERT INTO meta (key, value) VALUES ('instance', $1) ON CONFLICT (key) DO NOTHING")
            .bind(Uuid::new_v4().to_string())
            .execute(&self.write)
            .await?;
        let id: String =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'instance'").fetch_one(&self.write).await?;
        parse(&id, "meta.instance")
    }
}
