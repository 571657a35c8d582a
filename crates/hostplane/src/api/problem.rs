//! Errors as RFC 9457 describes them. The types are stable; `docs/api.md` lists them.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use hostplane_domain::token::TokenScope;
use hostplane_engine::app::AppError;
use serde::{Deserialize, Serialize};

/// Kind of a problem. It decides the end of its `type`, its status and its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    MalformedJson,
    InvalidParameter,
    ConfirmationRequired,
    Unauthorized,
    InsufficientScope,
    NotFound,
    SiteNotFound,
    JobNotFound,
    TokenNotFound,
    OrphanNotFound,
    MethodNotAllowed,
    RequestTimeout,
    SiteExists,
    SiteBusy,
    WrongStatus,
    SiteNotRunning,
    JobNotRetriable,
    JobNotCancellable,
    HomeToken,
    OrphanStays,
    BodyTooLarge,
    UnsupportedMediaType,
    InvalidField,
    KindNotAvailable,
    TooManyWrongTokens,
    TooManyAnonymousRequests,
    TooManyStreams,
    Refused,
    InternalError,
    DiskReserve,
    Unanswered,
    Stopping,
    Overdue,
}

const PREFIX: &str = "urn:hostplane:problem:";

impl ProblemKind {
    #[cfg(test)]
    pub const ALL: &[Self] = &[
        Self::MalformedJson,
        Self::InvalidParameter,
        Self::ConfirmationRequired,
        Self::Unauthorized,
        Self::InsufficientScope,
        Self::NotFound,
        Self::SiteNotFound,
        Self::JobNotFound,
        Self::TokenNotFound,
        Self::OrphanNotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::SiteExists,
        Self::SiteBusy,
        Self::WrongStatus,
        Self::SiteNotRunning,
        Self::JobNotRetriable,
        Self::JobNotCancellable,
        Self::HomeToken,
        Self::OrphanStays,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidField,
        Self::KindNotAvailable,
        Self::TooManyWrongTokens,
        Self::TooManyAnonymousRequests,
        Self::TooManyStreams,
        Self::Refused,
        Self::InternalError,
        Self::DiskReserve,
        Self::Unanswered,
        Self::Stopping,
        Self::Overdue,
    ];

