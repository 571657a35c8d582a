//! Requests to the HTTP API.

use std::time::Duration;

use reqwest::{Method, StatusCode, redirect};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::endpoint::Endpoint;
use super::event_stream::EventStream;
use crate::api::problem::ProblemBody;
use crate::api::wire::Page;

/// Longest time to connect.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Longer than the control plane's own limit for an answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(75);

/// Longer than the control plane keeps any event stream open.
const STREAM_PATIENCE: Duration = Duration::from_hours(1);

/// Failure of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No control plane answers at the address.
    #[error(
        "no control plane answers at {address}: {why}\nStart it with `make up` or `hostplane up`, or name another with \
         --context NAME, --api URL or HOSTPLANE_API."
    )]
    Unreachable { address: String, why: String },
    /// The control plane refuses, and says why.
    #[error("{}", text(problem, label))]
    Problem {
        problem: Box<ProblemBody>,
        /// Name of the control plane that refuses.
        label: String,
    },
    /// No client can be made of the token or the machine's settings.
    #[error("the HTTP client can't be set up: {0}")]
    Setup(String),
}

fn text(problem: &ProblemBody, label: &str) -> String {
    let id = problem.request_id.as_ref().map_or_else(String::new, |id| format!(" (request_id {id})"));
    // Bad input is bad everywhere; another refusal may be of this control plane alone.
    let by = if matches!(problem.status, 400 | 422) { String::new() } else { format!("\nAsked: {label}") };
    format!("{}{id}{by}", problem.detail)
}

type ClientResult<T> = Result<T, ClientError>;

/// Client of one control plane.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
}

impl Client {
    pub fn new(endpoint: Endpoint) -> ClientResult<Self> {
        // The control plane is near: a proxy of the environment would only get to see the token.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_PATIENCE)
            .timeout(ANSWER_PATIENCE)
            .user_agent(concat!("hostplane/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Setup(hostplane_infra::error::chain(&error)))?;
        Ok(Self { http, endpoint })
    }

    /// Name of the control plane in messages.
    pub fn label(&self) -> String {
        self.endpoint.label()
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> ClientResult<T> {
        self.send(Method::GET, path, None::<&()>).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: Option<&impl Serialize>) -> ClientResult<T> {
        self.send(Method::POST, path, body).await
    }

    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> ClientResult<T> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> ClientResult<T> {
        self.send(Method::DELETE, path, None::<&()>).await
    }

    /// Up to `limit` items of a list, over as many pages as that takes. The path has a query already.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, limit: u32) -> ClientResult<Page<T>> {
        let mut all = Page { items: Vec::new(), next_cursor: None, unreadable: Vec::new() };
        loop {
            let have = u32::try_from(all.items.len()).unwrap_or(u32::MAX);
            let size = limit.saturating_sub(have).min(crate::api::page::MOST);
            if size == 0 {
                return Ok(all);
            }
            let cursor = all.next_cursor.as_ref().map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            let page: Page<T> = self.get(&format!("{path}&limit={size}{cursor}")).await?;
            all.items.extend(page.items);
            for row in page.unreadable {
                if !all.unreadable.contains(&row) {
                    all.unreadable.push(row);
                }
            }
            all.next_cursor = page.next_cursor;
            if all.next_cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// Events from now on, until the control plane ends the stream or it breaks.
    pub async fn events(&self, path: &str) -> ClientResult<EventStream> {
        let request = self.request(Method::GET, path).timeout(STREAM_PATIENCE);
        let response = request.send().await.map_err(|error| self.unreachable(why(&error)))?;
        if response.status() == StatusCode::OK {
            return Ok(EventStream::of(response));
        }
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(why(&error)))?;
        Err(self.refused(status, &bytes))
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let Endpoint { address, token, .. } = &self.endpoint;
        self.http.request(method, format!("{address}{path}")).bearer_auth(token.expose_secret())
    }

    fn refused(&self, status: StatusCode, bytes: &[u8]) -> ClientError {
        match serde_json::from_slice(bytes) {
            Ok(problem) => ClientError::Problem { problem, label: self.endpoint.label() },
            Err(_) => self.not_ours(status),
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> ClientResult<T> {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.unreachable(why(&error)))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(why(&error)))?;
        if status.is_success() {
            // An empty answer is read as `null`.
            let bytes = if status == StatusCode::NO_CONTENT { b"null".as_slice() } else { &bytes };
            return serde_json::from_slice(bytes).map_err(|_| self.not_ours(status));
        }
        Err(self.refused(status, &bytes))
    }

    fn unreachable(&self, why: String) -> ClientError {
        ClientError::Unreachable { address: self.endpoint.label(), why }
    }

    fn not_ours(&self, status: StatusCode) -> ClientError {
        self.unreachable(format!("something else answers there ({status})"))
    }
}

/// Text of the innermost cause; the outer texts repeat the address.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
