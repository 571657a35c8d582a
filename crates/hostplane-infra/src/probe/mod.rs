//! Site probe: gets a site's pages through the proxy, as a visitor does, and asks its WordPress how it is.

mod gated;
mod http;
mod verdict;

use async_trait::async_trait;
use bytes::Bytes;
use hostplane_domain::baseline::PageClass;
use hostplane_domain::health::Health;
use hostplane_domain::probe_key::{ProbeKey, ProbeMode};
use hostplane_domain::url::SiteUrl;

pub use gated::GatedProbe;
pub use http::HttpProbe;

use crate::error::Effect;

/// Answer to a probe. Redirects are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// The first [`PAGE_LIMIT`] bytes of the body, which are hostile.
    pub body: Bytes,
}

/// Most bytes of a page that are read.
pub const PAGE_LIMIT: usize = 512 * 1024;

impl Page {
    /// The class of the answer. 502 and 504 are those of Caddy and nginx, which don't reach what is behind them, and 421
    /// is nginx's to a request for another site.
    #[must_use]
    pub fn class(&self) -> PageClass {
        match self.status {
            421 | 502 | 504 => PageClass::Silent,
            503 => PageClass::Unavailable,
            200..300 if self.fault().is_none() => PageClass::Full,
            200..300 => PageClass::Blank,
            300..400 => PageClass::Redirect,
            400..500 => PageClass::Refused,
            _ => PageClass::Error,
        }
    }

    /// True for content that isn't HTML: a site may be one for programs.
    #[must_use]
    pub fn has_other_content(&self) -> bool {
        let text = String::from_utf8_lossy(&self.body).to_lowercase();
        !text.trim().is_empty() && !text.contains("<html") && !text.contains("<body")
    }

    /// The page's fault, or `None` for a page of a working site. Status 200 is not enough, as a WordPress without a
    /// theme answers 200 with an empty body.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.status != 200 {
            return Some(format!("status {}", self.status));
        }
        let text = String::from_utf8_lossy(&self.body).to_lowercase();
        match text.split_once("<body") {
            Some((_, body)) if body.trim().len() >= 200 => None,
            Some(_) => Some("status 200 with an empty page".to_owned()),
            None => Some("status 200 without an HTML page".to_owned()),
        }
    }
}

/// Gets pages of sites, and asks their WordPress.
#[async_trait]
pub trait SiteProbe: Send + Sync {
    /// Gets a path of a site through the proxy. `Transient` without an answer.
    async fn get(&self, url: &SiteUrl, path: &str) -> Effect<Page>;

    /// Asks the site's WordPress how it is, by a signed request for a path: [`PROBE_PATH`] with the mode `alive`, any
    /// page with `page` or `admin`. `None` without an answer to this very question: the site has not got the key, or
    /// something answers before WordPress's configuration is read. `Transient` without any answer.
    ///
    /// [`PROBE_PATH`]: hostplane_domain::probe_key::PROBE_PATH
    async fn ask(&self, url: &SiteUrl, mode: ProbeMode, path: &str, key: &ProbeKey) -> Effect<Option<Health>>;

    /// Has the site's PHP forget its compiled code, so that files that were replaced are read at once. `false` when it
    /// doesn't say that it did. `Transient` without any answer.
    async fn reset_code(&self, url: &SiteUrl, key: &ProbeKey) -> Effect<bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(status: u16, body: &str) -> Page {
        Page { status, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn a_page_without_content_is_a_fault() {
        let good = format!("<html><BODY class=x>{}</body></html>", "word ".repeat(50));
        assert_eq!(page(200, &good).fault(), None);
        assert_eq!(page(503, &good).fault(), Some("status 503".into()));
        let class = |status| page(status, &good).class();
        assert_eq!(
            [200, 302, 404, 503].map(class),
            [PageClass::Full, PageClass::Redirect, PageClass::Refused, PageClass::Unavailable]
        );
        assert_eq!([500, 508].map(class), [PageClass::Error; 2]);
        assert_eq!([421, 502, 504].map(class), [PageClass::Silent; 3]);
        assert_eq!([page(200, "").class(), page(204, "").class()], [PageClass::Blank; 2]);
        assert!(page(200, "{}").has_other_content());
        assert!(!page(200, " ").has_other_content() && !page(200, "<HTML>").has_other_content());
        assert_eq!(page(200, "").fault(), Some("status 200 without an HTML page".into()));
        assert_eq!(page(200, "<html><body></body></html>").fault(), Some("status 200 with an empty page".into()));
    }
}
