//! As much of a browser as a person with cookies needs. It reaches sites through Caddy alone.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, HOST, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};

pub struct Browser {
    client: Client,
    port: u16,
    cookies: BTreeMap<String, String>,
}

pub struct Page {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

impl Browser {
    pub fn new(port: u16) -> Self {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().expect("a client");
        Self { client, port, cookies: BTreeMap::new() }
    }

    pub async fn get(&mut self, site: &str, path: &str) -> Page {
        self.send(Method::GET, site, path, None).await
    }

    pub async fn post(&mut self, site: &str, path: &str, form: &[(&str, &str)]) -> Page {
        self.send(Method::POST, site, path, Some(form)).await
    }

    async fn send(&mut self, method: Method, site: &str, path: &str, form: Option<&[(&str, &str)]>) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self
            .client
            .request(method, format!("http://127.0.0.1:{}{path}", self.port))
            .header(HOST, format!("{site}.localhost:{}", self.port))
            .header(COOKIE, cookies.join("; "));
        if let Some(form) = form {
            let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
            request = request.header("content-type", "application/x-www-form-urlencoded").body(pairs.join("&"));
        }
        let response = request.send().await.expect("Caddy answers");
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().expect("a cookie").split(';').next().expect("a pair").to_owned();
            let (name, value) = pair.split_once('=').expect("name and value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = response.headers().get(LOCATION).map(|value| value.to_str().expect("text").to_owned());
        Page { status: response.status().as_u16(), location, body: response.text().await.expect("a body") }
    }
}

fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
