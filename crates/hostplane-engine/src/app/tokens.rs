//! Tokens: add, list, verify, revoke.

use hostplane_domain::ids::TokenId;
use hostplane_infra::clock::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{App, AppError, AppResult};
use crate::store::{Listed, NewToken, StoreError, TokenFilter, TokenRecord};

impl App {
    /// Makes this the home's token, which may do everything. The token that it replaces is no longer valid.
    ///
    /// # Errors
    /// When the control database fails.
    pub async fn set_token(&self, token: &str) -> AppResult<()> {
        Ok(self.store.set_token(token, self.now()).await?)
    }

    /// The record of a token that a client shows, unless the token is unknown or has expired.
    ///
    /// # Errors
    /// When the control database fails.
    pub async fn shown_token(&self, token: &str) -> AppResult<Option<TokenRecord>> {
        Ok(self.store.shown_token(token).await?.filter(|token| token.is_valid(self.now())))
    }

    /// True unless a token was revoked or has expired.
    ///
    /// # Errors
    /// When the control database fails.
    pub async fn is_valid_token(&self, id: TokenId) -> AppResult<bool> {
        match self.store.token(id).await {
            Ok(token) => Ok(token.is_valid(self.now())),
            Err(StoreError::Missing(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a token that the caller has drawn at random. Only its hash is kept.
    ///
    /// # Errors
    /// When the control database fails.
    pub async fn add_token(&self, token: &SecretString, new: &NewToken) -> AppResult<TokenId> {
        Ok(self.store.add_token(token.expose_secret(), new, self.now()).await?)
    }

    /// Tokens, the oldest first, expired ones too.
    ///
    /// # Errors
    /// When the control database fails.
    pub async fn tokens(&self, filter: &TokenFilter) -> AppResult<Listed<TokenRecord>> {
        Ok(self.store.tokens(filter).await?.logged())
    }

    /// Revokes a token: no request that begins after this is let in with it.
    ///
    /// # Errors
    /// [`AppError::NoToken`]; [`AppError::HomeToken`], which only a new file in the home replaces.
    pub async fn revoke_token(&self, id: TokenId) -> AppResult<()> {
        if self.store.revoke_token(id).await? {
            return Ok(());
        }
        match self.store.token(id).await {
            Ok(_) => Err(AppError::HomeToken),
            Err(StoreError::Missing(_)) => Err(AppError::NoToken),
            Err(error) => Err(error.into()),
        }
    }

    /// The time by which tokens expire.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.now()
    }
}
