//! API tokens, stored as hashes.

use hostplane_domain::ids::TokenId;
use hostplane_domain::token::{TokenName, TokenScope};
use hostplane_infra::clock::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{Store, StoreError, Stored, parse};

/// What the home's token is called.
const HOME: &str = "home";

/// A token, without what would let somebody use it.
#[derive(Debug, Clone)]
pub struct TokenRecord {
    /// Its id.
    pub id: TokenId,
    /// For whom or what it was made.
    pub name: TokenName,
    /// What it may do.
    pub scope: TokenScope,
    /// The one in the home: it can't be revoked.
    pub of_home: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is not valid.
    pub expires_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Whether it can be used.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A token that is asked for.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// For whom or what.
    pub name: TokenName,
    /// What it may do.
    pub scope: TokenScope,
    /// From when on it is not valid.
    pub expires_at: Option<Timestamp>,
}

/// Which tokens to list.
#[derive(Debug, Clone, Default)]
pub struct TokenFilter {
    /// Only those made after this one.
    pub after: Option<TokenId>,
    /// At most this many.
    pub limit: u32,
}

const COLUMNS: &str = "id, name, scope, of_home, created_at, expires_at";

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

fn read(row: &SqliteRow) -> Stored<TokenRecord> {
    Ok(TokenRecord {
        id: parse(row.try_get("id")?, "tokens.id")?,
        name: parse(row.try_get("name")?, "tokens.name")?,
        scope: parse(row.try_get("scope")?, "tokens.scope")?,
        of_home: row.try_get::<i64, _>("of_home")? != 0,
        created_at: Timestamp(row.try_get("created_at")?),
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(Timestamp),
    })
}

impl Store {
    /// Makes this the home's token: the one that it replaces is revoked, every other stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_token(&self, token: &str, now: Timestamp) -> Stored<()> {
        let mut tx = self.writing("set_token").await?;
        sqlx::query("DELETE FROM tokens WHERE of_home = 1 AND hash <> $1").bind(hash(token)).execute(&mut *tx).await?;
        // Whoever puts another token of ours into the home makes it the home's.
        sqlx::query(
            "INSERT INTO tokens (id, hash, name, scope, of_home, created_at) VALUES ($1, $2, $3, 'admin', 1, $4)
             ON CONFLICT (hash) DO UPDATE SET scope = 'admin', of_home = 1, expires_at = NULL",
        )
        .bind(Uuid::now_v7().to_string())
        .bind(hash(token))
        .bind(HOME)
        .bind(now.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Adds a token. Only its hash is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_token(&self, token: &str, new: &NewToken, now: Timestamp) -> Stored<TokenId> {
        let id = TokenId::new(Uuid::now_v7());
        let mut tx = self.writing("add_token").await?;
        sqlx::query(
            "INSERT INTO tokens (id, hash, name, scope, of_home, created_at, expires_at)
             VALUES ($1, $2, $3, $4, 0, $5, $6)",
        )
        .bind(id.to_string())
        .bind(hash(token))
        .bind(new.name.as_str())
        .bind(new.scope.as_str())
        .bind(now.0)
        .bind(new.expires_at.map(|end| end.0))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(id)
    }

    /// What is known of a token that somebody shows, whether or not it has expired. It is looked up by its
    /// hash, so how long the answer takes says nothing about the token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shown_token(&self, token: &str) -> Stored<Option<TokenRecord>> {
        let statement = format!("SELECT {COLUMNS} FROM tokens WHERE hash = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(hash(token))
            .fetch_optional(&mut *self.reading().await?)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// One token.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none.
    pub async fn token(&self, id: TokenId) -> Stored<TokenRecord> {
        let statement = format!("SELECT {COLUMNS} FROM tokens WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(id.to_string())
            .fetch_optional(&mut *self.reading().await?)
            .await?
            .ok_or(StoreError::Missing("token"))?;
        read(&row)
    }

    /// Tokens, the oldest first, expired ones too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tokens(&self, filter: &TokenFilter) -> Stored<Vec<TokenRecord>> {
        let statement = format!("SELECT {COLUMNS} FROM tokens WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(filter.after.map_or_else(String::new, |id| id.to_string()))
            .bind(filter.limit)
            .fetch_all(&mut *self.reading().await?)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Revokes a token that is not the home's, and says whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_token(&self, id: TokenId) -> Stored<bool> {
        let mut tx = self.writing("revoke_token").await?;
        let gone = sqlx::query("DELETE FROM tokens WHERE id = $1 AND of_home = 0")
            .bind(id.to_string())
            .execute(&mut *tx)
            .await?
            .rows_affected();
        tx.commit().await?;
        Ok(gone > 0)
    }
}
