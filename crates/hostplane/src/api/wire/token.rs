//! Tokens of the API.

use hostplane_domain::ids::TokenId;
use hostplane_domain::token::TokenScope;
use hostplane_engine::store::TokenRecord;
use serde::{Deserialize, Serialize};

use super::time::time;

/// A token, without its value.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub id: TokenId,
    pub name: String,
    pub scope: TokenScope,
    /// True for the token in the control plane's home.
    pub of_home: bool,
    pub created_at: String,
    pub expires_at: Option<String>,
}

/// A new token with its value. It has no `Debug`, so that no log prints the value.
#[derive(Serialize, Deserialize)]
pub(crate) struct CreatedToken {
    pub id: TokenId,
    pub name: String,
    pub token: String,
    pub scope: TokenScope,
    pub expires_at: Option<String>,
}

/// Request to create a token.
#[derive(Debug, Serialize)]
pub(crate) struct CreateToken {
    pub name: String,
    pub scope: TokenScope,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

impl From<TokenRecord> for Token {
    fn from(record: TokenRecord) -> Self {
        Self {
            id: record.id,
            name: record.name.to_string(),
            scope: record.scope,
            of_home: record.of_home,
            created_at: time(record.created_at),
            expires_at: record.expires_at.map(time),
        }
    }
}
