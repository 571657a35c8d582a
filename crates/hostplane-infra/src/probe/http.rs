//! The site probe over HTTP.

use async_trait::async_trait;
use bytes::BytesMut;
use hostplane_domain::url::SiteUrl;
use reqwest::header::HOST;
use reqwest::redirect::Policy;

use super::{PAGE_LIMIT, Page, SiteProbe};
use crate::error::{Effect, EffectError};

const CALL: &str = "probe.get";

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

#[async_trait]
impl SiteProbe for HttpProbe {
    async fn get(&self, url: &SiteUrl, path: &str) -> Effect<Page> {
        let failed = |error: reqwest::Error| EffectError::transient(CALL, error);
        let request = self.client.get(format!("http://{}{path}", self.address)).header(HOST, url.authority());
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk[..chunk.len().min(PAGE_LIMIT - body.len())]);
            if body.len() == PAGE_LIMIT {
                break;
            }
        }
        Ok(Page { status, body: body.freeze() })
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