    /// Slug, status, title.
    pub(crate) const fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::MalformedJson => ("malformed-json", StatusCode::BAD_REQUEST, "The body is not JSON"),
            Self::InvalidParameter => {
                ("invalid-parameter", StatusCode::BAD_REQUEST, "A parameter of the address is not valid")
            }
            Self::ConfirmationRequired => {
                ("confirmation-required", StatusCode::BAD_REQUEST, "The confirmation is missing or wrong")
            }
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "A valid token is needed"),
            Self::InsufficientScope => {
                ("insufficient-scope", StatusCode::FORBIDDEN, "The token does not have the scope")
            }
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is nothing at this address"),
            Self::SiteNotFound => ("site-not-found", StatusCode::NOT_FOUND, "There is no such site"),
            Self::JobNotFound => ("job-not-found", StatusCode::NOT_FOUND, "There is no such job"),
            Self::TokenNotFound => ("token-not-found", StatusCode::NOT_FOUND, "There is no such token"),
            Self::OrphanNotFound => ("orphan-not-found", StatusCode::NOT_FOUND, "There is no such orphan"),
            Self::MethodNotAllowed => {
                ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "The address has no such method")
            }
            Self::RequestTimeout => ("request-timeout", StatusCode::REQUEST_TIMEOUT, "The request came too slowly"),
            Self::SiteExists => ("site-exists", StatusCode::CONFLICT, "A site of this name exists"),
            Self::SiteBusy => ("site-busy", StatusCode::CONFLICT, "The site is busy"),
            Self::WrongStatus => ("wrong-status", StatusCode::CONFLICT, "The site's status does not allow it"),
            Self::SiteNotRunning => ("site-not-running", StatusCode::CONFLICT, "The site's container does not run"),
            Self::JobNotRetriable => ("job-not-retriable", StatusCode::CONFLICT, "The job cannot be retried"),
            Self::JobNotCancellable => ("job-not-cancellable", StatusCode::CONFLICT, "The job cannot be cancelled"),
            Self::HomeToken => ("home-token", StatusCode::CONFLICT, "The home's token cannot be revoked"),
            Self::OrphanStays => ("orphan-stays", StatusCode::CONFLICT, "The orphan is not removed"),
            Self::BodyTooLarge => ("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body's type is not supported")
            }
            Self::InvalidField => {
                ("invalid-field", StatusCode::UNPROCESSABLE_ENTITY, "A field of the body is not valid")
            }
            Self::KindNotAvailable => {
                ("kind-not-available", StatusCode::UNPROCESSABLE_ENTITY, "This kind of site is not available")
            }
            Self::TooManyWrongTokens => {
                ("too-many-wrong-tokens", StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens were shown")
            }
            Self::TooManyAnonymousRequests => {
                ("too-many-anonymous-requests", StatusCode::TOO_MANY_REQUESTS, "Too many requests came without a token")
            }
            Self::TooManyStreams => {
                ("too-many-streams", StatusCode::TOO_MANY_REQUESTS, "Too many streams of events are open")
            }
            Self::Refused => ("refused", StatusCode::BAD_REQUEST, "The request was refused"),
            Self::InternalError => ("internal-error", StatusCode::INTERNAL_SERVER_ERROR, "The control plane failed"),
            Self::DiskReserve => {
                ("disk-reserve", StatusCode::INSUFFICIENT_STORAGE, "The Engine's disk has no room for another site")
            }
            Self::Unanswered => {
                ("unanswered", StatusCode::SERVICE_UNAVAILABLE, "The site's containers could not be asked")
            }
            Self::Stopping => ("stopping", StatusCode::SERVICE_UNAVAILABLE, "The control plane is stopping"),
            Self::Overdue => ("overdue", StatusCode::SERVICE_UNAVAILABLE, "The answer took too long"),
        }
    }
}

/// A problem, as sent and as read by the client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProblemBody {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// JSON pointer to the field of the body that is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The parameter of the address that is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The scope that a token needs for this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<TokenScope>,
    /// Id in the log lines of this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A problem on its way out. As a response it is only a status with itself as extension: the envelope, which
/// knows the request's id, writes the body and logs the cause.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: ProblemKind,
    detail: String,
    pointer: Option<String>,
    parameter: Option<&'static str>,
    scope: Option<TokenScope>,
    /// For the log alone.
    cause: Option<String>,
}

