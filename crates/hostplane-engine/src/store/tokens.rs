//! API tokens, stored as hashes.

use hostplane_domain::ids::TokenId;
use hostplane_domain::token::{TokenName, TokenScope};
use hostplane_infra::clock::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::dialect::Row;
use super::listed::Filling;
use super::row::{flag, get, parsed, time};
use super::{Listed, Store, StoreError, Stored, sql};

/// The name of the home's token.
const HOME: &str = "home";

/// A token, without the text that gives access.
#[derive(Debug, Clone)]
pub struct TokenRecord {
    /// Its id.
    pub id: TokenId,
    /// Its user, as named when it was made.
    pub name: TokenName,
    /// The requests that it may make.
    pub scope: TokenScope,
    /// The one in the home: it can't be revoked.
    pub of_home: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// The moment from which it is not valid.
    pub expires_at: Option<Timestamp>,
}

impl TokenRecord {
    /// True until it expires.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its user.
    pub name: TokenName,
    /// The requests that it may make.
    pub scope: TokenScope,
    /// The moment from which it is not valid.
    pub expires_at: Option<Timestamp>,
}

/// Conditions on tokens to be listed.
#[derive(Debug, Clone, Default)]
pub struct TokenFilter {
    /// Only those made after this one.
    pub after: Option<TokenId>,
    /// At most this many.
    pub limit: u32,
}

pub(super) const COLUMNS: &str = "id, name, scope, of_home, created_at, expires_at";

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

pub(super) fn read(row: &Row) -> Stored<TokenRecord> {
    Ok(TokenRecord {
        id: parsed(row, "tokens.id")?,
        name: parsed(row, "tokens.name")?,
        scope: parsed(row, "tokens.scope")?,
        of_home: flag(row, "tokens.of_home")?,
        created_at: Timestamp(get(row, "tokens.created_at")?),
        expires_at: time(row, "tokens.expires_at")?,
    })
}

impl Store {
    /// Makes this the home's token: the one that it replaces is revoked, every other stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_token(&self, token: &str, now: Timestamp) -> Stored<()> {
        let mut tx = self.writing("set_token").await?;
        sql::query("DELETE FROM tokens WHERE of_home = 1 AND hash <> $1").bind(hash(token)).execute(&mut *tx).await?;
        // Another token of ours that an operator puts into the home becomes the home's.
        sql::query(
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
        sql::query(
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

    /// The token that a request shows, expired or not. The lookup is by its hash, so the time that the answer takes
    /// says nothing about the token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shown_token(&self, token: &str) -> Stored<Option<TokenRecord>> {
        let row = sql::query(format!("SELECT {COLUMNS} FROM tokens WHERE hash = $1"))
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
        let row = sql::query(format!("SELECT {COLUMNS} FROM tokens WHERE id = $1"))
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
    pub async fn tokens(&self, filter: &TokenFilter) -> Stored<Listed<TokenRecord>> {
        let mut connection = self.reading().await?;
        let statement = format!("SELECT {COLUMNS} FROM tokens WHERE id > $1 ORDER BY id LIMIT $2");
        let after = filter.after.map_or_else(String::new, |id| id.to_string());
        let mut filling = Filling::new(filter.limit);
        loop {
            let query = sql::query(statement.clone()).bind(after.as_str()).bind(filling.limit());
            let tokens = Listed::read("tokens", &query.fetch_all(&mut *connection).await?, read)?;
            if let Some(tokens) = filling.done(tokens) {
                return Ok(tokens);
            }
        }
    }

    /// Revokes a token that is not the home's. `false` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_token(&self, id: TokenId) -> Stored<bool> {
        let mut tx = self.writing("revoke_token").await?;
        let gone = sql::query("DELETE FROM tokens WHERE id = $1 AND of_home = 0")
            .bind(id.to_string())
            .execute(&mut *tx)
            .await?
            .rows_affected();
        tx.commit().await?;
        Ok(gone > 0)
    }
}
