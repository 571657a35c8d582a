//! `/tokens`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hostplane_domain::ids::TokenId;
use hostplane_domain::token::{TokenName, TokenScope};
use hostplane_engine::store::{NewToken, TokenFilter};
use hostplane_infra::clock::Timestamp;
use secrecy::ExposeSecret;

use super::extract::{InPath, Members, Params};
use super::page::{limit, page};
use super::problem::{ApiResult, Problem};
use super::state::Api;
use super::wire::{CreatedToken, Page, Token};
use crate::home;

/// Longest life of a token that expires: ten years.
const LONGEST: Duration = Duration::from_hours(10 * 366 * 24);

pub(super) async fn create(State(api): State<Api>, params: Params, members: Members) -> ApiResult<Response> {
    params.only(&[])?;
    let new = new_token(&members, api.app.time())?;
    let token = home::new_token().map_err(|error| Problem::internal(error.to_string()))?;
    let id = api.app.add_token(&token, &new).await?;
    let made = CreatedToken {
        id,
        name: new.name.to_string(),
        token: token.expose_secret().to_owned(),
        scope: new.scope,
        expires_at: new.expires_at.map(|end| end.to_string()),
    };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

fn new_token(members: &Members, now: Timestamp) -> ApiResult<NewToken> {
    members.only(&["name", "scope", "expires_at", "expires_in"])?;
    let name = TokenName::parse(members.required_text("name")?);
    let name = name.map_err(|error| Problem::field("name", error.to_string()))?;
    let scope: TokenScope = members
        .required_text("scope")?
        .parse()
        .map_err(|_| Problem::field("scope", "scope is one of read, operate, admin"))?;
    let expires_at = match (members.text("expires_at")?, members.number("expires_in")?) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(Problem::field("expires_in", "send expires_at or expires_in, not both"));
        }
        (Some(at), None) => {
            let at: jiff::Timestamp = at
                .parse()
                .map_err(|_| Problem::field("expires_at", "expires_at is a time such as 2030-01-31T12:00:00Z"))?;
            let at = Timestamp(at.as_microsecond());
            if at <= now || at > now.plus(LONGEST) {
                return Err(Problem::field("expires_at", "expires_at is in the future, by ten years at most"));
            }
            Some(at)
        }
        (None, Some(seconds)) => {
            let life = Duration::from_secs(seconds);
            if life.is_zero() || life > LONGEST {
                let most = LONGEST.as_secs();
                return Err(Problem::field("expires_in", format!("expires_in is from 1 to {most} seconds")));
            }
            Some(now.plus(life))
        }
    };
    Ok(NewToken { name, scope, expires_at })
}

pub(super) async fn list(State(api): State<Api>, params: Params) -> ApiResult<Json<Page<Token>>> {
    params.only(&["cursor", "limit"])?;
    let after = params.parsed("cursor", "the next_cursor of an earlier page")?;
    let limit = limit(&params)?;
    let found = api.app.tokens(&TokenFilter { after, limit: limit + 1 }).await?;
    Ok(Json(page(found, limit, |token| token.id.to_string())))
}

pub(super) async fn revoke(
    State(api): State<Api>,
    InPath(id): InPath<TokenId>,
    params: Params,
) -> ApiResult<StatusCode> {
    params.only(&[])?;
    api.app.revoke_token(id).await?;
    Ok(StatusCode::NO_CONTENT)
}