impl Problem {
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), pointer: None, parameter: None, scope: None, cause: None }
    }

    /// A field of the body is not valid.
    pub fn field(name: &str, detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidField, detail).at(name)
    }

    /// Adds a pointer to a member of the body.
    pub fn at(mut self, name: &str) -> Self {
        // RFC 6901.
        self.pointer = Some(format!("/{}", name.replace('~', "~0").replace('/', "~1")));
        self
    }

    /// Adds a pointer to a nested member, given as `limits.php.pids`.
    pub fn at_path(mut self, path: &str) -> Self {
        self.pointer = Some(format!("/{}", path.replace('.', "/")));
        self
    }

    /// The body as a whole is not valid.
    pub fn whole_body(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(ProblemKind::InvalidField, detail);
        problem.pointer = Some(String::new());
        problem
    }

    /// A parameter of path or query is not valid.
    pub fn parameter(name: &'static str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(ProblemKind::InvalidParameter, detail);
        problem.parameter = Some(name);
        problem
    }

    /// The token may not do this: it needs this scope.
    pub fn scope(needed: TokenScope, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(ProblemKind::InsufficientScope, detail);
        problem.scope = Some(needed);
        problem
    }

    /// A failure of the control plane; its cause goes into the log alone.
    pub fn internal(cause: impl Into<String>) -> Self {
        let mut problem = Self::new(
            ProblemKind::InternalError,
            "the control plane failed; its log has the cause under this request_id",
        );
        problem.cause = Some(cause.into());
        problem
    }

    /// Problem for an error that a library answered.
    pub fn of_response(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => {
                Self::new(ProblemKind::NotFound, "the API has no such address; docs/api.md lists all")
            }
            // Written by the router, outside of every layer.
            StatusCode::METHOD_NOT_ALLOWED => {
                Self::new(ProblemKind::MethodNotAllowed, "the header allow lists the methods of this address")
            }
            status if status.is_client_error() => {
                Self::new(ProblemKind::Refused, "the request could not be understood")
            }
            status => Self::internal(format!("a handler answered {status} without saying why")),
        }
    }

    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.kind.parts().1
    }

    pub fn body(&self, request_id: &str) -> ProblemBody {
        let (slug, status, title) = self.kind.parts();
        ProblemBody {
            kind: format!("{PREFIX}{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            pointer: self.pointer.clone(),
            parameter: self.parameter.map(str::to_owned),
            scope: self.scope,
            request_id: status.is_server_error().then(|| request_id.to_owned()),
        }
    }

    /// Writes the body into a response.
    pub fn write_into(&self, response: &mut Response, request_id: &str) {
        let json = serde_json::to_vec(&self.body(request_id)).unwrap_or_default();
        *response.status_mut() = self.status();
        *response.body_mut() = Body::from(json);
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let kind = match &error {
            AppError::NoSite(_) => ProblemKind::SiteNotFound,
            AppError::NoJob => ProblemKind::JobNotFound,
            AppError::NameTaken { .. } => ProblemKind::SiteExists,
            AppError::DiskReserve { .. } => ProblemKind::DiskReserve,
            AppError::Busy { .. } => ProblemKind::SiteBusy,
            AppError::WrongStatus { .. } => ProblemKind::WrongStatus,
            AppError::NotRunning(_) => ProblemKind::SiteNotRunning,
            AppError::Unanswered { .. } => ProblemKind::Unanswered,
            AppError::RefusedSetting(refused) => {
                return Self::new(ProblemKind::InvalidField, refused.to_string()).at_path(refused.field);
            }
            AppError::NotRetriable => ProblemKind::JobNotRetriable,
            AppError::NotCancellable(_) => ProblemKind::JobNotCancellable,
            AppError::NoCursor => return Self::parameter("cursor", error.to_string()),
            AppError::NoToken => ProblemKind::TokenNotFound,
            AppError::HomeToken => ProblemKind::HomeToken,
            AppError::NoOrphan => ProblemKind::OrphanNotFound,
            AppError::OrphanStays(_) => ProblemKind::OrphanStays,
            AppError::Stopping => ProblemKind::Stopping,
            AppError::Store(_) | AppError::SecretNotKept(_) => {
                return Self::internal(hostplane_infra::error::chain(&error));
            }
        };
        Self::new(kind, error.to_string())
    }
}

/// The result of a handler.
pub(crate) type ApiResult<T> = Result<T, Problem>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_documented_with_its_status() {
        let docs = include_str!("../../../../docs/api.md");
        for kind in ProblemKind::ALL {
            let (slug, status, _) = kind.parts();
            let row = format!("| `{slug}` | {} |", status.as_u16());
            assert!(docs.contains(&row), "docs/api.md lacks {row}");
        }
    }

    #[test]
    fn pointers_are_escaped() {
        assert_eq!(Problem::field("a/b~c", "").pointer.as_deref(), Some("/a~1b~0c"));
    }

    #[test]
    fn an_internal_cause_stays_inside() {
        let body = serde_json::to_string(&Problem::internal("disk 7 is on fire").body("r1")).unwrap();
        assert!(!body.contains("fire") && body.contains("\"request_id\":\"r1\""), "{body}");
    }
}
