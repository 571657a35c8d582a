//! Parts of a request, parsed for the handlers. Bad input becomes a [`Problem`] here.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use hostplane_domain::ids::{JobId, TokenId};
use hostplane_domain::name::SiteName;
use hostplane_engine::app::OrphanId;
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use tokio::time::timeout;

use super::problem::{ApiResult, Problem, ProblemKind};

/// Largest body, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;
/// Longest time for a client to send its body.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// Longest value of a query parameter, in bytes.
const PARAMETER_LIMIT: usize = 200;

/// The members of a JSON object, in the order in which they came and with their duplicates.
#[derive(Debug)]
pub(crate) struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Members {
    /// Refuses unknown members and duplicates.
    pub fn only(&self, known: &[&str]) -> ApiResult<()> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                return Err(Problem::field(name, format!("there is no such field; there are {known}")));
            }
            if self.0[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::field(name, "this field came twice; send it once"));
            }
        }
        Ok(())
    }

    /// A text that may be left out.
    pub fn text(&self, name: &str) -> ApiResult<Option<&str>> {
        match self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::field(name, format!("{name} is a text"))),
        }
    }

    /// A value that reads as a type, if it is there.
    pub fn parsed<T: DeserializeOwned>(&self, name: &str, expected: &str) -> ApiResult<Option<T>> {
        match self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|_| Problem::field(name, expected)),
        }
    }

    /// A text that must be there.
    pub fn required_text(&self, name: &str) -> ApiResult<&str> {
        self.text(name)?.ok_or_else(|| Problem::field(name, format!("{name} is missing; it is a text")))
    }

    /// A whole number that may be left out.
    pub fn number(&self, name: &str) -> ApiResult<Option<u64>> {
        match self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_u64();
                number.map(Some).ok_or_else(|| Problem::field(name, format!("{name} is a whole number, not negative")))
            }
        }
    }

    fn read(bytes: &[u8]) -> ApiResult<Self> {
        serde_json::from_slice(bytes).map_err(|error| match error.classify() {
            Category::Data => Problem::whole_body("the body is a JSON object"),
            _ => Problem::new(
                ProblemKind::MalformedJson,
                format!("the body is not JSON: error at line {}, column {}", error.line(), error.column()),
            ),
        })
    }
}

impl<S: Send + Sync> FromRequest<S> for Members {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        require_json(request.headers())?;
        let body = timeout(BODY_PATIENCE, to_bytes(request.into_body(), BODY_LIMIT)).await.map_err(|_| {
            let seconds = BODY_PATIENCE.as_secs();
            Problem::new(ProblemKind::RequestTimeout, format!("the body did not come within {seconds} s"))
        })?;
        match body {
            Ok(bytes) => Self::read(&bytes),
            Err(error) if is_limit(&error) => Err(too_large()),
            Err(_) => Err(Problem::new(ProblemKind::Refused, "the body broke off")),
        }
    }
}

fn is_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
}

fn too_large() -> Problem {
    Problem::new(ProblemKind::BodyTooLarge, format!("a body has at most {BODY_LIMIT} bytes"))
}

/// Refuses a body whose declared length is too large, even if the handler would not read it.
pub(crate) fn check_length(headers: &HeaderMap) -> ApiResult<()> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT as u64) { Err(too_large()) } else { Ok(()) }
}

fn require_json(headers: &HeaderMap) -> ApiResult<()> {
    let unsupported = || {
        Problem::new(
            ProblemKind::UnsupportedMediaType,
            "send the body as JSON, with the header content-type: application/json",
        )
    };
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).ok_or_else(unsupported)?;
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((key, value)) if key.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    let is_plain = headers.get_all(CONTENT_ENCODING).iter().all(|value| value == "identity");
    if is_json && is_utf8 && is_plain { Ok(()) } else { Err(unsupported()) }
}

/// The one parameter of a path.
pub(crate) struct InPath<T>(pub T);

/// Type of a path parameter.
pub(crate) trait PathParameter: FromStr<Err: fmt::Display> {
    /// Name of the parameter in the route.
    const NAME: &'static str;
    /// Advice for an invalid value.
    const HINT: &'static str;
}

impl PathParameter for OrphanId {
    const NAME: &'static str = "id";
    const HINT: &'static str = "`GET /api/v1/orphans` lists all orphans";
}

impl PathParameter for SiteName {
    const NAME: &'static str = "site";
    const HINT: &'static str = "`GET /api/v1/sites` lists all sites";
}

impl PathParameter for JobId {
    const NAME: &'static str = "id";
    const HINT: &'static str = "`GET /api/v1/jobs` lists all jobs";
}

impl PathParameter for TokenId {
    const NAME: &'static str = "id";
    const HINT: &'static str = "`GET /api/v1/tokens` lists all tokens";
}

impl<S: Send + Sync, T: PathParameter> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let refuse = |why: &dyn fmt::Display| Problem::parameter(T::NAME, format!("{why}; {}", T::HINT));
        let text = Path::<String>::from_request_parts(parts, state).await.map_err(|_| refuse(&"not UTF-8"))?;
        text.parse().map(Self).map_err(|error| refuse(&error))
    }
}

/// The parameters of a query.
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let refused = |_| Problem::new(ProblemKind::InvalidParameter, "the query can't be read");
        Query::from_request_parts(parts, state).await.map(|Query(pairs)| Self(pairs)).map_err(refused)
    }
}

impl Params {
    /// Refuses unknown parameters, duplicates, and values that are too long.
    pub fn only(&self, known: &[&'static str]) -> ApiResult<()> {
        for (at, (name, value)) in self.0.iter().enumerate() {
            let Some(known_name) = known.iter().find(|known| *known == name) else {
                let hint = if known.is_empty() { "this address takes none" } else { &known.join(", ") };
                let detail = format!("there is no such query parameter; known here: {hint}");
                return Err(Problem::new(ProblemKind::InvalidParameter, detail));
            };
            if self.0[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::parameter(known_name, format!("{name} came twice; send it once")));
            }
            if value.len() > PARAMETER_LIMIT {
                let detail = format!("{name} has at most {PARAMETER_LIMIT} bytes");
                return Err(Problem::parameter(known_name, detail));
            }
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that parses, if it is there.
    pub fn parsed<T: FromStr>(&self, name: &'static str, expected: &str) -> ApiResult<Option<T>> {
        let parse = |text: &str| text.parse().map_err(|_| Problem::parameter(name, format!("{name} is {expected}")));
        self.get(name).map(parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::StatusCode;
    use futures_util::stream;
    use std::convert::Infallible;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let body = Body::from_stream(stream::pending::<Result<Vec<u8>, Infallible>>());
        let request = Request::builder().header(CONTENT_TYPE, "application/json").body(body).unwrap();
        let problem = Members::from_request(request, &()).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_refused() {
        let body = Body::from_stream(stream::iter([Ok(b"{".to_vec()), Err(std::io::Error::other("gone"))]));
        let request = Request::builder().header(CONTENT_TYPE, "application/json").body(body).unwrap();
        let problem = Members::from_request(request, &()).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
    }
}
