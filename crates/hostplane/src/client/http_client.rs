//! Requests to the HTTP API.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::event_stream::EventStream;
use super::trust;
use crate::api::problem::ProblemBody;
use crate::api::wire::Page;

const AGENT: &str = concat!("hostplane/", env!("CARGO_PKG_VERSION"));
/// Longer than the control plane's own limit for an answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(75);

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
    /// The arguments don't make a request.
    #[error("the request can't be made: {0}")]
    Request(String),
    /// The CA's file can't be used.
    #[error(transparent)]
    Trust(#[from] trust::TrustError),
}

fn text(problem: &ProblemBody, label: &str) -> String {
    let id = problem.request_id.as_ref().map_or_else(String::new, |id| format!(" (request_id {id})"));
    // Bad input is bad everywhere; another refusal may be of this control plane alone.
    let by = if matches!(problem.status, 400 | 422) { String::new() } else { format!("\nAsked: {label}") };
    format!("{}{id}{by}", problem.detail)
}

type ClientResult<T> = Result<T, ClientError>;

/// Client of one control plane. It follows no redirect and uses no proxy of the environment, which would get to see the
/// token.
#[derive(Debug)]
pub(crate) struct Client {
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Endpoint,
}

impl Client {
    pub fn new(endpoint: Endpoint) -> ClientResult<Self> {
        let connector = trust::connector(endpoint.ca_file.as_deref())?;
        let http = HttpClient::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
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
        let response = self.answer(Method::GET, path, None::<&()>).await?;
        if response.status() == StatusCode::OK {
            return Ok(EventStream::of(response.into_body()));
        }
        let status = response.status();
        Err(self.refused(status, &self.body(response).await?))
    }

    /// The head of the answer to a request.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> ClientResult<Response<Incoming>> {
        let request = self.request(method, path, body).map_err(|error| ClientError::Request(error.to_string()))?;
        match timeout(ANSWER_PATIENCE, self.http.request(request)).await {
            Ok(answer) => answer.map_err(|error| self.unreachable(trust::why(&error))),
            Err(_) => Err(self.late()),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Request<Full<Bytes>>, Box<dyn std::error::Error>> {
        let Endpoint { address, token, .. } = &self.endpoint;
        let mut credential = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
        credential.set_sensitive(true);
        // It escapes what an address can't hold.
        let url = reqwest::Url::parse(&format!("{address}{path}"))?;
        let request = Request::builder().method(method).uri(url.as_str());
        let request = request.header(AUTHORIZATION, credential).header(USER_AGENT, AGENT);
        Ok(match body {
            Some(body) => {
                request.header(CONTENT_TYPE, "application/json").body(Full::from(serde_json::to_vec(body)?))?
            }
            None => request.body(Full::default())?,
        })
    }

    async fn body(&self, response: Response<Incoming>) -> ClientResult<Bytes> {
        match timeout(ANSWER_PATIENCE, response.into_body().collect()).await {
            Ok(body) => Ok(body.map_err(|error| self.unreachable(trust::why(&error)))?.to_bytes()),
            Err(_) => Err(self.late()),
        }
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
        let response = self.answer(method, path, body).await?;
        let status = response.status();
        let bytes = self.body(response).await?;
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

    fn late(&self) -> ClientError {
        self.unreachable("no answer in time".to_owned())
    }

    fn not_ours(&self, status: StatusCode) -> ClientError {
        self.unreachable(format!("something else answers there ({status})"))
    }
}
