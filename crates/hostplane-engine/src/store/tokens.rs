//! API tokens, stored as hashes.

use hostplane_infra::clock::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Store, Stored};

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

impl Store {
    /// Makes this the only valid token: one that was replaced is revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_token(&self, token: &str, now: Timestamp) -> Stored<()> {
        let mut tx = self.writing("set_token").await?;
        sqlx::query("DELETE FROM tokens WHERE hash <> $1").bind(hash(token)).execute(&mut *tx).await?;
        sqlx::query("INSERT INTO tokens (id, hash, created_at) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING")
            .bind(Uuid::now_v7().to_string())
            .bind(hash(token))
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    /// Whether the token is one of ours. It is looked up by its hash, so how long the answer takes says
    /// nothing about the token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn knows_token(&self, token: &str) -> Stored<bool> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM tokens WHERE hash = $1")
            .bind(hash(token))
            .fetch_optional(&mut *self.reading().await?)
            .await?;
        Ok(found.is_some())
    }
}
