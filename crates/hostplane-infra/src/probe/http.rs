//! The site probe over HTTP.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::BytesMut;
use hostplane_domain::health::Health;
use hostplane_domain::probe_key::{PROBE_HEADER, PROBE_PATH, ProbeKey, ProbeMode, Question};
use hostplane_domain::url::SiteUrl;
use reqwest::RequestBuilder;
use reqwest::header::{HOST, HeaderMap};
use reqwest::redirect::Policy;

use super::{PAGE_LIMIT, Page, SiteProbe, verdict};
use crate::error::{Effect, EffectError};

/// The header of a page that has WordPress's health: JSON in base64.
const PAGE_HEADER: &str = "x-hostplane-page";

/// Gets the pages of every site from the proxy's address.
pub struct HttpProbe {
    client: reqwest::Client,
    address: String,
}

impl HttpProbe {
    /// A probe of the proxy at `address` (`host:port`). The client ignores proxies from the environment and keeps no
    /// connection, as each probe stands for a new visitor.
    ///
    /// # Errors
    /// When the HTTP client can't be set up.
    pub fn new(address: String) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent("hostplane-probe")
            .build()?;
        Ok(Self { client, address })
    }
}

impl HttpProbe {
    /// Sends a question, and returns the answer with the question's nonce.
    async fn put(
        &self,
        call: &'static str,
        url: &SiteUrl,
        mode: ProbeMode,
        path: &str,
        key: &ProbeKey,
    ) -> Effect<(String, HeaderMap, Page)> {
        let nonce = format!("{:032x}", fastrand::u128(..));
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let header = key.header(&Question { mode, url, path, at, nonce: &nonce });
        let request = self.request(url, path).header(PROBE_HEADER, header);
        let (headers, page) = answer(call, request).await?;
        Ok((nonce, headers, page))
    }

    fn request(&self, url: &SiteUrl, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.address)).header(HOST, url.authority())
    }
}

/// Sends a request, and reads as much of the answer as a page may have.
async fn answer(call: &'static str, request: RequestBuilder) -> Effect<(HeaderMap, Page)> {
    let failed = |error: reqwest::Error| EffectError::transient(call, error);
    let mut response = request.send().await.map_err(failed)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk[..chunk.len().min(PAGE_LIMIT - body.len())]);
        if body.len() == PAGE_LIMIT {
            break;
        }
    }
    Ok((headers, Page { status, body: body.freeze() }))
}

#[async_trait]
impl SiteProbe for HttpProbe {
    async fn get(&self, url: &SiteUrl, path: &str) -> Effect<Page> {
        Ok(answer("probe.get", self.request(url, path)).await?.1)
    }

    async fn ask(&self, url: &SiteUrl, mode: ProbeMode, path: &str, key: &ProbeKey) -> Effect<Option<Health>> {
        let (nonce, headers, page) = self.put("probe.ask", url, mode, path, key).await?;
        Ok(match headers.get(PAGE_HEADER) {
            Some(header) => verdict::health_of_page(header.as_bytes(), &nonce),
            None => verdict::health(&page.body, &nonce),
        })
    }

    async fn reset_code(&self, url: &SiteUrl, key: &ProbeKey) -> Effect<bool> {
        let (nonce, _, page) = self.put("probe.reset_code", url, ProbeMode::Reset, PROBE_PATH, key).await?;
        Ok(verdict::is_reset(&page.body, &nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn url() -> SiteUrl {
        SiteUrl { host: "hello.localhost".into(), port: 8080 }
    }

    /// Answers one request with `answer`, and returns the request.
    async fn serve_once(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let n = stream.read(&mut request).await.unwrap();
            // The probe may hang up before the end of an endless page.
            let _ = stream.write_all(&answer).await;
            String::from_utf8_lossy(&request[..n]).to_lowercase()
        });
        (address, task)
    }

    #[tokio::test]
    async fn requests_reach_the_proxy_with_the_site_host() {
        let (address, request) = serve_once(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".to_vec()).await;
        let page = HttpProbe::new(address).unwrap().get(&url(), "/wp-login.php").await.unwrap();
        assert_eq!((page.status, &page.body[..]), (200, &b"hi"[..]));
        let request = request.await.unwrap();
        assert!(request.starts_with("get /wp-login.php http/1.1"), "{request}");
        assert!(request.contains("host: hello.localhost:8080\r\n"), "{request}");
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let answer = b"HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n".to_vec();
        let (address, _request) = serve_once(answer).await;
        assert_eq!(HttpProbe::new(address).unwrap().get(&url(), "/").await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn a_page_is_cut_at_the_limit() {
        let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        answer.resize(PAGE_LIMIT * 2, b'x');
        let (address, _request) = serve_once(answer).await;
        assert_eq!(HttpProbe::new(address).unwrap().get(&url(), "/").await.unwrap().body.len(), PAGE_LIMIT);
    }

    #[tokio::test]
    async fn a_refused_connection_is_transient() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let error = HttpProbe::new(address).unwrap().get(&url(), "/").await.unwrap_err();
        assert!(matches!(error, EffectError::Transient { .. }), "{error}");
    }
}
